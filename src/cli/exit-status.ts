/** Exit statuses, as in the manual page. */
export const DONE = 0;
export const CANNOT_START = 1;
export const INPUT_DAMAGED = 2;
export const NOT_DELIVERED = 3;
