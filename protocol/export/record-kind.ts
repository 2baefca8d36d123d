/** The kinds of flow records: a bit, or two, for each thing that a record has and another has not. */
export const SIX = 1;
export const NO_PORTS = 2;
export const POST_NAT_FOUR = 4;
export const POST_NAT_SIX = 8;
export const UNCOUNTED = 32;
export const HAS_FLAGS = 64;
export const TYPE_FOUR = 128;
export const TYPE_SIX = 256;
/** One record for both directions (RFC 5103). */
export const BOTH = 512;
export const HAS_REVERSE_FLAGS = 1024;

/** One more than the highest kind. */
export const KINDS = 2048;

/** Kinds of NAT events have SIX and NO_PORTS, and this where the translated addresses are of IPv6. */
export const AFTER_SIX = 4;
