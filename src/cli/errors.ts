/** What ends a start: the message is one line without the program's name. */

/** A fault in the command line or the configuration file. */
export class UsageError extends Error {}

/** The program cannot start as it was told to. */
export class StartError extends Error {}
