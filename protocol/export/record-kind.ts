/**
 * A kind of record in the full profile: a bit, or two, for each choice. The template's id is the kind and the first id. A
 * file without imports: of such a one the build puts constants in place.
 */
export const SIX = 1;
export const NO_PORTS = 2;
export const POST_NAT_FOUR = 4;
export const POST_NAT_SIX = 8;
export const ESTIMATED = 16;
export const UNCOUNTED = 32;
export const HAS_FLAGS = 64;
export const TYPE_FOUR = 128;
export const TYPE_SIX = 256;
export const BOTH = 512;
export const HAS_REVERSE_FLAGS = 1024;

/** Numbers that kinds may have: one more than the highest. */
export const KINDS = 2048;
