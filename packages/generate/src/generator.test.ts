/** Generation end to end on the reference backend. Over 400 lines because each test is one promise of GenerateOptions or Generator. */
import { type Backend, Random, ReferenceBackend } from '@parley/engine';
import type { Transformer } from '@parley/model';
import { expect, test } from 'vitest';
import { ContextOverflowError, GenerateError, GeneratorClosedError, OptionError } from './errors.ts';
import type { GenerateEvent, TokenEvent } from './events.ts';
import { streamOf } from './answer.ts';
import { LocalGenerator } from './generator.ts';
import { type GenerateOptions, resolveOptions } from './options.ts';
import { LogitsProcessors } from './processors.ts';
import type { Prompt } from './prompt.ts';
import { Sampler } from './sampler.ts';
import { argmax, logSumExp } from './select.ts';
import { END_OF_TEXT, tinyConfig, tinyModel, tinyTokenizer, TURN_END, uncachedLogits } from './testing/tiny.ts';

interface Setup extends AsyncDisposable {
  readonly backend: Backend;
  readonly model: Transformer;
  readonly generator: LocalGenerator;
}

function setup(options: { family?: 'gpt2' | 'llama'; contextLength?: number; chat?: boolean; text?: boolean } = {}): Setup {
  const backend = new ReferenceBackend();
  const { contextLength } = options;
  const model = tinyModel(backend, tinyConfig(options.family, contextLength === undefined ? {} : { contextLength }));
  const tokenizer = options.text === false ? undefined : tinyTokenizer(options);
  const generator = new LocalGenerator({ model, tokenizer });
  return {
    backend, model, generator,
    [Symbol.asyncDispose]: async () => {
      await generator.dispose();
      model.dispose();
      await backend[Symbol.asyncDispose]();
    },
  };
}

const PROMPT = [72, 101, 108, 108, 111];
const NEVER_ENDS = { eosTokenId: [] } as const;

/** Token by token, each from a pass over the whole sequence: what generation must equal. */
async function uncached(model: Transformer, prompt: readonly number[], options: GenerateOptions & { maxNewTokens: number }): Promise<number[]> {
  const settings = resolveOptions(options);
  const tokens = [...prompt];
  const sampler = new Sampler(model.config.vocabSize, settings);
  const processors = new LogitsProcessors(model.config.vocabSize, settings, [END_OF_TEXT]);
  const random = streamOf(settings.seed ?? 0, 0);
  while (tokens.length < prompt.length + options.maxNewTokens) {
    const logits = await uncachedLogits(model, tokens);
    processors.apply(logits, { tokens, promptLength: prompt.length });
    tokens.push(sampler.next(logits, random));
  }
  return tokens.slice(prompt.length);
}

for (const family of ['gpt2', 'llama'] as const) {
  test.each([
    {},
    { temperature: 0.9, seed: 3 },
    { topK: 20, topP: 0.9, minP: 0.01, repetitionPenalty: 1.2, presencePenalty: 0.5, frequencyPenalty: 0.5, noRepeatNgramSize: 3, seed: 4 },
    { logitBias: { 65: 5, 66: -Infinity }, repetitionPenalty: 1.5 },
  ] satisfies GenerateOptions[])(`${family}: the cache changes nothing, token by token (%j)`, async (options) => {
    await using parts = setup({ family });
    const asked = { ...options, ...NEVER_ENDS, maxNewTokens: 16 };
    const { sequences } = await parts.generator.generate({ tokens: PROMPT }, asked).result();
    expect(sequences[0]!.tokens).toEqual(await uncached(parts.model, PROMPT, asked));
    expect(sequences[0]!.finishReason).toBe('length');
  });
}

