/** How the program ends, as the manual page tells. */
export const DONE = 0;
export const CANNOT_START = 1;
export const INPUT_DAMAGED = 2;
export const NOT_DELIVERED = 3;
