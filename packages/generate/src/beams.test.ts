import { Random, ReferenceBackend } from '@parley/engine';
import { expect, test } from 'vitest';
import { BeamSearch, type BeamSearchOptions, type FinishedBeam } from './beams.ts';
import { LocalGenerator } from './generator.ts';
import type { GenerateOptions } from './options.ts';
import { logSumExp } from './select.ts';
import { tinyConfig, tinyModel, tinyTokenizer, uncachedLogits } from './testing/tiny.ts';

const END = 0;

/** A language model as a table: the log-probabilities (V) after any tokens, the same for the same tokens. */
function tableModel(vocabSize: number, seed: number): (tokens: readonly number[]) => Float32Array {
  const known = new Map<string, Float32Array>();
  return (tokens) => {
    const key = tokens.join();
    let row = known.get(key);
    if (row === undefined) {
      const random = new Random([...tokens, 7].reduce((hash, token) => (Math.imul(hash, 31) + token + 1) >>> 0, seed));
      const logits = Float64Array.from({ length: vocabSize }, () => 2 * random.normal());
      const normalizer = logSumExp(logits);
      row = Float32Array.from(logits, (logit) => logit - normalizer);
      known.set(key, row);
    }
    return row;
  };
}

type Result = Pick<FinishedBeam, 'tokens' | 'score'>;

/** All sequences that end with END or at the length, best first. */
function bruteForce(next: (tokens: readonly number[]) => Float32Array, length: number, lengthPenalty: number): Result[] {
  const results: Result[] = [];
  const visit = (tokens: readonly number[], score: number): void => {
    for (const [token, logProbability] of next(tokens).entries()) {
      const longer = [...tokens, token];
      const sum = score + logProbability;
      if (token === END || longer.length === length) results.push({ tokens: longer, score: sum / longer.length ** lengthPenalty });
      else visit(longer, sum);
    }
  };
  visit([], 0);
  return results.toSorted((a, b) => b.score - a.score);
}

const optionsOf = (options: Partial<BeamSearchOptions>): BeamSearchOptions => ({
  numBeams: 2, lengthPenalty: 1, earlyStopping: false, prompt: [], maxLength: 4, endingTokens: 1,
  slots: Array.from({ length: options.numBeams ?? 2 }, (_, i) => i),
  endsWith: (_, token) => (token === END ? { reason: 'stop', stop: END } : null),
  ...options,
});

function search(next: (tokens: readonly number[]) => Float32Array, options: BeamSearchOptions): { beams: BeamSearch; steps: number; copies: number } {
  const beams = new BeamSearch(next([]).length, options);
  // What each slot holds, by content: copying must put every beam's own past where it says it is.
  const slots = new Map<number, readonly number[]>([[options.slots[0]!, options.prompt]]);
  let steps = 0;
  let copies = 0;
  while (!beams.done) {
    steps++;
    for (const beam of beams.running) slots.set(beam.slot, beam.tokens);
    const parents = new Set(beams.running.map(({ slot }) => slot));
    const moves = beams.advance(beams.running.map(({ tokens }) => ({ scores: next(tokens) })));
    for (const { from, to } of moves) slots.set(to, slots.get(from)!);
    copies += moves.length;
    if (beams.done) break;
    for (const { slot, tokens } of beams.running) expect(slots.get(slot)).toEqual(tokens.slice(0, -1));
    expect(new Set(beams.running.map(({ slot }) => slot)).size).toBe(beams.running.length);
    // No fewer copies are possible: one for each beam beyond the first of its parent.
    const kept = beams.running.filter(({ slot }) => parents.has(slot) && !moves.some(({ to }) => to === slot));
    expect(moves.length).toBe(beams.running.length - kept.length);
    expect(new Set(moves.map(({ to }) => to)).size).toBe(moves.length);
  }
  return { beams, steps, copies };
}

for (const lengthPenalty of [0, 0.7, 1, 2]) {
  test(`with beams for everything the search is exhaustive: equal to brute force (50 models, length penalty ${lengthPenalty})`, () => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = tableModel(4, seed);
      const { beams } = search(next, optionsOf({ numBeams: 81, lengthPenalty, earlyStopping: 'never' }));
      const wanted = bruteForce(next, 4, lengthPenalty).slice(0, 10);
      expect(beams.finished.slice(0, 10).map(({ tokens }) => tokens)).toEqual(wanted.map(({ tokens }) => tokens));
      for (const [i, { score }] of wanted.entries()) expect(beams.finished[i]!.score).toBeCloseTo(score, 5);
    }
  });
}