test('a batch of prompts of different lengths gives each what it gets alone, with answers that end at different times', async () => {
  await using parts = setup();
  const prompts: Prompt[] = ['Once upon a time there was', 'Hi', 'The quick brown fox', 'x'];
  for (const options of [{ maxNewTokens: 20 }, { maxNewTokens: 20, temperature: 1, seed: 11, numReturnSequences: 3 }] satisfies GenerateOptions[]) {
    // Stop tokens that come up often make sequences leave the batch one by one.
    const asked = { ...options, stopTokens: Array.from({ length: 12 }, (_, i) => i * 20), eosTokenId: [] };
    const together = await parts.generator.generate(prompts, asked).result();
    const answers = options.numReturnSequences ?? 1;
    expect(together.sequences).toHaveLength(4 * answers);
    for (const [p, prompt] of prompts.entries()) {
      const alone = await parts.generator.generate(prompt, asked).result();
      expect(together.sequences.slice(p * answers, (p + 1) * answers).map(({ tokens, text, finishReason }) => ({ tokens, text, finishReason })))
        .toEqual(alone.sequences.map(({ tokens, text, finishReason }) => ({ tokens, text, finishReason })));
    }
    expect(new Set(together.sequences.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(1);
  }
});

test('a prompt longer than one forward pass is fed in pieces, with the same result', async () => {
  await using parts = setup({ contextLength: 350 });
  const random = new Random(1);
  const long = Array.from({ length: 300 }, () => random.below(256));
  const options = { maxNewTokens: 2, ...NEVER_ENDS };
  const { sequences } = await parts.generator.generate([{ tokens: PROMPT }, { tokens: long }, { tokens: PROMPT }], options).result();
  expect(sequences[1]!.tokens).toEqual(await uncached(parts.model, long, options));
  expect(sequences[0]!.tokens).toEqual(await uncached(parts.model, PROMPT, options));
  expect(sequences[2]!.tokens).toEqual(sequences[0]!.tokens);
});

test('the same seed gives the same tokens; answers to one prompt differ; the told seed repeats an unseeded run', async () => {
  await using parts = setup();
  const run = async (seed?: number) =>
    await parts.generator.generate('Hello', { temperature: 1, numReturnSequences: 3, maxNewTokens: 12, seed, ...NEVER_ENDS }).result();
  const [first, again, other, fresh] = [await run(7), await run(7), await run(8), await run()];
  const tokens = (result: typeof first) => result.sequences.map((sequence) => sequence.tokens);
  expect(tokens(first)).toEqual(tokens(again));
  expect(tokens(first)).not.toEqual(tokens(other));
  expect(new Set(tokens(first).map(String)).size).toBe(3);
  expect(tokens(await run(fresh.prompts[0]!.seed as number))).toEqual(tokens(fresh));
});

test('a sequence goes on from its random state as if it had not been interrupted', async () => {
  await using parts = setup();
  const options = { temperature: 1.2, ...NEVER_ENDS };
  const whole = await parts.generator.generate({ tokens: PROMPT }, { ...options, seed: 5, maxNewTokens: 16 }).result();
  const first = await parts.generator.generate({ tokens: PROMPT }, { ...options, seed: 5, maxNewTokens: 9 }).result();
  const { tokens, randomState } = first.sequences[0]!;
  const state = JSON.parse(JSON.stringify(randomState)) as typeof randomState;
  const rest = await parts.generator.generate({ tokens: [...PROMPT, ...tokens] }, { ...options, seed: state, maxNewTokens: 7 }).result();
  expect([...tokens, ...rest.sequences[0]!.tokens]).toEqual(whole.sequences[0]!.tokens);
});

test('4,000 answers follow the model\'s distribution, chi-square at 0.001', async () => {
  await using parts = setup();
  const options = { temperature: 0.7, topK: 6, maxNewTokens: 1, seed: 99, numReturnSequences: 4000, ...NEVER_ENDS };
  const { sequences } = await parts.generator.generate({ tokens: PROMPT }, options).result();
  const wanted = new Sampler(259, resolveOptions(options)).distribution(await uncachedLogits(parts.model, PROMPT));
  expect(wanted.size).toBe(6);
  let chiSquare = 0;
  for (const [token, probability] of wanted) {
    const seen = sequences.filter(({ tokens }) => tokens[0] === token).length;
    chiSquare += (seen - 4000 * probability) ** 2 / (4000 * probability);
  }
  expect(chiSquare).toBeLessThan(20.5);
});

test('the pieces of text add up to the decoded tokens, and hold whole characters only', async () => {
  await using parts = setup();
  const tokenizer = tinyTokenizer();
  for (const seed of [1, 2, 3, 4, 5]) {
    const pieces: string[] = [];
    const tokens: number[] = [];
    for await (const event of parts.generator.generate('Hi', { temperature: 3, seed, maxNewTokens: 50, ...NEVER_ENDS })) {
      if (event.type !== 'token') continue;
      pieces.push(event.text);
      tokens.push(event.token);
    }
    expect(pieces.join('')).toBe(tokenizer.decode(tokens, { skipSpecialTokens: true }));
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
  }
});

test('a stop string ends the text before it, is never passed on in part, and is named', async () => {
  await using parts = setup();
  const options = { temperature: 1.5, maxNewTokens: 60, ...NEVER_ENDS };
  const free = await parts.generator.generate('Hi', { ...options, seed: 21 }).result();
  const { text, tokens } = free.sequences[0]!;
  // Printable, so that it is a text of its own and not part of a broken character.
  const stop = /[ -~]{2,}/.exec(text.slice(5))?.[0] ?? '';
  expect(stop.length).toBeGreaterThan(1);
  const events: GenerateEvent[] = [];
  for await (const event of parts.generator.generate('Hi', { ...options, seed: 21, stopStrings: [stop, 'never there'] })) events.push(event);
  const pieces = events.filter((event): event is TokenEvent => event.type === 'token');
  expect(pieces.map((event) => event.text).join('')).toBe(text.slice(0, text.indexOf(stop)));
  expect(pieces.map((event) => event.token)).toEqual(tokens.slice(0, pieces.length));
  expect(pieces.length).toBeLessThan(tokens.length);
  expect(events.find((event) => event.type === 'end')).toMatchObject({ finishReason: 'stop', stop });
});

test('end-of-text and stop tokens end a sequence, are among its tokens, and wait for the minimum', async () => {
  await using parts = setup();
  // The end is now always the likeliest token.
  const logitBias = { [END_OF_TEXT]: 100 };
  const { sequences: [at1] } = await parts.generator.generate('Hi', { logitBias }).result();
  expect(at1).toMatchObject({ tokens: [END_OF_TEXT], text: '', finishReason: 'stop', stop: END_OF_TEXT });
  const { sequences: [at5] } = await parts.generator.generate('Hi', { logitBias, minNewTokens: 4 }).result();
  expect(at5!.tokens).toHaveLength(5);
  const { sequences: [byLength] } = await parts.generator.generate('Hi', { logitBias, minLength: 4 }).result();
  expect(byLength!.tokens).toHaveLength(3);
  const { sequences: [ignored] } = await parts.generator.generate('Hi', { logitBias, eosTokenId: 65, stopTokens: [66], maxNewTokens: 3 }).result();
  expect(ignored).toMatchObject({ tokens: [END_OF_TEXT, END_OF_TEXT, END_OF_TEXT], finishReason: 'length', stop: null });
  const { sequences: [shown] } = await parts.generator.generate('Hi', { logitBias, skipSpecialTokens: false }).result();
  expect(shown!.text).toBe('<|endoftext|>');
});

test('max_length counts the prompt, max_new_tokens does not and wins; both are finish reason "length"', async () => {
  await using parts = setup();
  const lengthOf = async (options: GenerateOptions): Promise<number> => {
    const { sequences } = await parts.generator.generate({ tokens: PROMPT }, { ...options, ...NEVER_ENDS }).result();
    expect(sequences[0]!.finishReason).toBe('length');
    return sequences[0]!.tokens.length;
  };
  expect(await lengthOf({ maxLength: 12 })).toBe(7);
  expect(await lengthOf({ maxNewTokens: 12 })).toBe(12);
  expect(await lengthOf({ maxLength: 9, maxNewTokens: 11 })).toBe(11);
  await expect(lengthOf({ maxLength: 5 })).rejects.toThrow('a maximum length of 5 tokens counts the prompt, which has 5');
  await expect(lengthOf({ maxNewTokens: 4, minNewTokens: 5 })).rejects.toThrow('5 new tokens at least, but 4 at most');
});

test('a context that cannot hold it is an error before anything is computed; filling it exactly is "length"', async () => {
  await using parts = setup({ contextLength: 16 });
  const run = async (options: GenerateOptions, prompt = PROMPT) => (await parts.generator.generate({ tokens: prompt }, { ...options, ...NEVER_ENDS }).result()).sequences[0]!;
  expect(await run({ maxNewTokens: 11 })).toMatchObject({ finishReason: 'length' });
  expect((await run({})).tokens).toHaveLength(11);
  expect(await run({ maxNewTokens: 12 }).catch((error: unknown) => error)).toMatchObject({
    name: 'ContextOverflowError', promptTokens: 5, newTokens: 12, contextLength: 16,
    message: expect.stringContaining('a prompt of 5 tokens and 12 new ones need 17, and this model\'s context holds 16') as string,
  });
  expect(await run({ maxNewTokens: 12, contextOverflow: 'stop' })).toMatchObject({ finishReason: 'length', tokens: { length: 11 } });
  const full = Array.from({ length: 16 }, (_, i) => i);
  await expect(run({}, full)).rejects.toThrow(ContextOverflowError);
  await expect(run({ contextOverflow: 'stop' }, full)).rejects.toThrow('a prompt of 16 tokens leaves no room');
  await expect(run({ contextOverflow: 'slide' })).rejects.toThrow('limit the new tokens');
  await expect(run({ contextOverflow: 'slide', keepTokens: 15, maxNewTokens: 30 })).rejects.toThrow('keep 14 at most');
});

test('a sliding context forgets the older half after the kept beginning, and computes the rest at its new place', async () => {
  await using parts = setup({ contextLength: 16 });
  const keepTokens = 3;
  for (const promptLength of [5, 40]) {
    const prompt = Array.from({ length: promptLength }, (_, i) => (i * 7) % 250);
    const { sequences } = await parts.generator
      .generate({ tokens: prompt }, { contextOverflow: 'slide', keepTokens, maxNewTokens: 50, ...NEVER_ENDS }).result();
    // By definition, each token from one pass over the window.
    const tokens = [...prompt];
    const slide = (all: number[]) => [...all.slice(0, keepTokens), ...all.slice(-7)];
    let window = tokens.length <= 16 ? [...tokens] : slide(tokens);
    while (tokens.length < promptLength + 50) {
      const token = argmax(await uncachedLogits(parts.model, window));
      tokens.push(token);
      window = window.length < 16 ? [...window, token] : slide(tokens);
    }
    expect(sequences[0]!.tokens).toEqual(tokens.slice(promptLength));
  }
});

test('log-probabilities are the model\'s own, whatever the sampler does to the logits (1e-5)', async () => {
  await using parts = setup();
  const options = { temperature: 2, topK: 50, repetitionPenalty: 1.3, logProbabilities: 3, maxNewTokens: 5, seed: 1, ...NEVER_ENDS };
  const { sequences } = await parts.generator.generate({ tokens: PROMPT }, options).result();
  const { tokens, logProbabilities = [] } = sequences[0]!;
  expect(logProbabilities).toHaveLength(5);
  for (const [i, { logProbability, top }] of logProbabilities.entries()) {
    const logits = await uncachedLogits(parts.model, [...PROMPT, ...tokens.slice(0, i)]);
    expect(logProbability).toBeCloseTo(logits[tokens[i]!]! - logSumExp(logits), 5);
    const best = [...logits.keys()].toSorted((a, b) => logits[b]! - logits[a]!).slice(0, 3);
    expect(top.map(({ token }) => token)).toEqual(best);
    expect(top[0]!.logProbability).toBeCloseTo(logits[best[0]!]! - logSumExp(logits), 5);
  }
});

test('once warm, a token allocates nothing from the backend; at the end everything is given back', async () => {
  await using parts = setup();
  const { backend, generator } = parts;
  const run = async (): Promise<number[]> => {
    const allocations: number[] = [];
    for await (const event of generator.generate(['Hello', 'Hi there'], { maxNewTokens: 40, ...NEVER_ENDS })) {
      if (event.type === 'token') allocations.push(backend.stats().allocations);
    }
    return allocations;
  };
  await run();
  const before = backend.stats();
  // Two tokens come with prefill, two with the first step of the new arena.
  expect(new Set((await run()).slice(4)).size).toBe(1);
  expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
});

test('leaving the loop, aborting and failing stop the computation and free its memory', async () => {
  await using parts = setup();
  const { backend, generator, model } = parts;
  await generator.generate('warm', { maxNewTokens: 2, ...NEVER_ENDS }).result();
  const before = backend.stats();
  let forwards = 0;
  const counting = new LocalGenerator({
    tokenizer: tinyTokenizer(),
    model: {
      config: model.config, backend, createCache: (options) => model.createCache(options), hidden: (...args) => model.hidden(...args),
      forward: (...args) => {
        if (++forwards === 20) throw new Error('the 20th pass fails');
        return model.forward(...args);
      },
    },
  });
  let seen = 0;
  for await (const event of counting.generate('Hi', { maxNewTokens: 50, ...NEVER_ENDS })) {
    if (event.type === 'token' && ++seen === 3) break;
  }
  expect(forwards).toBe(3);
  expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });

  const controller = new AbortController();
  seen = 0;
  const aborted = (async () => {
    for await (const event of counting.generate('Hi', { maxNewTokens: 50, signal: controller.signal, ...NEVER_ENDS })) {
      if (event.type === 'token' && ++seen === 3) controller.abort(new Error('enough'));
    }
  })();
  await expect(aborted).rejects.toThrow('enough');
  expect(forwards).toBe(6);
  expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });

  await expect(counting.generate('Hi', { maxNewTokens: 50, ...NEVER_ENDS }).result()).rejects.toThrow('the 20th pass fails');
  expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
});

