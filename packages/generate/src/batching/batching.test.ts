/** Many requests on one model: each gets what it gets alone, nobody is held up for long, nothing is kept that should be free. */
import { Random, ReferenceBackend } from '@parley/engine';
import type { Batch, Transformer } from '@parley/model';
import { expect, test } from 'vitest';
import { GeneratorClosedError, OptionError, QueueFullError } from '../errors.ts';
import type { GenerateEvent } from '../events.ts';
import { LocalGenerator } from '../generator.ts';
import type { GenerateOptions } from '../options.ts';
import type { Prompt } from '../prompt.ts';
import type { LanguageModel } from '../runner.ts';
import { tinyConfig, tinyModel, tinyTokenizer } from '../testing/tiny.ts';
import { BatchingGenerator } from './batching-generator.ts';
import type { BatchingOptions } from './settings.ts';

const ENDLESS = { eosTokenId: [] } as const;
const tokenizer = tinyTokenizer();

interface Setup extends AsyncDisposable {
  readonly backend: ReferenceBackend;
  readonly model: Transformer;
  readonly generator: BatchingGenerator;
  /** What each step was given. */
  readonly batches: Batch[];
}

function setup(options: BatchingOptions = {}, { contextLength = 64, pages }: { contextLength?: number; pages?: number } = {}): Setup {
  const backend = new ReferenceBackend();
  const model = tinyModel(backend, tinyConfig('llama', { contextLength }));
  const batches: Batch[] = [];
  const watched: LanguageModel = {
    config: model.config, backend,
    createCache: (size) => model.createCache(size),
    hidden: (ctx, batch) => model.hidden(ctx, batch),
    forward: (ctx, batch) => {
      batches.push(batch);
      return model.forward(ctx, batch);
    },
  };
  const { pageTokens = 4 } = options;
  // 2 layers of keys and values, 1 head of 8 numbers of 4 bytes
  const memory = pages === undefined ? {} : { kvMemoryBytes: pages * pageTokens * 2 * 2 * 8 * 4 };
  const generator = new BatchingGenerator({ model: watched, tokenizer }, { pageTokens, ...memory, ...options });
  return {
    backend, model, generator, batches,
    async [Symbol.asyncDispose]() {
      await generator.dispose();
      model.dispose();
    },
  };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (await holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('it never came to that');
}

const OPTIONS: readonly GenerateOptions[] = [
  {}, { temperature: 1 }, { temperature: 0.8, topK: 20, repetitionPenalty: 1.2 }, { topP: 0.9, minP: 0.01, numReturnSequences: 3 },
  { presencePenalty: 0.7, frequencyPenalty: 0.3, noRepeatNgramSize: 2 }, { logProbabilities: 3, temperature: 1.2 }, { stopStrings: ['e', 'xy'], temperature: 1 },
  { constraint: { type: 'regex', pattern: '[a-z]{2,12}' }, eosTokenId: 256, temperature: 1 }, { prefixCache: false, temperature: 1, numReturnSequences: 2 },
  { logitBias: { 97: 6 }, minNewTokens: 3, eosTokenId: 97 }, { numBeams: 2 }, { contextOverflow: 'slide', keepTokens: 2, maxNewTokens: 100, temperature: 1 },
];
const OPENINGS = ['You are a helpful assistant. ', 'Once upon a time, ', ''];

test('whatever the arrivals, the options and the memory, answers, log-probabilities and random states are those of the request alone', async () => {
  const random = new Random(11);
  let preemptions = 0;
  for (const pages of [22, 30, 200]) {
    await using system = setup({ maxBatch: 5, prefillChunk: 7 }, { pages, contextLength: 128 });
    const alone = new LocalGenerator({ model: system.model, tokenizer });
    const requests = Array.from({ length: 16 }, (_, i) => {
      const text = `${OPENINGS[random.below(OPENINGS.length)]}${'abcdefgh'.slice(0, 1 + random.below(8))}`;
      const options: GenerateOptions = {
        maxNewTokens: 3 + random.below(38), ...ENDLESS, seed: i, queueKey: `key ${random.below(3)}`, priority: random.below(2), ...OPTIONS[random.below(OPTIONS.length)],
      };
      return { prompts: (random.below(5) === 0 ? [text, 'Hi'] : [text]) as Prompt[], options, delay: random.below(25), leaves: random.below(8) === 0 };
    });
    const answers = await Promise.all(requests.map(async ({ prompts, options, delay, leaves }) => {
      for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (!leaves) return await system.generator.generate(prompts, options).result();
      let events = 0;
      for await (const _ of system.generator.generate(prompts, options)) if (++events === 3) break;
      return null;
    }));
    for (const [i, { prompts, options }] of requests.entries()) {
      const answer = answers[i]!;
      if (answer === null) continue;
      const { sequences, usage } = await alone.generate(prompts, options).result();
      expect(answer.sequences, `request ${i}: ${JSON.stringify(options)}`).toEqual(sequences);
      expect({ ...answer.usage, cachedTokens: 0 }).toEqual(usage);
    }
    const stats = await system.generator.stats();
    expect(stats).toMatchObject({ running: 0, waiting: 0, runningAlone: 0 });
    preemptions += stats.preemptions;
    expect(stats.cachedTokens).toBeGreaterThan(0);
  }
  expect(preemptions).toBeGreaterThan(0);
});

test('a long prompt comes in pieces, and those who are decoding take every step', async () => {
  await using system = setup({ prefillChunk: 5 }, { contextLength: 128 });
  const talking = ['a', 'b', 'c'].map((prompt) => system.generator.generate(prompt, { maxNewTokens: 40, ...ENDLESS }).result());
  await until(() => system.batches.length >= 3);
  const before = system.batches.length;
  const { sequences } = await system.generator.generate('x'.repeat(80), { maxNewTokens: 1, ...ENDLESS }).result();
  expect(sequences).toHaveLength(1);
  const during = system.batches.slice(before).filter(({ sequences: spans }) => spans.length === 4);
  expect(during).toHaveLength(16);
  for (const { sequences: spans } of during) expect(spans.map(({ length }) => length)).toEqual([1, 1, 1, 5]);
  await Promise.all(talking);
});

test('a reader who leaves and a signal that is aborted free their places within a step, and the next in line have them', async () => {
  await using system = setup({ maxBatch: 2 });
  const controller = new AbortController();
  const long = { maxNewTokens: 50, ...ENDLESS };
  const aborted = system.generator.generate('one', { ...long, signal: controller.signal }).result();
  const left = system.generator.generate('two', long)[Symbol.asyncIterator]();
  for (let i = 0; i < 3; i++) await left.next();
  const waiting = system.generator.generate('three', { maxNewTokens: 2, ...ENDLESS }).result();
  const gone = new AbortController();
  const never = system.generator.generate('four', { ...long, signal: gone.signal }).result();
  await until(async () => (await system.generator.stats()).waiting === 2);
  expect(await system.generator.stats()).toMatchObject({ running: 2, waiting: 2 });

  gone.abort(new Error('changed my mind'));
  await expect(never).rejects.toThrow('changed my mind');
  expect(await system.generator.stats()).toMatchObject({ running: 2, waiting: 1, aborted: 1 });
  const { steps } = await system.generator.stats();
  await left.return();
  const after = await system.generator.stats();
  expect(after.steps - steps).toBeLessThanOrEqual(1);
  expect(after.running + after.waiting).toBe(2);
  expect((await waiting).sequences[0]!.tokens).toHaveLength(2);
  controller.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  await until(async () => (await system.generator.stats()).running === 0);
  const end = await system.generator.stats();
  expect(end).toMatchObject({ running: 0, waiting: 0, aborted: 3, finished: 1 });
});

test('a conversation computes only what is new of each turn, with the same tokens; usage tells how much was there', async () => {
  await using system = setup({}, { contextLength: 256 });
  const alone = new LocalGenerator({ model: system.model, tokenizer });
  let tokens = tokenizer.encode('A first question, rather long');
  let known = 0;
  for (let turn = 0; turn < 4; turn++) {
    const options = { temperature: 1, seed: turn, maxNewTokens: 6, ...ENDLESS };
    const [here, there] = [await system.generator.generate({ tokens }, options).result(), await alone.generate({ tokens }, options).result()];
    expect(here.sequences).toEqual(there.sequences);
    expect(here.usage.cachedTokens).toBe(known);
    // The last token chosen was never fed.
    tokens = [...tokens, ...here.sequences[0]!.tokens];
    known = tokens.length - 1;
    tokens = [...tokens, 10 + turn, 20, 30];
  }
  // One conversation, one extent: it was taken over each time.
  expect((await system.generator.stats()).prefixCacheTokens).toBe(known);
  // Another one with the same beginning leaves this one's memory alone.
  const fork = await system.generator.generate({ tokens: [...tokens.slice(0, 20), 1, 2] }, { maxNewTokens: 2, ...ENDLESS }).result();
  expect(fork.usage.cachedTokens).toBe(20);
  expect((await system.generator.generate({ tokens }, { maxNewTokens: 1, ...ENDLESS }).result()).usage.cachedTokens).toBe(known);
  const apart = await system.generator.generate({ tokens }, { maxNewTokens: 1, ...ENDLESS, prefixCache: false }).result();
  expect(apart.usage.cachedTokens).toBe(0);
});

test('answers to one prompt, and requests that come together with one beginning, compute it once', async () => {
  await using system = setup({ maxBatch: 8, prefillChunk: 8 }, { contextLength: 128 });
  const opening = 'A system prompt of some length that everybody has. ';
  const sampled = { temperature: 1, maxNewTokens: 3, ...ENDLESS };
  const [many, other] = await Promise.all([
    system.generator.generate(opening, { ...sampled, seed: 1, numReturnSequences: 5 }).result(),
    system.generator.generate(`${opening}And mine.`, { ...sampled, seed: 2 }).result(),
  ]);
  expect([many.usage.cachedTokens, other.usage.cachedTokens]).toEqual([0, opening.length]);
  const fed = system.batches.reduce((sum, { tokens }) => sum + tokens.length, 0);
  // The opening once, its last token again for each of the four others, 9 of the other prompt, 2 of each of six answers.
  expect(fed).toBe(opening.length + 4 + 9 + 6 * 2);
});

test('a key with many requests does not keep another key waiting: they take turns', async () => {
  await using system = setup({ maxBatch: 1 });
  const order: string[] = [];
  const ask = async (queueKey: string, name: string): Promise<void> => {
    await system.generator.generate(name, { maxNewTokens: 2, queueKey, ...ENDLESS }).result();
    order.push(name);
  };
  await Promise.all([...['a1', 'a2', 'a3', 'a4'].map((name) => ask('a', name)), ask('b', 'b1'), ask('b', 'b2')]);
  expect(order).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'a4']);
});

