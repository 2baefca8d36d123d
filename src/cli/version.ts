/** The same as in package.json, which a test checks: the program's file may stand alone. */
export const VERSION = '1.0.0';
