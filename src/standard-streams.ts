/** Descriptors that every program starts with. */
export const STANDARD_INPUT = 0;
export const STANDARD_OUTPUT = 1;
export const STANDARD_ERROR = 2;