test('an abort from a timer arrives while tokens are computed', async () => {
  await using parts = setup({ contextLength: 4096 });
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 30);
  const run = parts.generator.generate('Hi', { maxNewTokens: 4000, signal: controller.signal, ...NEVER_ENDS }).result();
  await expect(run).rejects.toMatchObject({ name: 'AbortError' });
});

test('a signal that is aborted already computes nothing', async () => {
  await using parts = setup();
  const before = parts.backend.stats();
  await expect(parts.generator.generate('Hi', { signal: AbortSignal.abort(new Error('too late')) }).result()).rejects.toThrow('too late');
  expect(parts.backend.stats()).toEqual(before);
});

test('disposing ends open requests, even those nobody reads, and frees their memory', async () => {
  await using parts = setup();
  await parts.generator.generate('warm', { maxNewTokens: 2, ...NEVER_ENDS }).result();
  const before = parts.backend.stats();
  let disposed = false;
  const generator = new LocalGenerator({ model: parts.model, tokenizer: tinyTokenizer(), onDispose: () => void (disposed = true) });
  const events = generator.generate('Hi', { maxNewTokens: 50, ...NEVER_ENDS })[Symbol.asyncIterator]();
  await events.next();
  await events.next();
  await generator.dispose();
  expect(disposed).toBe(true);
  expect(parts.backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
  await expect(events.next()).rejects.toThrow(GeneratorClosedError);
  await expect(generator.generate('Hi').result()).rejects.toThrow('disposed');
});

test('two requests at the same time do not disturb each other', async () => {
  await using parts = setup();
  const ask = (prompt: string) => parts.generator.generate(prompt, { temperature: 1, seed: 1, maxNewTokens: 20, ...NEVER_ENDS }).result();
  const alone = [await ask('Hello'), await ask('Goodbye')];
  const together = await Promise.all([ask('Hello'), ask('Goodbye')]);
  expect(together.map(({ sequences }) => sequences)).toEqual(alone.map(({ sequences }) => sequences));
});

test('a generation is read once: a second reading is refused with what to do', async () => {
  await using parts = setup();
  const generation = parts.generator.generate('Hi', { maxNewTokens: 1 });
  await generation.result();
  await expect(generation.result()).rejects.toThrow('this generation has been read already');
  expect(() => generation[Symbol.asyncIterator]()).toThrow(GenerateError);
});

test('events come in order: start, tokens, each sequence\'s end, done with usage', async () => {
  await using parts = setup();
  const events: GenerateEvent[] = [];
  for await (const event of parts.generator.generate(['Hello', 'Hi'], { maxNewTokens: 3, ...NEVER_ENDS })) events.push(event);
  expect(events.map(({ type }) => type)).toEqual(['start', ...Array.from({ length: 4 }, () => 'token'), 'token', 'end', 'token', 'end', 'done']);
  expect(events[0]).toMatchObject({ prompts: [{ tokens: PROMPT, droppedMessages: 0 }, { tokens: [72, 105] }] });
  expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 7, completionTokens: 6 } });
  const { timings } = events.at(-1) as Extract<GenerateEvent, { type: 'done' }>;
  expect(timings.prefillMs).toBeGreaterThan(0);
  expect(timings.tokensPerSecond).toBeCloseTo(4 / (timings.decodeMs / 1000), 6);
});