test('past its cap the queue refuses, with numbers; who waits is served', async () => {
  await using system = setup({ maxBatch: 1, queueLimit: 2 });
  const ask = () => system.generator.generate('x', { maxNewTokens: 3, ...ENDLESS }).result();
  const taken = [ask(), ask(), ask()];
  const error = await ask().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(QueueFullError);
  expect(error).toMatchObject({ limit: 2, waiting: 3 });
  expect((error as QueueFullError).retryAfterSeconds).toBeGreaterThanOrEqual(1);
  expect(await Promise.all(taken)).toHaveLength(3);
});

test('what can never fit is refused; an answer as long as fits ends there; options are checked', async () => {
  await using system = setup({}, { pages: 5 });
  await expect(system.generator.generate('x'.repeat(10), { maxNewTokens: 11, ...ENDLESS }).result()).rejects.toThrow('ask for 20 tokens at most');
  const { sequences } = await system.generator.generate('x'.repeat(10), ENDLESS).result();
  expect(sequences[0]).toMatchObject({ finishReason: 'length', tokens: { length: 10 } });
  expect(() => setup({ maxBatch: 0 })).toThrow(OptionError);
  await using tiny = setup({ kvMemoryBytes: 100 });
  await expect(tiny.generator.generate('x').result()).rejects.toThrow('kvMemoryBytes is 100: a page of 4 tokens takes 512');
});

