/** Errors that end a start. Their messages are one line, without the program's name. */

/** A fault in the command line or the configuration file. */
export class UsageError extends Error {}

/** The program cannot start as the options ask. */
export class StartError extends Error {}
