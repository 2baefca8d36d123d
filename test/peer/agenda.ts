/** What is to happen, by time; what falls on the same millisecond, in the order it was planned. */
export class Agenda {
  readonly #heap: { at: number; order: number; what: (now: number) => void }[] = [];
  #planned = 0;

  at(at: number, what: (now: number) => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#planned++, what });
    for (let n = heap.length - 1; n > 0; ) {
      const parent = (n - 1) >> 1;
      if (!this.#isBefore(n, parent)) return;
      this.#swap(n, parent);
      n = parent;
    }
  }

  run(): void {
    const heap = this.#heap;
    while (heap.length > 0) {
      const { at, what } = heap[0]!;
      this.#swap(0, heap.length - 1);
      heap.pop();
      for (let n = 0; ; ) {
        let least = n;
        for (const child of [2 * n + 1, 2 * n + 2]) {
          if (child < heap.length && this.#isBefore(child, least)) least = child;
        }
        if (least === n) break;
        this.#swap(n, least);
        n = least;
      }
      what(at);
    }
  }

  #isBefore(one: number, other: number): boolean {
    const a = this.#heap[one]!;
    const b = this.#heap[other]!;
    return a.at === b.at ? a.order < b.order : a.at < b.at;
  }

  #swap(one: number, other: number): void {
    const heap = this.#heap;
    [heap[one], heap[other]] = [heap[other]!, heap[one]!];
  }
}
