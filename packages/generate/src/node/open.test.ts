import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ReferenceBackend } from '@parley/engine';
import { saveModel } from '@parley/model/node';
import { Tokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ContextOverflowError, GeneratorClosedError, OptionError } from '../errors.ts';
import { END_OF_TEXT, tinyConfig, tinyModel, tinyTokenizer, TURN_END } from '../testing/tiny.ts';
import { type ModelGenerator, openGenerator } from './open.ts';
import { WorkerGenerator } from './worker-generator.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-generate-'));
  const backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('llama', { contextLength: 4096 }));
  await saveModel(model, folder, { generation: { eosTokenIds: [END_OF_TEXT, TURN_END], defaults: { temperature: 0.8 } } });
  await saveTokenizer(tinyTokenizer(), folder);
});
afterAll(async () => await rm(folder, { recursive: true }));

const open = (worker: boolean): Promise<ModelGenerator> => openGenerator(folder, { worker, backend: 'reference' });
const LONG = { maxNewTokens: 4000, eosTokenId: [] } as const;

test('the thread answers as this thread does: facts, events and results', async () => {
  await using local = await open(false);
  await using remote = await open(true);
  expect({ ...remote.info, loadMs: 0 }).toEqual({ ...local.info, loadMs: 0 });
  expect(remote.info).toMatchObject({ family: 'llama', contextLength: 4096, vocabSize: 259, dtype: 'f32', chat: true, defaults: { temperature: 0.8 } });
  const options = { temperature: 1, seed: 3, numReturnSequences: 2, maxNewTokens: 8, logProbabilities: 2, logitBias: new Map([[65, 3]]), stopStrings: ['zz'] };
  const [here, there] = [await local.generate(['Hello', 'Hi'], options).result(), await remote.generate(['Hello', 'Hi'], options).result()];
  expect(there.sequences).toEqual(here.sequences);
  expect(there.prompts).toEqual(here.prompts);
  expect(there.usage).toEqual(here.usage);
  // The folder's own end-of-text tokens count.
  const ended = await remote.generate('Hi', { logitBias: { [TURN_END]: 100 } }).result();
  expect(ended.sequences[0]).toMatchObject({ tokens: [TURN_END], finishReason: 'stop' });
});

test('while the thread computes, this thread\'s event loop turns, and requests run side by side', async () => {
  await using generator = await open(true);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const results = await Promise.all([1, 2].map((seed) => generator.generate('Hi', { temperature: 1, seed, maxNewTokens: 60, eosTokenId: [] }).result()));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(3);
  expect(results[0]!.sequences[0]!.tokens).not.toEqual(results[1]!.sequences[0]!.tokens);
});

test('leaving and aborting reach the thread, which then serves others', async () => {
  await using generator = await open(true);
  let seen = 0;
  for await (const event of generator.generate('Hi', LONG)) {
    if (event.type === 'token' && ++seen === 3) break;
  }
  const controller = new AbortController();
  const run = (async () => {
    for await (const event of generator.generate('Hi', { ...LONG, signal: controller.signal })) {
      if (event.type === 'token') controller.abort(new Error('enough of this'));
    }
  })();
  await expect(run).rejects.toThrow('enough of this');
  await expect(generator.generate('Hi', { signal: AbortSignal.abort(new Error('too late')) }).result()).rejects.toThrow('too late');
  expect((await generator.generate('Hi', { maxNewTokens: 2, eosTokenId: [] }).result()).sequences[0]!.tokens).toHaveLength(2);
});

test('errors come back with class, message and fields', async () => {
  await using generator = await open(true);
  expect(() => generator.generate('Hi', { temperature: -1 })).toThrow(OptionError);
  const error = await generator.generate('Hi', { maxNewTokens: 5000 }).result().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ContextOverflowError);
  expect(error).toMatchObject({ name: 'ContextOverflowError', promptTokens: 2, newTokens: 5000, contextLength: 4096 });
  expect((error as Error).message).toContain('a prompt of 2 tokens and 5,000 new ones need 5,002');
  await expect(open(true).then(() => openGenerator(join(folder, 'nowhere')))).rejects.toMatchObject({ name: 'ModelNotFoundError' });
  await expect(openGenerator(folder, { backend: 'reference', threads: 3 })).rejects.toThrow('the reference backend has one thread, not 3');
});