test('a conversation is written by the chat template and ends with the turn', async () => {
  await using parts = setup({ contextLength: 128 });
  const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hi' }] as const;
  const events: GenerateEvent[] = [];
  for await (const event of parts.generator.generate({ messages }, { logitBias: { [TURN_END]: 100 } })) events.push(event);
  const tokenizer = tinyTokenizer();
  expect(events[0]).toMatchObject({ prompts: [{ tokens: tokenizer.encodeChat(messages, { addGenerationPrompt: true }), droppedMessages: 0 }] });
  expect(events.find(({ type }) => type === 'end')).toMatchObject({ finishReason: 'stop', stop: TURN_END });
  await expect(parts.generator.generate({ messages: [] }).result()).rejects.toThrow('no messages');
  await expect(parts.generator.generate({ messages: [{ role: 'assistant', content: 'a' }] }).result()).rejects.toThrow('the last message is the assistant');
  await using noChat = setup({ chat: false });
  await expect(noChat.generator.generate({ messages }).result()).rejects.toThrow('no chat template');
});

test('a conversation that is too long is an error, unless the caller lets the oldest turns go; then the loss is told', async () => {
  await using parts = setup({ contextLength: 128 });
  const turns = Array.from({ length: 6 }, (_, i) => [
    { role: 'user', content: `question ${i}` } as const, { role: 'assistant', content: `answer ${i}` } as const,
  ]).flat();
  const messages = [{ role: 'system', content: 'S' } as const, ...turns, { role: 'user', content: 'last' } as const];
  await expect(parts.generator.generate({ messages }).result()).rejects.toThrow(ContextOverflowError);
  const { prompts } = await parts.generator.generate({ messages }, { conversationOverflow: 'drop-oldest', maxNewTokens: 20 }).result();
  const { tokens, droppedMessages } = prompts[0]!;
  expect(tokens.length).toBeLessThanOrEqual(108);
  expect(droppedMessages % 2).toBe(0);
  const tokenizer = tinyTokenizer();
  const kept = [messages[0]!, ...messages.slice(1 + droppedMessages)];
  expect(tokens).toEqual(tokenizer.encodeChat(kept, { addGenerationPrompt: true }));
  // One turn more would not have fitted.
  const more = [messages[0]!, ...messages.slice(droppedMessages - 1)];
  expect(tokenizer.encodeChat(more, { addGenerationPrompt: true }).length).toBeGreaterThan(108);

  const long = [{ role: 'user', content: 'x'.repeat(200) } as const];
  await expect(parts.generator.generate({ messages: long }, { conversationOverflow: 'drop-oldest' }).result()).rejects.toThrow(ContextOverflowError);
});

