/** Ctrl-C (SIGINT) and SIGTERM as an AbortSignal. */

/** Why work ended that was stopped by Ctrl-C: the command line ends with status 130 and says no more. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

export interface Interrupts extends Disposable {
  /** Aborted by the first interrupt. */
  readonly signal: AbortSignal;
}

/**
 * Until it is disposed, the first interrupt aborts the signal, and the second ends the process at once with status 130, which
 * is also what a command that stopped because of the first should end with. `onFirst` may say what is going to happen.
 */
export function catchInterrupts(onFirst: () => void = () => {}): Interrupts {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    onFirst();
    controller.abort(new Interrupted('stopped by Ctrl-C'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
}
