import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

// Each measures in a process of its own. Here it has little to do, and its speed does not matter: its counts must be right.
const MEASUREMENTS = [
  {
    command: ['bench/decode-encode.mjs', 'captures/v3_eth_full.pcap', 'v5'],
    counted: { format: 'v5', states: 13 },
  },
  {
    command: ['bench/decode-encode.mjs', 'captures/v3_eth_full.pcap', 'ipfix'],
    counted: { format: 'ipfix', states: 13 },
  },
  { command: ['bench/state-table.mjs', 'v6', '1000', '200'], counted: { open: 1000, isRight: true } },
  { command: ['bench/state-table.mjs', 'v5-1400', '1000', '200'], counted: { open: 1000, isRight: true } },
  ...['none', 'proofs', 'joins'].map((mode) => ({
    command: ['bench/proofs.mjs', mode, '1000', '400'],
    counted: { mode, open: 1000, isRight: true },
  })),
  { command: ['bench/table-operations.mjs', '1000'], counted: { open: 1000 } },
];

describe('benchmarks', () => {
  for (const { command, counted } of MEASUREMENTS) {
    it(`${command.join(' ')} runs to its end`, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
      expect(status, stderr).to.equal(0);
      expect(JSON.parse(stdout)).to.include(counted);
    });
  }
});