test('one request that fails takes nobody along', async () => {
  await using system = setup();
  const fine = system.generator.generate('fine', { maxNewTokens: 8, ...ENDLESS }).result();
  const broken = system.generator.generate('broken', { maxNewTokens: 8, ...ENDLESS, logitBias: Object.fromEntries(Array.from({ length: 259 }, (_, id) => [id, -Infinity])) });
  await expect(broken.result()).rejects.toThrow('every token is forbidden');
  expect((await fine).sequences[0]!.tokens).toHaveLength(8);
});

test('disposing ends open requests, queued ones and those beside the batch, and gives all memory back', async () => {
  const system = setup({ maxBatch: 1 });
  await new LocalGenerator({ model: system.model }).generate({ tokens: [1] }, { maxNewTokens: 1 }).result(); // the model keeps its scratch memory
  const before = system.backend.stats();
  const long = { maxNewTokens: 50, ...ENDLESS };
  const open = [long, long, { ...long, numBeams: 2 }, { ...long, contextOverflow: 'slide' as const }].map((options) => system.generator.generate('x', options).result());
  const failed = Promise.all(open.map((each) => each.catch((error: unknown) => error)));
  await until(async () => (await system.generator.stats()).steps > 2);
  await system.generator.dispose();
  for (const error of await failed) expect(error).toBeInstanceOf(GeneratorClosedError);
  expect(system.backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
  await expect(system.generator.generate('x').result()).rejects.toThrow(GeneratorClosedError);
  system.model.dispose();
});

test('once warm, steps allocate nothing from the backend', async () => {
  await using system = setup({ maxBatch: 4 });
  const seen: GenerateEvent[] = [];
  const allocations = new Set<number>();
  const ask = async (measured: boolean): Promise<void> => {
    for await (const event of system.generator.generate('Hello', { maxNewTokens: 20, ...ENDLESS })) {
      seen.push(event);
      if (measured) allocations.add(system.backend.stats().allocations);
    }
  };
  await Promise.all([ask(false), ask(false)]);
  await Promise.all([ask(true), ask(true)]);
  expect(allocations.size).toBe(1);
});