test('few beams: transformers\' algorithm, written out plainly over all candidates (200 models)', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const next = tableModel(6, seed);
    const random = new Random(seed);
    const numBeams = 2 + random.below(3);
    const lengthPenalty = [0, 0.5, 1, 2][random.below(4)]!;
    const earlyStopping = ([true, false, 'never'] as const)[random.below(3)]!;
    const maxLength = 6;
    let running: { tokens: number[]; score: number }[] = [{ tokens: [], score: 0 }];
    let finished: Result[] = [];
    for (let length = 1; ; length++) {
      const all = running.flatMap(({ tokens, score }) => [...next(tokens)].map((logProbability, token) => ({ tokens: [...tokens, token], score: score + logProbability })));
      const top = all.toSorted((a, b) => b.score - a.score).slice(0, 2 * numBeams);
      const ends = (tokens: number[]): boolean => tokens.at(-1) === END || tokens.length === maxLength;
      finished.push(...top.slice(0, numBeams).filter(({ tokens }) => ends(tokens)).map(({ tokens, score }) => ({ tokens, score: score / length ** lengthPenalty })));
      finished = finished.toSorted((a, b) => b.score - a.score).slice(0, numBeams);
      running = top.filter(({ tokens }) => !ends(tokens)).slice(0, numBeams);
      if (running.length === 0) break;
      if (finished.length < numBeams) continue;
      const reach = earlyStopping === 'never' && lengthPenalty > 0 ? maxLength : length;
      if (earlyStopping === true || running[0]!.score / reach ** lengthPenalty <= finished.at(-1)!.score) break;
    }
    const { beams } = search(next, optionsOf({ numBeams, lengthPenalty, earlyStopping, maxLength }));
    expect(beams.finished.map(({ tokens }) => tokens)).toEqual(finished.map(({ tokens }) => tokens));
  }
});

test('stopping early takes fewer steps, and never gives a better score', () => {
  let fewer = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const next = tableModel(5, seed);
    const run = (earlyStopping: boolean | 'never') => search(next, optionsOf({ numBeams: 3, earlyStopping, maxLength: 10 }));
    const [early, heuristic, never] = [run(true), run(false), run('never')];
    expect(early.steps).toBeLessThanOrEqual(heuristic.steps);
    expect(heuristic.steps).toBeLessThanOrEqual(never.steps);
    expect(never.beams.finished[0]!.score).toBeGreaterThanOrEqual(heuristic.beams.finished[0]!.score - 1e-9);
    expect(heuristic.beams.finished[0]!.score).toBeGreaterThanOrEqual(early.beams.finished[0]!.score - 1e-9);
    if (early.steps < never.steps) fewer++;
  }
  expect(fewer).toBeGreaterThan(10);
});

test('drawn candidates: the first of one beam follows its distribution, chi-square at 0.001 (20,000 draws)', () => {
  const next = tableModel(5, 3);
  const draw = new Random(17);
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 20_000; i++) {
    // One beam, one step: whatever is drawn first is finished by its length.
    const beams = new BeamSearch(5, optionsOf({ numBeams: 1, slots: [0], maxLength: 1, draw }));
    beams.advance([{ scores: next([]) }]);
    counts[beams.finished[0]!.tokens[0]!]!++;
  }
  const chiSquare = [...next([])].reduce((sum, logProbability, token) => {
    const wanted = 20_000 * Math.exp(logProbability);
    return sum + (counts[token]! - wanted) ** 2 / wanted;
  }, 0);
  expect(chiSquare).toBeLessThan(18.5);
});

test('everything forbidden is an error', () => {
  const beams = new BeamSearch(3, optionsOf({}));
  expect(() => beams.advance([{ scores: new Float32Array(3).fill(-Infinity) }])).toThrow('every continuation is forbidden');
});

// ---- with a model ---------------------------------------------------------------------------------------------------------

async function withModel<Result>(work: (generator: LocalGenerator, parts: { model: ReturnType<typeof tinyModel>; backend: ReferenceBackend }) => Promise<Result>): Promise<Result> {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('llama', { contextLength: 48 }));
  return await work(new LocalGenerator({ model, tokenizer: tinyTokenizer() }), { model, backend });
}

/** Everything but five tokens is forbidden: small enough to enumerate. */
const FEW = [65, 66, 67, 68, 256];
const logitBias = Object.fromEntries(Array.from({ length: 259 }, (_, token) => token).filter((token) => !FEW.includes(token)).map((token) => [token, -Infinity]));

