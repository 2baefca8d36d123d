/** The usage text, made from the table of options. */
import { OPTION_ROWS, OPTION_TABLE, type OptionRow, SECTIONS } from './option-table.js';

const WIDTH = 80;
const HELP_COLUMN = 31;
const PROGRAM = 'usage: pfflowd ';

/** All options, for standard output. Ends with a newline. */
export function usageText(): string {
  const blocks = SECTIONS.map((section) => {
    const rows = OPTION_ROWS.filter((row) => row.section === section);
    return `${section}:\n${rows.map(optionLines).join('')}`;
  });
  return `${wrap(PROGRAM, synopsis())}\n${blocks.join('\n')}`;
}

/** The pieces of the synopsis, one for each pair of brackets. */
export function synopsis(): string[] {
  const { interfaces, reads } = OPTION_TABLE;
  const rows = OPTION_ROWS.filter((row) => row.short !== undefined);
  const flags = rows.filter((row) => row.argument === undefined).map((row) => row.short);
  const valued = rows.filter(
    (row) => row.argument !== undefined && ![interfaces.name, reads.name].includes(row.name),
  );
  return [
    `[-${flags.join('')}]`,
    `[${shortForm(interfaces)} | ${shortForm(reads)}]`,
    ...valued.map((row) => `[${shortForm(row)}]`),
    '[long options]',
    '[capture filter]',
  ];
}

function shortForm(row: Pick<OptionRow, 'short' | 'argument'>): string {
  return `-${row.short} ${row.argument}`;
}

function optionLines(row: OptionRow): string {
  const short = row.short === undefined ? '    ' : `-${row.short}, `;
  const names = `  ${short}--${row.name}${row.argument === undefined ? '' : ` ${row.argument}`}`;
  const notes = [
    row.standard === undefined ? '' : `default ${row.standard}`,
    row.repeatable ? 'repeatable' : '',
  ];
  const note = notes.filter((text) => text !== '').join(', ');
  const words = `${row.help}${note === '' ? '' : ` (${note})`}`.split(' ');
  if (names.length + 2 > HELP_COLUMN) return `${names}\n${wrap(' '.repeat(HELP_COLUMN), words)}`;
  return wrap(names.padEnd(HELP_COLUMN), words);
}

/** Breaks the pieces into lines: the first follows `head`, the others are indented to its end. */
function wrap(head: string, pieces: readonly string[]): string {
  let text = head;
  let length = head.length;
  for (const [index, piece] of pieces.entries()) {
    const isFirst = index === 0;
    if (!isFirst && length + 1 + piece.length > WIDTH) {
      text += `\n${' '.repeat(head.length)}${piece}`;
      length = head.length + piece.length;
    } else {
      text += isFirst ? piece : ` ${piece}`;
      length += piece.length + (isFirst ? 0 : 1);
    }
  }
  return `${text}\n`;
}
