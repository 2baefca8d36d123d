/** The version in package.json, which a test compares: the bundled program has no package.json beside it. */
export const VERSION = '1.0.0';
