/** How a batching generator is set up, and what it tells about itself. */
import { count, OptionError } from '../errors.ts';

export interface BatchingOptions {
  /** Sequences computed at once. Default 32. */
  readonly maxBatch?: number;
  /** Requests that wait, at most; the next one gets a QueueFullError. Default 256. */
  readonly queueLimit?: number;
  /**
   * Memory for keys and values, running sequences' and remembered ones'. Default: what `maxBatch` full contexts take, but no more than
   * 512 MiB (or one full context, if that is more) and half of what the backend has left.
   */
  readonly kvMemoryBytes?: number;
  /** Tokens in a page, the unit in which that memory is given out. Default 32. */
  readonly pageTokens?: number;
  /** Prompt tokens in one step, at most, of all sequences together. Default 128. */
  readonly prefillChunk?: number;
}

export interface BatchingSettings {
  readonly maxBatch: number;
  readonly queueLimit: number;
  readonly kvMemoryBytes: number | null;
  readonly pageTokens: number;
  readonly prefillChunk: number;
}

/** Throws OptionError. */
export function batchingSettings(options: BatchingOptions): BatchingSettings {
  for (const [option, value] of Object.entries(options) as [keyof BatchingOptions, number | undefined][]) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= (option === 'queueLimit' ? 0 : 1))) continue;
    throw new OptionError(`${option} is ${value}: it has to be a whole number from ${option === 'queueLimit' ? 0 : 1}`, { option, value });
  }
  const { maxBatch = 32, queueLimit = 256, kvMemoryBytes = null, pageTokens = 32, prefillChunk = 128 } = options;
  return { maxBatch, queueLimit, kvMemoryBytes, pageTokens, prefillChunk };
}

const MOST_BY_DEFAULT = 512 * 2 ** 20;

/** Pages of the pool. Throws OptionError where the memory asked for has no room for one. */
export function poolPages(
  { kvMemoryBytes, maxBatch, pageTokens }: BatchingSettings,
  { rowBytes, contextLength, freeBytes }: { rowBytes: number; contextLength: number; freeBytes: number },
): number {
  const pageBytes = rowBytes * pageTokens;
  const context = Math.ceil(contextLength / pageTokens);
  if (kvMemoryBytes === null) {
    const most = Math.min(Math.max(MOST_BY_DEFAULT, context * pageBytes), freeBytes / 2);
    return Math.max(1, Math.min(maxBatch * context, Math.floor(most / pageBytes)));
  }
  if (kvMemoryBytes >= pageBytes) return Math.floor(kvMemoryBytes / pageBytes);
  throw new OptionError(
    `kvMemoryBytes is ${count(kvMemoryBytes)}: a page of ${pageTokens} tokens takes ${count(pageBytes)} with this model, so ask for more`,
    { option: 'kvMemoryBytes', value: kvMemoryBytes },
  );
}

/** Gauges, as of now, and counters since the generator was made. */
export interface SchedulerStats {
  /** Sequences in the batch. */
  readonly running: number;
  /** Requests of which nothing has been computed yet. */
  readonly waiting: number;
  /** Requests with sliding contexts or beams, which are computed beside the batch, one at a time. */
  readonly runningAlone: number;
  /** Pages that belong to running sequences or to the prefix cache. */
  readonly kvPagesUsed: number;
  readonly kvPagesTotal: number;
  /** Tokens whose keys and values are remembered from sequences that have ended. */
  readonly prefixCacheTokens: number;
  /** Steps of the batch: forward passes. */
  readonly steps: number;
  readonly tokensGenerated: number;
  /** Prompt tokens of requests that have begun, each prompt once. */
  readonly promptTokens: number;
  /** Of these, not computed, since an earlier request had. */
  readonly cachedTokens: number;
  /** Requests that reached their end. */
  readonly finished: number;
  /** Requests whose reader left or whose signal was aborted. */
  readonly aborted: number;
  /** Times a sequence lost its memory to others and was computed again. */
  readonly preemptions: number;
  /** Tokens guessed by prompt lookup or an assistant, and of these the ones that came. */
  readonly draftTokens: number;
  readonly acceptedTokens: number;
}