test('disposing with a request open ends also where nothing else keeps the process alive', async () => {
  const script = `
    import { openGenerator } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const generator = await openGenerator(${JSON.stringify(folder)}, { backend: 'reference' });
    const open = generator.generate('Hi', { maxNewTokens: 4000, eosTokenId: [] }).result().catch((error) => error.name);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await generator.dispose();
    console.log(await open);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout.trim()).toBe('GeneratorClosedError');
});

test('disposing ends open requests; so does the death of the thread, and both name the reason', async () => {
  const generator = await open(true);
  const events = generator.generate('Hi', LONG)[Symbol.asyncIterator]();
  await events.next();
  await events.next();
  await generator.dispose();
  const drain = async (): Promise<void> => {
    while ((await events.next()).done !== true);
  };
  await expect(drain()).rejects.toThrow(GeneratorClosedError);
  await expect(generator.generate('Hi').result()).rejects.toThrow('disposed');
  await generator.dispose();

  const script = new URL('../testing/dying-worker.ts', import.meta.url);
  await using dying = await WorkerGenerator.open({ folder: '', options: {} }, script);
  const both = ['a', 'b'].map((prompt) => dying.generate(prompt).result());
  for (const each of both) await expect(each).rejects.toThrow('the generating thread ended by itself with status 7: open the model again');
  await expect(dying.generate('c').result()).rejects.toThrow(GeneratorClosedError);
});

test('the thread answers many at once, tells how busy it is, counts, encodes, decodes and embeds as this thread does', async () => {
  await using local = await open(false);
  await using remote = await open(true);
  const ask = (generator: ModelGenerator) => Promise.all(Array.from({ length: 12 }, (_, i) =>
    generator.generate(`A common beginning. ${i}`, { seed: i, temperature: 1, maxNewTokens: 6, queueKey: `${i % 3}`, constraint: { type: 'regex', pattern: '[a-z ]+' } }).result()));
  const [here, there] = [await ask(local), await ask(remote)];
  expect(there.map(({ sequences }) => sequences)).toEqual(here.map(({ sequences }) => sequences));
  const stats = await remote.stats();
  expect(stats).toMatchObject({ running: 0, waiting: 0, finished: 12 });
  expect(stats.kvPagesTotal).toBeGreaterThan(0);

  const messages = { messages: [{ role: 'user', content: 'Hello' }] } as const;
  expect(await remote.countTokens(messages)).toBe((await remote.generate(messages, { maxNewTokens: 1 }).result()).usage.promptTokens);
  expect(await remote.tokenize('Hi<|im_end|>')).toHaveLength('Hi<|im_end|>'.length);
  expect(await remote.detokenize([72, 105, TURN_END])).toBe('Hi<|im_end|>');
  const texts = ['Hello', 'x'.repeat(300), [72, 105]];
  const vectors = await local.embed(texts);
  expect(await remote.embed(texts)).toEqual(vectors);
  expect(vectors.tokens).toBe(307);
  await expect(remote.embed([''.padEnd(5000)])).rejects.toThrow(ContextOverflowError);
  await expect(remote.embed(['Hi'], { signal: AbortSignal.abort(new Error('not now')) })).rejects.toThrow('not now');

  await using apart = await openGenerator(folder, { worker: false, backend: 'reference', batching: false });
  expect((await apart.generate('A common beginning. 3', { seed: 3, temperature: 1, maxNewTokens: 6, constraint: { type: 'regex', pattern: '[a-z ]+' } }).result()).sequences)
    .toEqual(here[3]!.sequences);
});

test('an assistant, here the model itself, leaves texts as they are, on a thread too', async () => {
  await using plain = await open(false);
  const options = { temperature: 1, seed: 3, maxNewTokens: 40, eosTokenId: [] };
  const expected = await plain.generate('Hello', options).result();
  for (const worker of [false, true]) {
    await using assisted = await openGenerator(folder, { worker, backend: 'reference', assistant: { path: folder, dtype: 'f32' } });
    expect(assisted.info.assistant).toBe(folder);
    expect((await assisted.generate('Hello', { ...options, numAssistantTokens: 4, assistantConfidenceThreshold: 0 }).result()).sequences).toEqual(expected.sequences);
    expect((await assisted.stats()).draftTokens).toBeGreaterThan(20);
  }
  expect(plain.info.assistant).toBeNull();
});

test('an assistant with other tokens, and one where requests do not share a batch, are refused', async () => {
  const other = await mkdtemp(join(tmpdir(), 'parley-generate-'));
  try {
    const backend = new ReferenceBackend();
    using model = tinyModel(backend, tinyConfig());
    await saveModel(model, other);
    const file = tinyTokenizer().toJSON() as { model: { vocab: Record<string, number> } };
    const [a = '', b = ''] = Object.keys(file.model.vocab);
    Object.assign(file.model.vocab, { [a]: file.model.vocab[b], [b]: file.model.vocab[a] });
    await saveTokenizer(Tokenizer.fromJSON(file), other);
    const refused = (more: object): Promise<ModelGenerator> => openGenerator(folder, { worker: false, backend: 'reference', ...more });
    await expect(refused({ assistant: { path: other } })).rejects.toThrow(/has other tokens than the model \(token \d+ is /);
    await expect(refused({ assistant: { path: folder }, batching: false })).rejects.toThrow(OptionError);
  } finally {
    await rm(other, { recursive: true });
  }
});
