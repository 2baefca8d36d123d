/**
 * What the core leaves to the owner of an encoder before it goes on (`assembly/template-record`). A file without imports: of
 * such a one the build puts constants in place.
 */
export const NOTHING = 0;
/** A record of this kind has no template yet. */
export const ADD_TEMPLATE = 1;
/** Records of this kind have no room, or none that is right for the next one. */
export const MAKE_ROOM = 2;
/** The run of this kind is full. */
export const SEND_RUN = 3;
/** A record is about to name another interface than the one before it. */
export const USE_INTERFACE = 4;
