/** Copies `count` words, a multiple of four. Four at a turn: the compiler looks at both arrays anew in each turn. */
export function copyWords(from: Int32Array, start: number, to: Int32Array, at: number, count: number): void {
  for (let word = 0; word < count; word += 4) {
    to[at + word] = from[start + word]!;
    to[at + word + 1] = from[start + word + 1]!;
    to[at + word + 2] = from[start + word + 2]!;
    to[at + word + 3] = from[start + word + 3]!;
  }
}
