/** One answer to one prompt as it comes: from its row of logits to the next token, its text, and whether it ends with it. */
import { Random, type RandomState } from '@parley/engine';
import type { Tokenizer } from '@parley/tokenizer';
import { compiledConstraint } from './constraints/compiled.ts';
import type { Constraint, ConstraintState } from './constraints/constraint.ts';
import { GenerateError, OptionError } from './errors.ts';
import type { EndEvent, TokenEvent } from './events.ts';
import { reportOn } from './log-probabilities.ts';
import type { Settings } from './options.ts';
import { LogitsProcessors } from './processors.ts';
import type { PreparedPrompt } from './prompt.ts';
import { Sampler } from './sampler.ts';
import { TextStream } from './text.ts';

/** The random numbers of answer number `answer` to a prompt: four words of a generator seeded with the prompt's seed. */
export function streamOf(seed: number | RandomState, answer: number): Random {
  if (typeof seed !== 'number') return new Random(seed);
  const parent = new Random(seed);
  for (let skipped = 0; skipped < 4 * answer; skipped++) parent.uint32();
  return new Random([parent.uint32(), parent.uint32(), parent.uint32(), parent.uint32()]);
}

/** What all answers to one prompt share; scratch memory, and no state of theirs. */
export class Chooser {
  readonly prompt: PreparedPrompt;
  readonly settings: Settings;
  readonly tokenizer: Tokenizer | null;
  readonly sampler: Sampler;
  readonly processors: LogitsProcessors;
  readonly constraint: Constraint | null;

  /** Throws ConstraintError, and OptionError for a constraint where it cannot be enforced. */
  constructor(prompt: PreparedPrompt, parts: { settings: Settings; tokenizer: Tokenizer | null; vocabSize: number; sampler?: Sampler }) {
    const { settings, tokenizer, vocabSize } = parts;
    this.prompt = prompt;
    this.settings = settings;
    this.tokenizer = tokenizer;
    this.sampler = parts.sampler ?? new Sampler(vocabSize, settings);
    this.processors = new LogitsProcessors(vocabSize, settings, [...prompt.ending]);
    this.constraint = compile(prompt, settings, tokenizer);
  }
}

function compile(prompt: PreparedPrompt, { constraint }: Settings, tokenizer: Tokenizer | null): Constraint | null {
  if (constraint === null) return null;
  if (tokenizer === null) throw new GenerateError('a constraint is about texts, and this generator has no tokenizer: open a model that has one');
  if (prompt.ending.size > 0) return compiledConstraint(constraint, tokenizer, prompt.ending);
  throw new OptionError('a constrained text ends with an end-of-text token, and none is left: do not pass an empty eosTokenId with a constraint', {
    option: 'constraint', value: constraint,
  });
}

export class Answer {
  /** Number prompt · numReturnSequences + number among the prompt's answers. */
  readonly index: number;
  /** Prompt and generated tokens. */
  readonly tokens: number[];
  readonly #chooser: Chooser;
  readonly #random: Random;
  readonly #text: TextStream;
  readonly #constraint: ConstraintState | null;

  constructor(index: number, chooser: Chooser, random: Random) {
    this.index = index;
    this.tokens = [...chooser.prompt.tokens];
    this.#chooser = chooser;
    this.#random = random;
    this.#text = new TextStream(chooser.tokenizer, chooser.settings);
    this.#constraint = chooser.constraint?.start() ?? null;
  }

  get prompt(): PreparedPrompt {
    return this.#chooser.prompt;
  }

  /** Chooses the token after `tokens` from its logits (vocabulary), which are changed on the way. Throws NoTokenError. */
  next(row: Float32Array): { token: TokenEvent; end: EndEvent | null } {
    const { settings, processors, sampler, prompt } = this.#chooser;
    const { index, tokens } = this;
    const report = settings.logProbabilities === null ? undefined : reportOn(row, settings.logProbabilities);
    processors.apply(row, { tokens, promptLength: prompt.tokens.length });
    this.#constraint?.allow(row);
    const token = sampler.next(row, this.#random);
    this.#constraint?.accept(token);
    const { text, reason, stop } = this.#accept(token);
    const event: TokenEvent = { type: 'token', index, token, text };
    const state = settings.sample ? { randomState: this.#random.state } : {};
    return {
      token: report ? { ...event, logProbabilities: report(token) } : event,
      end: reason === null ? null : { type: 'end', index, finishReason: reason, stop, ...state },
    };
  }

  /** Adds a token: the text that is certain now, and whether and why the answer ends with it. */
  #accept(token: number): { text: string; reason: 'stop' | 'length' | null; stop: string | number | null } {
    const { prompt } = this;
    this.tokens.push(token);
    const step = this.#text.push(token, this.#constraint?.tagged !== true);
    if (step.stopped !== null) return { text: step.text, reason: 'stop', stop: step.stopped };
    const ends = prompt.ending.has(token);
    if (!ends && this.tokens.length - prompt.tokens.length < prompt.newTokens) return { text: step.text, reason: null, stop: null };
    const rest = this.#text.flush();
    const all = step.text + rest.text;
    if (rest.stopped !== null) return { text: all, reason: 'stop', stop: rest.stopped };
    return { text: all, reason: ends ? 'stop' : 'length', stop: ends ? token : null };
  }
}
