/** The configuration file, pfflowd.conf(5): the long options, one `name value` a line. */

import { UsageError } from './errors.js';
import { fieldNamed, OPTION_TABLE, type OptionField } from './option-table.js';
import { quote } from './option-values.js';

/** One option as it was given, and where: `-n`, `--rate`, or `pfflowd.conf:3: rate`. */
export interface Setting {
  readonly field: OptionField;
  readonly text: string;
  readonly where: string;
}

/** Returns the settings in the file's order. Throws a UsageError with file and line. */
export function parseConfigFile(text: string, file: string): Setting[] {
  const settings: Setting[] = [];
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, whole] of lines.entries()) {
    const line = whole.replace(/(^|\s)#.*$/, '').trim();
    if (line === '') continue;
    const at = `${file}:${index + 1}`;
    const [, name = '', value = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    const field = fieldNamed(name);
    if (field === undefined) throw new UsageError(`${at}: unknown name ${quote(name)}`);
    const row = OPTION_TABLE[field];
    if (row.commandLineOnly) throw new UsageError(`${at}: ${name} belongs on the command line`);
    if (value === '' && row.argument !== undefined) {
      throw new UsageError(`${at}: ${name} needs a value, ${row.argument}`);
    }
    settings.push({ field, text: value === '' ? 'yes' : value, where: `${at}: ${name}` });
  }
  return settings;
}
