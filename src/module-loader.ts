/** Packages that are loaded when they are needed, and not with the program. */

/**
 * `require`, which the built program has, being a CommonJS module. Else it is asked of node:module: that one brings the loader of
 * ES modules along, and takes 1.5 of 40 ms of a start.
 */
const load: NodeJS.Require =
  typeof require === 'function'
    ? require
    : process.getBuiltinModule('node:module').createRequire(import.meta.url);

/** Throws where there is no such module. */
export function loadModule(name: string): unknown {
  return load(name);
}
