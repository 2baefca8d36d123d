/** A message of NetFlow v9 or IPFIX that is lent to the core for a while: it puts records into it, and opens further sets. */

/** In the order in which `protocol/template` lays it down. */
@unmanaged
export class RecordTemplate {
  id: u32;
  /** Octets of a record. */
  recordLength: u32;
  /** 1: the template stood in a message. */
  isAnnounced: u32;
  /** A run, where records wait for others of their kind; its octets, and how many of them records take. 0 is none. */
  run: usize;
  runCapacity: u32;
  runLength: u32;
}

/** In the order in which `protocol/message-writer` lays it down. Places in the message are offsets. */
@unmanaged
export class LentMessage {
  /** 0: no message is lent. */
  start: usize;
  /** Where the next record goes, and where the last one has to end. */
  at: u32;
  limit: u32;
  /** The set that is open. */
  setStart: u32;
  template: RecordTemplate;
  /** Records that were put into the message since it was lent. */
  records: u32;
  /** 1: the message may have more sets than one. */
  opensSets: u32;
  /** The last moment that has a place in the message. */
  holdsUntil: f64;
}

const SET_HEADER: u32 = 4;

/** The place of one more record that was seen at that time; 0 where the owner has to see to it. */
export function placeRecord(message: LentMessage, template: RecordTemplate, observed: f64): usize {
  if (message.start === 0 || observed > message.holdsUntil) return 0;
  const isOpen = changetype<usize>(message.template) === changetype<usize>(template);
  if (!isOpen && !opensSet(message, template)) return 0;
  const at = message.at;
  if (at + template.recordLength > message.limit) return 0;
  message.at = at + template.recordLength;
  message.records++;
  return message.start + at;
}

/** Opens a set for the template, where nothing else is to be told before it, and where it has room for a record. */
function opensSet(message: LentMessage, template: RecordTemplate): bool {
  // A set ends at a multiple of 4 octets.
  const setStart = (message.at + 3) & ~3;
  const end = setStart + SET_HEADER + template.recordLength;
  if (message.opensSets === 0 || template.isAnnounced === 0 || end > message.limit) return false;
  for (let at = message.at; at < setStart; at++) store<u8>(message.start + at, 0);
  store<u16>(message.start + message.setStart, bswap<u16>(<u16>(setStart - message.setStart)), 2);
  store<u16>(message.start + setStart, bswap<u16>(<u16>template.id));
  message.setStart = setStart;
  message.at = setStart + SET_HEADER;
  message.template = template;
  return true;
}
