/** What the program does on signals. */

export interface SignalActions {
  /** The first TERM or INT: stop reading, send what is queued, end. */
  drain(): void;
  /** The second one: end at once. */
  leave(): void;
  /** USR1, and INFO where it exists. */
  statistics(): void;
  /** HUP. Without it a hang-up ends the program, as is usual for one on a terminal. */
  reopen?(): void;
}

/** Listens for the signals until the returned function is called. */
export function onSignals(actions: SignalActions): () => void {
  let isDraining = false;
  const end = () => {
    if (isDraining) actions.leave();
    else actions.drain();
    isDraining = true;
  };
  const { reopen } = actions;
  const listeners: [NodeJS.Signals, () => void][] = [
    ['SIGTERM', end],
    ['SIGINT', end],
    ['SIGUSR1', () => actions.statistics()],
    // Systems without this signal ignore the listener.
    ['SIGINFO', () => actions.statistics()],
  ];
  if (reopen) listeners.push(['SIGHUP', () => reopen.call(actions)]);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
