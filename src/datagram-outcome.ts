/** What `datagram-thread` and the thread that it starts, `datagram-sender`, both see. A file without imports: the thread is to be small. */

/** What the thread is told at its start. */
export interface ThreadRoom {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly source: string | undefined;
  readonly sendBuffer: number;
  /** The memory that the datagrams lie in: where the first one does, and octets from one to the next. */
  readonly memory: SharedArrayBuffer;
  readonly first: number;
  readonly distance: number;
  readonly lengths: Int32Array;
  /** What became of each datagram that was sent last: 0, or an errno. */
  readonly errors: Int32Array;
  /** In the order of the constants below. */
  readonly outcome: Int32Array;
}

/** Runs answered so far: what a waiting program is woken by. */
export const ANSWERED = 0;
/** What came back behind the last datagram, as an errno; 0 is nothing. */
export const CAME_BACK = 1;
export const OUTCOME = 2;

/** Datagrams to send; a run of none asks what has come back since. */
export interface Run {
  readonly first: number;
  readonly count: number;
}
