/** What the core asks of its owner: the object on whose behalf it was called. See `protocol/core`. */

/** A name that was not met lately: the row is to be given its IF_INDEX, and no name where it belongs to no interface. */
export declare function internInterface(row: usize): void;

/** A message of so many records is complete. Afterwards its room is free. */
export declare function sendMessage(records: u32): void;

/** A record of this kind has no template yet. The answer is where the core finds the new one. */
export declare function addTemplate(kind: i32): usize;

/** Makes room for a record in a message; the answer is where. */
export declare function placeRecord(kind: i32, row: usize): usize;

/** The run of this template is full. */
export declare function sendRun(kind: i32): void;

/** A record is about to name the row's interface. */
export declare function useInterface(row: usize): void;

/** The digits of the time (f64) that stands at `time` are wanted at `at`; the answer is how many they are. */
export declare function writeTime(time: usize, at: usize): u32;

/** The date of a time, and a blank, are wanted at `at`, 16 octets at most; the answer is their length. */
export declare function writeDay(time: usize, at: usize): u32;

/** The text of the row's interface is wanted at `at`, 128 octets at most; the answer is its length. */
export declare function writeInterface(row: usize, at: usize): u32;
