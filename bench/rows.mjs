/** The rows of the table that `npm run bench` prints: what each measures, and its bound. */
import { run } from './programs.mjs';

const NO_ADDONS = ['--no-addons'];
/** Of the live rows: messages a second, and how many in all. */
const STEADY_RATE = 10_000;
const STEADY_MESSAGES = 20 * STEADY_RATE;
const FAST_RATE = 100_000;
/** States of a conversion that is all start. */
const FEW = 10_000;

/**
 * Rows by name. Each measures `ours`, and its `rival` where it has one, in turns, and makes one figure of their medians (or of the
 * largest, `of: 'largest'`): `figure(ours, rival)`, by default their ratio. It is to be `most` at most or `least` at least.
 * `needs: 'nothing'` does without the yardsticks; `turns` are fewer than usual where a turn takes long. Conversions have so many
 * `states`.
 */
export function rowsOf({ captureOf, convert, json, floor, decodeEncode, measurement, live }, states) {
  const capture = () => captureOf(states);
  const v5 = async () => wallOf(await convert(await capture(), 5));
  const sendto = async () => wallOf(await floor('sendto', await capture()));
  const decode = shared(async () => decodeEncode(await capture()));
  const tableOperations = shared(() => measurement('table-operations'));
  const noProofs = shared(() => measurement('proofs', 'none'));
  const fast = shared(async () => live('fast', await capture(), FAST_RATE));

  const tableRow = (version, what) => ({
    what,
    ours: async () => (await measurement('state-table', version)).statesPerSecond,
    least: 1_500_000,
    needs: 'nothing',
  });
  const operationRow = (name, what) => ({
    what,
    ours: async (turn) => (await tableOperations(turn))[name],
    most: 300,
    needs: 'nothing',
  });
  const proofRow = (mode, what) => ({
    what,
    ours: async () => (await measurement('proofs', mode)).nanoseconds,
    rival: async (turn) => (await noProofs(turn)).nanoseconds,
    most: 1.15,
    needs: 'nothing',
  });
  const steadyRow = (source, linkType, what) => ({
    what,
    ours: async () => (await live(source, await captureOf(FEW, linkType), STEADY_RATE, STEADY_MESSAGES)).lost,
    of: 'largest',
    turns: 3,
    most: 0,
  });
  const timeOf = async (count) => wallOf(await convert(await captureOf(count), 5));
  const residentOf = async (count) =>
    (await convert(await captureOf(count), 5, { isWatched: true })).resident;

  return {
    dgram: {
      what: 'v5 over UDP, node:dgram: seconds / floor sendto',
      ours: async () => wallOf(await convert(await capture(), 5, { flags: NO_ADDONS })),
      rival: sendto,
      most: 1.8,
    },
    batch: {
      what: 'v5 over UDP, koffi: seconds / floor sendto',
      ours: v5,
      rival: sendto,
      most: 0.5,
    },
    ipfix: {
      what: 'IPFIX over UDP, koffi: seconds / our v5',
      ours: async () => wallOf(await convert(await capture(), 10)),
      rival: v5,
      most: 1.8,
    },
    decode: {
      what: 'decode and encode v5, nothing sent: states/s / floor cpu',
      ours: async (turn) => perSecond(await decode(turn)),
      rival: async () => perSecond(await floor('cpu', await capture())),
      least: 0.2,
    },
    json: {
      what: 'JSON lines to /dev/null: flows/s / our v5',
      ours: async () => 1 / wallOf(await json(await capture())),
      rival: async () => 1 / (await v5()),
      least: 0.35,
    },
    'table-v6': tableRow('v6', 'insert and delete, a million open, v6: states/s'),
    'table-1400': tableRow('v5-1400', 'the same, FreeBSD 1400: states/s'),
    proofs: proofRow('proofs', 'lives with proven counters, a million open: ns / unproven'),
    joins: proofRow('joins', 'the same, and both halves joined: ns / neither'),
    insert: operationRow('insert', 'state table, a million open: ns for an insert'),
    update: operationRow('update', 'the same: ns for an update of a random state'),
    delete: operationRow('delete', 'the same: ns for a delete of a random state'),
    collections: {
      what: 'decode and encode v5: collections in the steady state',
      ours: async (turn) => (await decode(turn)).steadyCollections,
      most: 0,
    },
    memory: {
      what: 'MiB resident, half a million states and all',
      ours: async () => Math.max(await residentOf(states / 10), await residentOf(states)),
      most: 80,
    },
    growth: {
      what: 'seconds a state, 20 to 5 million / 5 to 0.5 million',
      ours: async () => ((await timeOf(4 * states)) - (await timeOf(states))) / (3 * states),
      rival: async () => ((await timeOf(states)) - (await timeOf(states / 10))) / (0.9 * states),
      most: 1.1,
    },
    start: {
      what: '10,000 states: milliseconds beyond the start of node',
      ours: async () => 1000 * wallOf(await convert(await captureOf(FEW), 5)),
      rival: async () => 1000 * wallOf(await run(process.execPath, ['-e', '0'])),
      figure: (ours, rival) => ours - rival,
      most: 120,
    },
    live: {
      what: 'live, pfsync0, 100,000 messages/s of six states: lost',
      ours: async (turn) => (await fast(turn)).lost,
      of: 'largest',
      most: 0,
    },
    'live-cpu': {
      what: 'the same: our processors in use',
      ours: async (turn) => (await fast(turn)).processor,
      most: 0.5,
    },
    pfsync0: steadyRow('pfsync0', 246, 'live, pfsync0, 10,000 messages/s for 20 s: lost'),
    ethernet: steadyRow('ethernet', 1, 'the same, an Ethernet interface: lost'),
    listen: steadyRow('listen', 246, 'the same, --listen: lost'),
  };
}

/** A measurement that several rows have their figures from: it is made once in each turn. */
function shared(measure) {
  const turns = [];
  return (turn) => {
    turns[turn] ??= measure();
    return turns[turn];
  };
}

function wallOf({ wall }) {
  return wall;
}

function perSecond({ states, wall }) {
  return states / wall;
}
