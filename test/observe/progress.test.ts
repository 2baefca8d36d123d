import { expect } from 'chai';
import { ProgressBar, type ProgressChoice, progressLine, wantsProgress } from '../../src/observe/progress.js';

describe('progress', () => {
  const choices: [ProgressChoice, isTerminal: boolean, wanted: boolean][] = [
    ['auto', true, true],
    ['auto', false, false],
    ['always', false, true],
    ['never', true, false],
  ];
  for (const [choice, isTerminal, wanted] of choices) {
    it(`is ${wanted ? 'shown' : 'hidden'} when ${choice}, ${isTerminal ? 'on' : 'off'} a terminal`, () => {
      expect(wantsProgress(choice, isTerminal)).to.equal(wanted);
    });
  }
});

describe('the line of the progress bar', () => {
  const half = { octets: 50e6, total: 100e6, states: 300000 };
  const cases: [what: string, typeof half, elapsed: number, columns: number, line: string][] = [
    [
      'in a wide terminal',
      half,
      2000,
      200,
      ' 50% [###############...............]  0:02 left  25.0 MB/s  150 k states/s',
    ],
    ['in 60 columns', half, 2000, 60, ' 50% [#######........]  0:02 left  25.0 MB/s  150 k states/s'],
    ['in 45 columns', half, 2000, 45, ' 50%  0:02 left  25.0 MB/s  150 k states/s'],
    ['in 30 columns', half, 2000, 30, ' 50%  0:02 left  25.0 MB/s'],
    ['in 5 columns', half, 2000, 5, ' 50%'],
    ['in no columns', half, 2000, 0, ''],
    ['at the end', { ...half, octets: 100e6 }, 4000, 30, '100%  0:00 left  25.0 MB/s'],
    ['past the end', { ...half, octets: 102e6 }, 4000, 30, '100%  0:00 left  25.5 MB/s'],
    [
      'at the start',
      { octets: 0, total: 100, states: 0 },
      0,
      46,
      '  0% [......]  -:-- left  - MB/s  - k states/s',
    ],
    ['for hours', { octets: 1e9, total: 11e9, states: 0 }, 400000, 22, '  9%  1:06:40 left'],
    ['of a pipe', { octets: 50e6, total: 0, states: 300000 }, 2000, 60, '50.0 MB  25.0 MB/s  150 k states/s'],
  ];
  for (const [what, progress, elapsed, columns, line] of cases) {
    it(`fits ${what}`, () => {
      expect(progressLine(progress, elapsed, columns)).to.equal(line);
      expect(line.length).to.be.at.most(columns);
    });
  }
});

describe('the progress bar', () => {
  function screenOf(columns: number) {
    const written: string[] = [];
    const screen = {
      time: 1000,
      width: columns,
      write: (text: string) => written.push(text),
      columns: () => screen.width,
      now: () => screen.time,
    };
    return { screen, written };
  }
  const progress = { octets: 50e6, total: 100e6, states: 300000 };

  it('is drawn five times a second at most', () => {
    const { screen, written } = screenOf(80);
    const bar = new ProgressBar(screen);
    for (let tick = 0; tick <= 1000; tick++) {
      screen.time = 1000 + tick;
      bar.update(progress);
    }
    expect(written).to.have.length(5);
  });

  it('is not drawn in a short run, and then there is nothing to clear', () => {
    const { screen, written } = screenOf(80);
    const bar = new ProgressBar(screen);
    screen.time += 199;
    bar.update(progress);
    bar.clear();
    expect(written).to.deep.equal([]);
  });

  it('leaves an empty line', () => {
    const { screen, written } = screenOf(80);
    const bar = new ProgressBar(screen);
    screen.time += 200;
    bar.update(progress);
    bar.clear();
    bar.clear();
    const line = progressLine(progress, 200, 79);
    expect(written).to.deep.equal([`\r${line}`, `\r${' '.repeat(line.length)}\r`]);
  });

  it('covers a longer line by blanks, and never fills the last column', () => {
    const { screen, written } = screenOf(80);
    const bar = new ProgressBar(screen);
    screen.time += 200;
    bar.update(progress);
    screen.time += 200;
    bar.update({ ...progress, total: 0 });
    expect(written[1]!.length).to.equal(written[0]!.length);
    screen.width = 20;
    screen.time += 200;
    bar.update(progress);
    expect(written[2]!.length).to.be.at.most(1 + 19);
    bar.clear();
    expect(written[3]!.length).to.be.at.most(1 + 19 + 1);
  });
});
