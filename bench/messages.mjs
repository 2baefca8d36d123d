/** What measurements share that make their own messages, of pfsync versions 5 and 6: each holds one action, and is filled again and again. */

export const CREATOR = 0x0badcafe;

/** Actions, by what they carry in version 6 and in FreeBSD's layout 1400 of version 5. */
export const INSERT = 13;
export const UPDATE = 14;
export const COMPRESSED_UPDATE = 4;
export const COMPRESSED_DELETE = 7;
export const COMPRESSED_UPDATE_LENGTH = 84;
export const KEY_LENGTH = 12;

/** Where the first record of a message begins. */
export const RECORDS = 24;

const LINKTYPE_PFSYNC = 246;
const END_OF_FILE = 12;

/** A captured packet of `count` empty records, of `length` octets each. Version 5 ends with an action of its own. */
export function packetOf(version, action, length, count) {
  const octets = RECORDS + count * length + (version === 5 ? 4 + 20 : 0);
  const view = new DataView(new ArrayBuffer(octets));
  view.setUint8(0, version);
  view.setUint16(2, octets);
  view.setUint8(20, action);
  view.setUint8(21, version === 6 ? length / 4 : 0);
  view.setUint16(22, count);
  if (version === 5) {
    view.setUint8(RECORDS + count * length, END_OF_FILE);
    view.setUint16(RECORDS + count * length + 2, 1);
  }
  return {
    view,
    start: 0,
    end: octets,
    wireEnd: octets,
    linkType: LINKTYPE_PFSYNC,
    clock: new Float64Array(2),
    number: 1,
  };
}

/** Writes what the states of a measurement have in common into the record at `at`: IPv4, TCP, counters of both directions. */
export function writeState(view, at, layout, interfaceName, direction) {
  for (const [n, letter] of [...interfaceName].entries()) {
    view.setUint8(at + layout.interfaceName + n, letter.charCodeAt(0));
  }
  for (const field of [layout.family, layout.wireFamily, layout.stackFamily]) view.setUint8(at + field, 2);
  for (const field of [layout.protocol, layout.stackProtocol]) view.setUint8(at + field, 6);
  view.setUint8(at + layout.direction, direction);
  view.setInt32(at + layout.creatorId, CREATOR);
  for (let counter = 0; counter < 2; counter++) {
    view.setInt32(at + layout.packets + 8 * counter + 4, 1);
    view.setInt32(at + layout.octets + 8 * counter + 4, 100);
  }
}

/** Processor time of this process so far: nothing here waits, and other programs do not change it much. */
export function processorSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