test('through the model and its cache: enough beams find what brute force over uncached passes finds', async () => {
  await withModel(async (generator, { model }) => {
    const prompt = [72, 105, 33];
    const results: Result[] = [];
    const visit = async (tokens: readonly number[], score: number): Promise<void> => {
      const logits = await uncachedLogits(model, [...prompt, ...tokens]);
      const normalizer = logSumExp(logits);
      for (const token of FEW) {
        const longer = [...tokens, token];
        const sum = score + logits[token]! - normalizer;
        if (token === 256 || longer.length === 3) results.push({ tokens: longer, score: sum / longer.length ** 0.8 });
        else await visit(longer, sum);
      }
    };
    await visit([], 0);
    results.sort((a, b) => b.score - a.score);
    const { sequences } = await generator.generate({ tokens: prompt }, {
      numBeams: 40, numReturnSequences: 6, lengthPenalty: 0.8, earlyStopping: 'never', maxNewTokens: 3, logitBias,
    }).result();
    expect(sequences.map(({ tokens }) => tokens)).toEqual(results.slice(0, 6).map(({ tokens }) => tokens));
    for (const [i, { score }] of sequences.entries()) expect(score).toBeCloseTo(results[i]!.score, 4);
  });
});

test('one beam is greedy decoding; several beams score at least as well', async () => {
  await withModel(async (generator) => {
    const ask = async (options: GenerateOptions) => (await generator.generate('Hello', { maxNewTokens: 12, eosTokenId: [], logProbabilities: 0, ...options }).result()).sequences[0]!;
    const greedy = await ask({});
    expect((await ask({ numBeams: 1 })).tokens).toEqual(greedy.tokens);
    const sum = ({ logProbabilities = [] }: typeof greedy): number => logProbabilities.reduce((total, { logProbability }) => total + logProbability, 0);
    const beams = await ask({ numBeams: 6 });
    expect(sum(beams)).toBeGreaterThanOrEqual(sum(greedy) - 1e-4);
    expect(beams.score).toBeCloseTo(sum(beams) / 12, 4);
  });
});

test('a batch of prompts searches each as alone, also when drawing, and gives back its memory', async () => {
  await withModel(async (generator, { backend }) => {
    const prompts = ['Once upon a time', 'Hi', 'The quick'];
    await generator.generate(prompts, { numBeams: 3, maxNewTokens: 2 }).result();
    const before = backend.stats();
    for (const options of [{ numBeams: 3, numReturnSequences: 2 }, { numBeams: 2, temperature: 1.5, topK: 10, seed: 6 }] satisfies GenerateOptions[]) {
      const asked = { ...options, maxNewTokens: 7, stopTokens: [65, 97, 101, 32, 115], noRepeatNgramSize: 2 };
      const together = await generator.generate(prompts, asked).result();
      const alone = await Promise.all(prompts.map((prompt) => generator.generate(prompt, asked).result()));
      expect(together.sequences.map(({ tokens, score }) => ({ tokens, score: score!.toFixed(4) })))
        .toEqual(alone.flatMap(({ sequences }) => sequences).map(({ tokens, score }) => ({ tokens, score: score!.toFixed(4) })));
      expect(together.sequences.map(({ index }) => index)).toEqual(together.sequences.map((_, i) => i));
    }
    expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
  });
});

test('stop strings end beams; the text stops before them', async () => {
  await withModel(async (generator) => {
    const asked = { numBeams: 4, numReturnSequences: 4, maxNewTokens: 6, logitBias: { ...logitBias, 256: -Infinity } };
    const free = await generator.generate('Hi', asked).result();
    const stopStrings = [free.sequences[0]!.text.slice(2, 4), free.sequences[1]!.text.slice(1, 4), 'never'];
    const { sequences } = await generator.generate('Hi', { ...asked, stopStrings }).result();
    const whole = sequences.map(({ tokens }) => String.fromCharCode(...tokens));
    expect(sequences.map(({ text, stop }) => text + (stop ?? ''))).toEqual(whole);
    expect(sequences.map(({ finishReason, stop }) => finishReason === (stop === null ? 'length' : 'stop'))).toEqual([true, true, true, true]);
    expect(sequences.map(({ text }) => stopStrings.some((stop) => text.includes(stop)))).toEqual([false, false, false, false]);
    expect(sequences.map(({ stop }) => stop)).toContain(stopStrings[0]);
  });
});
