/**
 * What a run looks like before its command line is read. It tells which code is worth having at hand: to take all that the build
 * could keep makes a start 2 ms longer. A wrong guess does no harm: what is missing is compiled when it is needed.
 */

/** Runs that need code of their own: for records of one layout, for those that templates describe, and for text. */
export const LIKELY_RUNS = ['fixed', 'templates', 'text'] as const;
export type LikelyRun = (typeof LIKELY_RUNS)[number];

/** How -v is given for versions that have templates. */
const TEMPLATED = ['9', '10', 'ipfix'];

/** `argv` is what follows the program's name. */
export function likelyRun(argv: readonly string[]): LikelyRun {
  if (argv.some((word) => word.startsWith('--format'))) return 'text';
  const isTemplated = argv.some((word, n) => TEMPLATED.includes(word) && argv[n - 1] === '-v');
  return isTemplated ? 'templates' : 'fixed';
}