test('prompts that make no sense are refused', async () => {
  await using parts = setup();
  const ask = (prompt: Prompt | Prompt[], options: GenerateOptions = {}) => parts.generator.generate(prompt, options).result();
  await expect(ask([])).rejects.toThrow('there are no prompts');
  await expect(ask({ tokens: [] })).rejects.toThrow('the prompt has no tokens');
  await expect(ask({ tokens: [1, 259] })).rejects.toThrow('token 259 of the prompt is outside this model\'s vocabulary of 259');
  await expect(ask('Hi', { logitBias: { 300: 1 } })).rejects.toThrow(OptionError);
  await expect(ask('Hi', { stopTokens: 300 })).rejects.toThrow('token 300 is outside');
  await expect(ask('Hi', { logitBias: Object.fromEntries(Array.from({ length: 259 }, (_, i) => [i, -Infinity])) })).rejects.toThrow('every token is forbidden');
  // An empty text begins like every text.
  const { prompts } = await parts.generator.generate('', { maxNewTokens: 1 }).result();
  expect(prompts[0]!.tokens).toEqual([END_OF_TEXT]);
  expect(() => parts.generator.generate('Hi', { temperatur: 1 } as GenerateOptions)).toThrow('did you mean temperature?');
  await using tokensOnly = setup({ text: false });
  await expect(tokensOnly.generator.generate('Hi').result()).rejects.toThrow('no tokenizer');
  await expect(tokensOnly.generator.generate({ tokens: [1] }, { stopStrings: 'a' }).result()).rejects.toThrow('stop strings need a tokenizer');
  const { sequences } = await tokensOnly.generator.generate({ tokens: [1] }, { maxNewTokens: 2 }).result();
  expect(sequences[0]).toMatchObject({ text: '', tokens: { length: 2 } });
});
