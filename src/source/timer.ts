/** Timers as sources use them, so that tests can let them expire without waiting. */

export interface Timer {
  cancel(): void;
}

export type StartTimer = (milliseconds: number, action: () => void) => Timer;

export const startTimer: StartTimer = (milliseconds, action) => {
  const timeout = setTimeout(action, milliseconds);
  return { cancel: () => clearTimeout(timeout) };
};
