/** How likely a model finds given continuations: what multiple choice, cloze tests and bits per byte are made of. */
import { setImmediate } from 'node:timers/promises';
import { Arena } from '@parley/engine';
import type { Batch, SequenceSpan, Transformer } from '@parley/model';
import { TrainError } from '../errors.ts';

export interface LikelihoodRequest {
  /** At least one token. Where both do not fit the model's context, its start is left out. */
  readonly context: readonly number[];
  /** At least one token, fewer than the model's context. */
  readonly continuation: readonly number[];
}

export interface Likelihood {
  /** −ln of the continuation's probability. */
  readonly nats: number;
  /** Whether every token of it was the likeliest: whether greedy generation would have said it. */
  readonly greedy: boolean;
  /** Tokens of the context that were left out. */
  readonly cut: number;
}

export interface LikelihoodOptions {
  /** Tokens of a batch at most, where one request has not more. Default 2,048. */
  readonly batchTokens?: number | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Logits of a batch at most: 64 MB of them. */
const MOST_LOGITS = 2 ** 24;

interface Placed {
  readonly index: number;
  readonly tokens: readonly number[];
  readonly targets: number;
  readonly cut: number;
}

/** In the order of the requests. Throws TrainError for one that cannot be asked, and the signal's reason. */
export async function likelihoods(model: Transformer, requests: readonly LikelihoodRequest[], options: LikelihoodOptions = {}): Promise<Likelihood[]> {
  const { batchTokens = 2048 } = options;
  const { contextLength, vocabSize } = model.config;
  const placed = requests.map(({ context, continuation }, index): Placed => {
    if (context.length === 0 || continuation.length === 0) throw new TrainError(`request ${index} has no context or no continuation: each needs a token`);
    if (continuation.length > contextLength) {
      throw new TrainError(`a continuation of ${continuation.length} tokens is over this model's context of ${contextLength}: shorten it`);
    }
    const whole = [...context, ...continuation];
    // The last token is only predicted, never read.
    const tokens = whole.slice(Math.max(0, whole.length - contextLength - 1));
    return { index, tokens, targets: continuation.length, cut: whole.length - tokens.length };
  });
  const results: Likelihood[] = Array.from({ length: requests.length }, () => ({ nats: 0, greedy: false, cut: 0 }));
  using arena = new Arena(model.backend);
  let done = 0;
  let batch: Placed[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    await setImmediate();
    options.signal?.throwIfAborted();
    await scoreBatch(model, arena, batch, results);
    done += batch.length;
    options.onProgress?.(done);
    batch = [];
  };
  // Equals beside each other: attention over a batch costs what its longest sequence does.
  let rows = 0;
  let targets = 0;
  for (const request of placed.toSorted((a, b) => a.tokens.length - b.tokens.length)) {
    const length = request.tokens.length - 1;
    if (batch.length > 0 && (rows + length > batchTokens || (targets + request.targets) * vocabSize > MOST_LOGITS)) {
      await flush();
      [rows, targets] = [0, 0];
    }
    batch.push(request);
    rows += length;
    targets += request.targets;
  }
  await flush();
  return results;
}

async function scoreBatch(model: Transformer, arena: Arena, requests: readonly Placed[], results: Likelihood[]): Promise<void> {
  const vocabSize = model.config.vocabSize;
  const sequences: SequenceSpan[] = [];
  const tokens: number[] = [];
  const positions: number[] = [];
  const logitRows: number[] = [];
  const wanted: number[] = [];
  for (const request of requests) {
    const start = tokens.length;
    const length = request.tokens.length - 1;
    sequences.push({ start, length });
    for (let i = 0; i < length; i++) {
      tokens.push(request.tokens[i] ?? 0);
      positions.push(i);
      if (i < length - request.targets) continue;
      logitRows.push(start + i);
      wanted.push(request.tokens[i + 1] ?? 0);
    }
  }
  arena.reset();
  const batch: Batch = { tokens: Int32Array.from(tokens), positions: Int32Array.from(positions), sequences, logitRows: Int32Array.from(logitRows) };
  const logits = new Float32Array(logitRows.length * vocabSize);
  await model.backend.read(model.forward({ arena, tape: null }, batch), logits);
  let row = 0;
  for (const { index, targets, cut } of requests) {
    let nats = 0;
    let greedy = true;
    for (let t = 0; t < targets; t++, row++) {
      const { loss, likeliest } = surprise(logits.subarray(row * vocabSize, (row + 1) * vocabSize), wanted[row] ?? 0);
      nats += loss;
      greedy &&= likeliest;
    }
    results[index] = { nats, greedy, cut };
  }
  arena.reset();
}

/** ln Σ exp − the target's logit, in double precision; and whether none is larger. */
function surprise(logits: Float32Array, target: number): { loss: number; likeliest: boolean } {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const own = logits[target] ?? -Infinity;
  return { loss: largest + Math.log(sum) - own, likeliest: own >= largest };
}
