/** Texts as vectors: the mean over a text's tokens of the model's last hidden states, scaled to length 1. */
import { Arena, type Tensor } from '@parley/engine';
import type { KeyValueCache, SequenceSpan } from '@parley/model';
import { breathe } from './breathe.ts';
import { ContextOverflowError, count, GenerateError } from './errors.ts';
import type { LanguageModel } from './runner.ts';

export interface Embeddings {
  /** In the order of the texts, (hidden size) each. */
  readonly vectors: Float32Array[];
  /** Of all texts together. */
  readonly tokens: number;
}

/** Tokens in one pass at most, so that those who share the model wait for no more; a text that a model reads both ways is one pass. */
const CHUNK = 128;

/** Throws GenerateError, ContextOverflowError and the signal's reason. */
export async function embedTokens(model: LanguageModel, inputs: readonly (readonly number[])[], signal?: AbortSignal): Promise<Embeddings> {
  const { contextLength, bidirectional = false } = model.config;
  for (const [index, { length }] of inputs.entries()) {
    if (length === 0) throw new GenerateError(`text ${index} has no tokens: there is nothing to embed`);
    if (length <= contextLength) continue;
    throw new ContextOverflowError(`text ${index} has ${count(length)} tokens, and this model's context holds ${count(contextLength)}: cut it in parts`, {
      promptTokens: length, newTokens: 0, contextLength,
    });
  }
  using arena = new Arena(model.backend);
  const vectors: Float32Array[] = [];
  const longest = Math.max(0, ...inputs.map(({ length }) => length));
  using cache = bidirectional || longest <= CHUNK ? null : model.createCache({ slots: 1, capacity: longest });
  for (let next = 0; next < inputs.length;) {
    signal?.throwIfAborted();
    const first = inputs[next] as readonly number[];
    if (cache && first.length > CHUNK) {
      vectors.push(await inParts(model, first, { arena, cache, signal }));
      next++;
      continue;
    }
    const group: (readonly number[])[] = [];
    for (let size = 0; next < inputs.length; next++) {
      const input = inputs[next] as readonly number[];
      size += input.length;
      if (group.length > 0 && size > CHUNK) break;
      group.push(input);
    }
    vectors.push(...(await together(model, group, arena)));
  }
  for (const vector of vectors) normalize(vector);
  return { vectors, tokens: inputs.reduce((sum, { length }) => sum + length, 0) };
}

/** Sums of the states of several short texts, by one pass. */
async function together(model: LanguageModel, group: readonly (readonly number[])[], arena: Arena): Promise<Float32Array[]> {
  arena.reset();
  const sequences: SequenceSpan[] = [];
  let end = 0;
  for (const { length } of group) {
    sequences.push({ start: end, length });
    end += length;
  }
  const states = model.hidden({ arena, tape: null }, {
    tokens: Int32Array.from(group.flat()),
    positions: Int32Array.from(group.flatMap((tokens) => [...tokens.keys()])),
    sequences,
  });
  const values = await readRows(states);
  return sequences.map(({ start, length }) => addRows(new Float64Array(states.dim(1)), values, { start, length })).map((sum) => Float32Array.from(sum));
}

/** The sum of the states of a long text, some tokens at a time. */
async function inParts(
  model: LanguageModel,
  tokens: readonly number[],
  { arena, cache, signal }: { arena: Arena; cache: KeyValueCache; signal: AbortSignal | undefined },
): Promise<Float32Array> {
  let sum: Float64Array | undefined;
  for (let past = 0; past < tokens.length; past += CHUNK) {
    signal?.throwIfAborted();
    arena.reset();
    const part = tokens.slice(past, past + CHUNK);
    const states = model.hidden({ arena, tape: null }, {
      tokens: Int32Array.from(part),
      positions: Int32Array.from(part, (_, i) => past + i),
      sequences: [{ start: 0, length: part.length, slot: 0, past }],
      cache,
    });
    const values = await readRows(states);
    sum = addRows(sum ?? new Float64Array(states.dim(1)), values, { start: 0, length: part.length });
  }
  return Float32Array.from(sum ?? []);
}

async function readRows(states: Tensor): Promise<Float32Array> {
  const values = new Float32Array(states.size);
  await states.backend.read(states, values);
  await breathe();
  return values;
}

/** Row by row in f64, so that how a text was cut makes no difference. */
function addRows(sum: Float64Array, values: Float32Array, { start, length }: { start: number; length: number }): Float64Array {
  const width = sum.length;
  for (let row = start; row < start + length; row++) {
    for (let i = 0; i < width; i++) sum[i] = (sum[i] as number) + (values[row * width + i] as number);
  }
  return sum;
}

/** The mean's direction is the sum's. */
function normalize(vector: Float32Array): void {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
  for (const [i, value] of vector.entries()) vector[i] = value * scale;
}
