/** Lets the event loop turn: timers fire, messages and Ctrl-C arrive. Computing never gives it the chance by itself. */

interface Scheduler {
  /** Node's: after the events that are due, without waiting. */
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly setTimeout: (callback: () => void, milliseconds: number) => unknown;
}

export async function breathe(): Promise<void> {
  const scheduler = globalThis as unknown as Scheduler;
  await new Promise<void>((resolve) => {
    if (scheduler.setImmediate) scheduler.setImmediate(resolve);
    else scheduler.setTimeout(resolve, 0);
  });
}
