/** Lets the event loop turn: timers fire, messages and Ctrl-C arrive. Computing never gives it the chance by itself. */

interface Scheduler {
  /** Node's: after the events that are due, without waiting. */
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly setTimeout: (callback: () => void, milliseconds: number) => unknown;
}

/** A browser's timers wait 4 ms, so that there it pays to breathe once in so many milliseconds of computing. */
const BREATH = 32;
let last = 0;

export async function breathe(): Promise<void> {
  const scheduler = globalThis as unknown as Scheduler;
  const { setImmediate } = scheduler;
  if (setImmediate) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  } else if (performance.now() - last > BREATH) {
    await new Promise<void>((resolve) => scheduler.setTimeout(resolve, 0));
    last = performance.now();
  }
}
