/** Attempts with pauses between them that grow, for faults that pass. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Transient } from './errors.ts';

/** Resolves after `milliseconds`; rejects with the signal's reason when it is aborted. */
export type Wait = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

export const clock: Wait = async (milliseconds, signal) => {
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
};

export interface RetryOptions {
  /** Further attempts after the first, counted anew whenever one came further than all before it. */
  readonly retries: number;
  readonly wait: Wait;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((fault: Transient, pause: number) => void) | undefined;
  /** How far the work has come; only grows by real progress. */
  readonly progress?: () => number;
}

/** Pauses longer than this are not waited for: the user is told instead. */
const LONGEST_PAUSE = 120_000;

/**
 * The result of `work`, tried again on Transient. Pauses double from half a second up to sixteen, less up to a quarter by chance so that
 * many clients do not come back together; a hub's Retry-After goes before that. Throws Transient's `final` when no attempt is left.
 */
export async function withRetries<Result>(options: RetryOptions, work: () => Promise<Result>): Promise<Result> {
  const { retries, wait, signal, onRetry, progress = () => 0 } = options;
  let furthest = progress();
  let failures = 0;
  // Faults that are worth fewer attempts than others, since the beginning.
  let limited = 0;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (fault) {
      signal?.throwIfAborted();
      if (!(fault instanceof Transient)) throw fault;
      const reached = progress();
      if (reached > furthest) failures = 0;
      furthest = Math.max(furthest, reached);
      failures++;
      if (fault.attempts < Infinity) limited++;
      if (failures > retries || limited > fault.attempts || (fault.retryAfter ?? 0) > LONGEST_PAUSE) throw fault.final;
      const pause = fault.retryAfter ?? Math.round(Math.min(16_000, 500 * 2 ** (failures - 1)) * (1 - Math.random() / 4));
      onRetry?.(fault, pause);
      await wait(pause, signal);
    }
  }
}
