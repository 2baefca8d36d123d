import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type OptionRow, OPTION_ROWS as ROWS, SECTIONS } from '../../src/cli/option-table.js';
import { synopsis, usageText } from '../../src/cli/usage.js';

const MANUAL = readFileSync(new URL('../../../man/pfflowd.8', import.meta.url), 'utf8');

/** Each mark is what mdoc(7) writes before the first word after the macro. */
const MACROS: Readonly<Record<string, string>> = {
  Fl: '-',
  Ar: '',
  Cm: '',
  Ql: '',
  Op: '',
  Pa: '',
  Dv: '',
  Xr: '',
  Sx: '',
};

/** A line of mdoc as it reads without fonts: enough of mdoc(7) for our manual's options. */
function plain(line: string): string {
  if (!line.startsWith('.')) return line;
  const words: string[] = [];
  let mark = '';
  for (const word of line.slice(1).split(' ')) {
    if (word in MACROS) {
      mark = MACROS[word]!;
    } else {
      words.push(mark + word);
      if (mark !== '') mark = '';
    }
  }
  return words.join(' ');
}

/** The lines from one section heading to the next. */
function section(heading: string, macro: 'Sh' | 'Ss'): string[] {
  const lines = MANUAL.split('\n');
  const start = lines.indexOf(`.${macro} ${heading}`);
  expect(start, `.${macro} ${heading}`).to.be.greaterThan(-1);
  const length = lines.slice(start + 1).findIndex((line) => /^\.S[hs] /.test(line));
  return lines.slice(start + 1, start + 1 + length);
}

/** Options of a section: the line that names one, and the text below it. */
function manualItems(heading: string): { names: string; text: string }[] {
  const items: { names: string; text: string }[] = [];
  for (const line of section(heading, 'Ss')) {
    if (line.startsWith('.It ')) items.push({ names: plain(line).replace(/^It /, ''), text: '' });
    else if (items.length > 0) items.at(-1)!.text += `${plain(line)} `;
  }
  return items;
}

function names(row: OptionRow): string {
  const argument = row.argument === undefined ? '' : ` ${row.argument}`;
  const long = `--${row.name}${argument}`;
  return row.short === undefined ? long : `-${row.short}${argument} , ${long}`;
}

describe('table of options', () => {
  it('names nothing twice', () => {
    const shorts = ROWS.flatMap((row) => row.short ?? []);
    expect(new Set(shorts).size).to.equal(shorts.length);
    expect(new Set(ROWS.map((row) => row.name)).size).to.equal(ROWS.length);
  });

  for (const row of ROWS.filter(({ standard }) => standard !== undefined)) {
    it(`tells the default of --${row.name} as it is`, () => {
      if (row.initial !== undefined && !Array.isArray(row.initial)) {
        expect(row.read(row.standard!, row.initial)).to.deep.equal(row.initial);
      } else {
        expect(['pfsync0', 'pfctl -vvss']).to.include(row.standard);
      }
    });
  }
});

describe('usage text', () => {
  const text = usageText();

  it('fits a terminal of 80 columns', () => {
    expect(text.split('\n').filter((line) => line.length > 80)).to.deep.equal([]);
    expect(text).to.match(/^usage: pfflowd \[-dDh\]/);
    expect(text).to.match(/[^\n]\n$/);
  });

  it('has every option once', () => {
    const named = text.match(/^ {2}(-\w, | {4})--[\w-]+/gm)?.map((line) => line.trim());
    const expected = ROWS.map((row) => `${row.short === undefined ? '' : `-${row.short}, `}--${row.name}`);
    expect(named).to.have.members(expected);
    expect(named).to.have.length(ROWS.length);
  });
});

describe('manual', () => {
  it('has the synopsis of the usage text', () => {
    const pieces = section('SYNOPSIS', 'Sh')
      .filter((line) => line.startsWith('.Op '))
      .map((line) => `[${plain(line)}]`);
    expect(pieces).to.deep.equal(synopsis());
  });

  it('has the sections of the usage text in its order', () => {
    const headings = MANUAL.match(/^\.Ss .*$/gm)?.map((line) => line.slice(4));
    expect(headings).to.deep.equal([...SECTIONS]);
  });

  for (const heading of SECTIONS) {
    it(`has the options of "${heading}" in their order`, () => {
      const expected = ROWS.filter((row) => row.section === heading).map(names);
      expect(manualItems(heading).map((item) => item.names)).to.deep.equal(expected);
    });
  }

  for (const row of ROWS) {
    it(`says what is so of --${row.name}`, () => {
      const item = manualItems(row.section).find((candidate) => candidate.names === names(row));
      const [, told] = /The default is (\S+(?: -vvss)?)/.exec(item?.text ?? '') ?? [];
      expect(told).to.equal(row.standard);
      expect(/May be repeated/.test(item?.text ?? '')).to.equal(row.repeatable === true);
    });
  }
});
