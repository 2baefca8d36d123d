/** The times of a message, as indexes of an array of 64-bit floats: milliseconds since the epoch. */

/** The data's clock: when the row at hand was observed, or the time of a flush. */
export const NOW = 0;
/** When the message was opened, and the last moment that has a place in it. */
export const OPENED = 1;
export const HOLDS_UNTIL = 2;
/** The virtual boot that uptimes are counted from. */
export const BOOT = 3;
/** The latest end in the message: its header's time is not before it. */
export const LATEST = 4;
/** The time of the header of a message that is complete. */
export const HEADER = 5;
/** More than there are: an array of 64 octets or less has no fixed place in memory, which costs each access a load. */
export const TIMES = 9;

/** The largest uptime. */
export const REACH = 0xffff_ffff;
/** How long the data's clock may run on while one message is filled. */
export const SPAN = 3_600_000;
/** Room for a header whose time is rounded up to a second. */
export const ROUNDING = 1000;
