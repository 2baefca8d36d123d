/** Template ids. No id has two meanings in one exporter: some collectors do not tell its observation domains apart. */

/** Flow records: this and the kind (record-kind). */
export const FIRST_FLOW = 256;
/** NAT events: this and the kind. */
export const FIRST_EVENT = 4096;
export const INTERFACE_OPTIONS = 8192;
export const SAMPLING_OPTIONS = 8193;
/** Statistics, in observation domain 0. */
export const METERING_STATISTICS = 8194;
export const IGNORED_STATISTICS = 8195;
export const NOT_SENT_STATISTICS = 8196;
