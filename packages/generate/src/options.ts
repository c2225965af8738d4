/**
 * What can be asked of generation: names, meanings, ranges. Names are TypeScript's here; @parley/tasks maps Hugging Face's.
 * Every option is implemented, or refused with the value and the allowed range; an unknown name is refused with the nearest
 * known one. `resolveOptions` is the one place where a request becomes `Settings`, which the rest of the package trusts.
 */
import type { RandomState } from '@parley/engine';
import { nearestName } from '@parley/model';
import type { ConstraintSpec } from './constraints/constraint.ts';
import { OptionError } from './errors.ts';

export interface GenerateOptions {
  /** New tokens at most, for each sequence. Absent: until `maxLength`, or the context is full. */
  readonly maxNewTokens?: number | undefined;
  /** Prompt and new tokens together at most (Hugging Face's meaning). With both given, `maxNewTokens` decides, as in transformers. */
  readonly maxLength?: number | undefined;
  /** No end-of-text or stop token before this many new tokens. Stop strings still end the text. */
  readonly minNewTokens?: number | undefined;
  /** The same, counting the prompt. */
  readonly minLength?: number | undefined;

  /**
   * Draw tokens at random instead of taking the likeliest. Absent: true if temperature (above 0), topK, topP or minP is given.
   */
  readonly doSample?: boolean | undefined;
  /** Divides the logits before drawing: below 1 safer, above 1 wilder. 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** Draw among the k likeliest tokens, and those as likely as the k-th. 0, the default: among all. */
  readonly topK?: number | undefined;
  /** Draw among the likeliest tokens that together reach this probability (Holtzman et al., 2020). Default 1. */
  readonly topP?: number | undefined;
  /** Draw among the tokens at least this fraction as likely as the likeliest (Nguyen et al., 2024). Default 0. */
  readonly minP?: number | undefined;

  /** Tokens of the prompt and the answer become less likely: positive logits ÷ this, negative × this (Keskar et al., 2019). Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens already generated; −2 to 2, as OpenAI defines it. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted once for each time the token was generated; −2 to 2, as OpenAI defines it. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** No run of this many tokens occurs twice, prompt included. 0, the default: free. */
  readonly noRepeatNgramSize?: number | undefined;
  /** Token id → number added to its logit; −Infinity forbids it. */
  readonly logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number> | undefined;

  /** Answers for each prompt. Default 1. */
  readonly numReturnSequences?: number | undefined;
  /** Hypotheses kept by beam search; 1, the default, is no beam search. Answers then come when the search is over. */
  readonly numBeams?: number | undefined;
  /** A beam's score is its log-probability ÷ length^lengthPenalty. Default 1. */
  readonly lengthPenalty?: number | undefined;
  /**
   * When beam search ends. true: with numBeams finished beams. false, the default: when the running ones are not expected to do
   * better. 'never': when they cannot do better.
   */
  readonly earlyStopping?: boolean | 'never' | undefined;

  /** The text ends before the first of these. Their tokens are generated and counted, their text is not passed on. */
  readonly stopStrings?: string | readonly string[] | undefined;
  /** Token ids that end a sequence, beside the end-of-text ones. */
  readonly stopTokens?: number | readonly number[] | undefined;
  /** End-of-text token ids in place of the model's own; an empty list: none. */
  readonly eosTokenId?: number | readonly number[] | undefined;

  /**
   * The same seed, model and backend give the same tokens. A prompt's answers depend on the seed and their number among the
   * prompt's answers, not on what else is in the batch. A `RandomState` (from an `end` event) goes on where a sequence was;
   * then numReturnSequences is 1. Absent: a fresh one for each prompt, told in the `start` event.
   */
  readonly seed?: number | RandomState | undefined;
  /** Report the log-probability of each token and of this many likeliest ones, 0 to 100, by the model's own logits. */
  readonly logProbabilities?: number | undefined;

  /**
   * If prompt and new tokens do not fit the model's context. 'error', the default: refuse before computing anything.
   * 'stop': end there, finish reason "length". 'slide': whenever the context is full, forget the older half of what follows the
   * first `keepTokens` tokens and compute the rest again at its new positions; a prompt that is too long is cut the same way.
   */
  readonly contextOverflow?: 'error' | 'stop' | 'slide' | undefined;
  /** With 'slide': tokens at the start that are never forgotten. Default 0. */
  readonly keepTokens?: number | undefined;
  /**
   * If a conversation leaves too little room for an answer. 'error', the default: refuse. 'drop-oldest': leave out the oldest turns
   * (never system messages, never the last turn); the `start` event says how many messages.
   */
  readonly conversationOverflow?: 'error' | 'drop-oldest' | undefined;

  /**
   * What the answer has to be: JSON, JSON of a schema, a text of a pattern, one of several texts. Enforced token by token, after all
   * other changes to the logits. If the length ends before the text is whole, the finish reason is 'length' and the text is a part.
   * Not with beam search; a grammar that cannot be enforced is a ConstraintError when the events are read.
   */
  readonly constraint?: ConstraintSpec | undefined;

  /**
   * Prompt lookup: while this is the only text being written, guess so many tokens at most from an earlier place where the text went the
   * same, and compute them in one pass. The tokens are the same as without; it is faster where the text repeats its prompt or itself.
   * Default: no guesses. Without effect where requests do not share a batch.
   */
  readonly promptLookupNumTokens?: number | undefined;
  /** Of prompt lookup: last tokens that are looked for, at most. Default 2. */
  readonly maxMatchingNgramSize?: number | undefined;
  /**
   * Where an assistant model is open beside this one: while this is the only text being written, tokens that it guesses at most, which are
   * then computed in one pass. The tokens are the same as without. Default 3; 0: no guesses.
   */
  readonly numAssistantTokens?: number | undefined;
  /** A guess to which the assistant itself gives less probability ends its guessing. 0 to 1, default 0.4. */
  readonly assistantConfidenceThreshold?: number | undefined;

  /** Where requests wait for each other: among those of one `queueKey`, the higher goes first. Default 0. */
  readonly priority?: number | undefined;
  /** Where requests wait for each other: keys take turns, however many requests each has. Default: one key for all that name none. */
  readonly queueKey?: string | undefined;
  /** Take the beginning of the prompt from earlier requests where it is the same, and leave this one's to later ones. Default true. */
  readonly prefixCache?: boolean | undefined;

  /** Leave special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean | undefined;
  /** Stops the computation; the loop then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options with their defaults filled in and their values checked; numbers that depend on the model are still open. */
export interface Settings {
  readonly maxNewTokens: number | null;
  readonly maxLength: number | null;
  readonly minNewTokens: number;
  readonly minLength: number;
  readonly sample: boolean;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly noRepeatNgramSize: number;
  readonly logitBias: ReadonlyMap<number, number>;
  readonly numReturnSequences: number;
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly stopStrings: readonly string[];
  readonly stopTokens: readonly number[];
  /** Null: the model's own. */
  readonly eosTokenId: readonly number[] | null;
  readonly seed: number | RandomState | null;
  readonly logProbabilities: number | null;
  readonly contextOverflow: 'error' | 'stop' | 'slide';
  readonly keepTokens: number;
  readonly conversationOverflow: 'error' | 'drop-oldest';
  readonly constraint: ConstraintSpec | null;
  readonly promptLookupNumTokens: number | null;
  readonly maxMatchingNgramSize: number;
  /** Null: not asked for, so 3 where there is an assistant. */
  readonly numAssistantTokens: number | null;
  readonly assistantConfidenceThreshold: number;
  readonly priority: number;
  readonly queueKey: string;
  readonly prefixCache: boolean;
  readonly skipSpecialTokens: boolean;
}

/** The name an option has for whoever asked: the HTTP and pipeline edges say `max_new_tokens`. */
export type OptionNaming = (name: keyof GenerateOptions) => string;

type Rule = (value: unknown) => string | null;

const whole = (minimum: number): Rule => (value) =>
  Number.isSafeInteger(value) && (value as number) >= minimum ? null : `a whole number from ${minimum}`;
const real = (range: string, holds: (value: number) => boolean): Rule => (value) =>
  typeof value === 'number' && Number.isFinite(value) && holds(value) ? null : `a number ${range}`;
const oneOf = (...values: readonly unknown[]): Rule => (value) =>
  values.includes(value) ? null : values.map((each) => JSON.stringify(each)).join(', ').replace(/, ([^,]*)$/, ' or $1');
const isToken = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const tokens: Rule = (value) =>
  isToken(value) || (Array.isArray(value) && value.every(isToken)) ? null : 'a token id or a list of token ids';
const stopText = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.isWellFormed();

/** The outer form only: what is inside is judged where it is compiled. */
function isConstraint(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false;
  const { type, schema, pattern, choices } = value as Readonly<Record<string, unknown>>;
  switch (type) {
    case 'json': return true;
    case 'json_schema': return typeof schema === 'boolean' || (typeof schema === 'object' && schema !== null);
    case 'regex': return typeof pattern === 'string';
    case 'choice': return Array.isArray(choices) && choices.every((text) => typeof text === 'string');
    case 'tags': return Array.isArray((value as { tags?: unknown }).tags);
    default: return false;
  }
}

const RULES: Readonly<Record<keyof GenerateOptions, Rule>> = {
  maxNewTokens: whole(1),
  maxLength: whole(1),
  minNewTokens: whole(0),
  minLength: whole(0),
  doSample: oneOf(true, false),
  temperature: real('from 0 (0 is greedy)', (value) => value >= 0),
  topK: whole(0),
  topP: real('above 0, up to 1', (value) => value > 0 && value <= 1),
  minP: real('from 0 to 1', (value) => value >= 0 && value <= 1),
  repetitionPenalty: real('above 0', (value) => value > 0),
  presencePenalty: real('from -2 to 2', (value) => value >= -2 && value <= 2),
  frequencyPenalty: real('from -2 to 2', (value) => value >= -2 && value <= 2),
  noRepeatNgramSize: whole(0),
  logitBias: (value) =>
    biasEntries(value)?.every(([token, bias]) => isToken(token) && (Number.isFinite(bias) || bias === -Infinity)) === true
      ? null : 'token ids with finite numbers or -Infinity',
  numReturnSequences: whole(1),
  numBeams: whole(1),
  lengthPenalty: real('of any size', () => true),
  earlyStopping: oneOf(true, false, 'never'),
  stopStrings: (value) =>
    stopText(value) || (Array.isArray(value) && value.every(stopText)) ? null : 'a text or a list of texts, none of them empty',
  stopTokens: tokens,
  eosTokenId: tokens,
  seed: (value) =>
    Number.isSafeInteger(value) || (Array.isArray(value) && value.length === 4 && value.every((word) => Number.isInteger(word)))
      ? null : 'a whole number up to 2^53, or the random state of an earlier sequence',
  logProbabilities: (value) => (whole(0)(value) === null && (value as number) <= 100 ? null : 'a whole number from 0 to 100'),
  contextOverflow: oneOf('error', 'stop', 'slide'),
  keepTokens: whole(0),
  conversationOverflow: oneOf('error', 'drop-oldest'),
  constraint: (value) => (isConstraint(value) ? null : 'json, json_schema with a schema, regex with a pattern, choice with choices, or tags with tags'),
  promptLookupNumTokens: whole(1),
  maxMatchingNgramSize: whole(1),
  numAssistantTokens: whole(0),
  assistantConfidenceThreshold: real('from 0 to 1', (value) => value >= 0 && value <= 1),
  priority: (value) => (Number.isSafeInteger(value) ? null : 'a whole number'),
  queueKey: (value) => (typeof value === 'string' ? null : 'a text'),
  prefixCache: oneOf(true, false),
  skipSpecialTokens: oneOf(true, false),
  signal: (value) => (typeof value === 'object' && value !== null && 'aborted' in value ? null : 'an AbortSignal'),
};

export const OPTION_NAMES = Object.keys(RULES) as readonly (keyof GenerateOptions)[];

function biasEntries(value: unknown): [number, number][] | null {
  if (value instanceof Map) return [...(value as Map<number, number>)];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.entries(value as Record<string, number>).map(([token, bias]) => [Number(token), bias]);
}

function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The error for an option that is not known here. `known`: every name that is, as the caller would write it. */
export function unknownOption(name: string, known: Iterable<string>): OptionError {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? 'see the list of options' : `did you mean ${nearest}?`;
  return new OptionError(`the option ${name} is not known: ${hint}`, { option: name });
}

const asList = <Item>(value: Item | readonly Item[] | undefined): readonly Item[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly Item[]) : [value as Item];

/** Checks names and values one by one. Throws OptionError. `undefined` counts as absent. */
export function checkValues(options: GenerateOptions, nameOf: OptionNaming = (name) => name): void {
  for (const [key, value] of Object.entries(options)) {
    const rule = (RULES as Readonly<Record<string, Rule | undefined>>)[key];
    if (rule === undefined) throw unknownOption(key, OPTION_NAMES);
    const allowed = value === undefined ? null : rule(value);
    if (allowed !== null) {
      const option = nameOf(key as keyof GenerateOptions);
      throw new OptionError(`${option} is ${show(value)}: it has to be ${allowed}`, { option, value });
    }
  }
}

/** Checks a request, also for contradictions, and fills in the defaults. Throws OptionError. */
export function resolveOptions(options: GenerateOptions = {}, nameOf: OptionNaming = (name) => name): Settings {
  checkValues(options, nameOf);
  const refuse = (name: keyof GenerateOptions, reason: string): never => {
    const option = nameOf(name);
    throw new OptionError(`${option} is ${show(options[name])}, but ${reason}`, { option, value: options[name] });
  };

  const { temperature, topK, topP, minP, numBeams = 1, numReturnSequences = 1 } = options;
  const wantsSampling = temperature === undefined ? (topK ?? topP ?? minP) !== undefined : temperature > 0;
  if (options.doSample === false) {
    // A value that changes nothing is no contradiction.
    const changes = {
      temperature: (temperature ?? 1) !== 1 && temperature !== 0, topK: (topK ?? 0) !== 0, topP: (topP ?? 1) !== 1, minP: (minP ?? 0) !== 0,
    };
    for (const name of ['temperature', 'topK', 'topP', 'minP'] as const) {
      if (changes[name]) refuse(name, `${nameOf('doSample')} is false, so nothing is drawn: leave out one of the two`);
    }
  }
  const sample = (options.doSample ?? wantsSampling) && temperature !== 0;

  if (numBeams === 1) {
    const about = `it is about beam search: pass ${nameOf('numBeams')} of 2 or more`;
    if ((options.lengthPenalty ?? 1) !== 1) refuse('lengthPenalty', about);
    if ((options.earlyStopping ?? false) !== false) refuse('earlyStopping', about);
    if (numReturnSequences > 1 && !sample) {
      refuse('numReturnSequences', `without drawing at random they would all be the same: pass a ${nameOf('temperature')} above 0, or ` +
        `${nameOf('numBeams')}`);
    }
  } else {
    if (numReturnSequences > numBeams) {
      refuse('numReturnSequences', `${nameOf('numBeams')} is ${numBeams}, and a search returns at most as many as it keeps`);
    }
    if (options.constraint !== undefined) refuse('constraint', `it is enforced on one text at a time: leave out ${nameOf('numBeams')}`);
    if (options.contextOverflow === 'slide') refuse('contextOverflow', 'beam search cannot slide: its beams share their beginning');
  }
  if (options.seed !== undefined && typeof options.seed !== 'number' && numReturnSequences > 1) {
    refuse('numReturnSequences', `${nameOf('seed')} is the state of one sequence: ask for one`);
  }
  for (const name of ['promptLookupNumTokens', 'numAssistantTokens'] as const) {
    if ((options[name] ?? 0) === 0 || (numBeams === 1 && options.contextOverflow !== 'slide')) continue;
    refuse(name, `it guesses one text that only grows: leave out ${nameOf(numBeams > 1 ? 'numBeams' : 'contextOverflow')}`);
  }
  if (options.maxMatchingNgramSize !== undefined && options.promptLookupNumTokens === undefined) {
    refuse('maxMatchingNgramSize', `it is about prompt lookup: pass ${nameOf('promptLookupNumTokens')}`);
  }
  if (options.keepTokens !== undefined && options.contextOverflow !== 'slide') {
    refuse('keepTokens', `it is about sliding: pass ${nameOf('contextOverflow')}: 'slide'`);
  }

  return {
    maxNewTokens: options.maxNewTokens ?? null,
    maxLength: options.maxLength ?? null,
    minNewTokens: options.minNewTokens ?? 0,
    minLength: options.minLength ?? 0,
    sample,
    temperature: temperature ?? 1,
    topK: topK ?? 0,
    topP: topP ?? 1,
    minP: minP ?? 0,
    repetitionPenalty: options.repetitionPenalty ?? 1,
    presencePenalty: options.presencePenalty ?? 0,
    frequencyPenalty: options.frequencyPenalty ?? 0,
    noRepeatNgramSize: options.noRepeatNgramSize ?? 0,
    logitBias: new Map(biasEntries(options.logitBias ?? {}) ?? []),
    numReturnSequences,
    numBeams,
    lengthPenalty: options.lengthPenalty ?? 1,
    earlyStopping: options.earlyStopping ?? false,
    stopStrings: asList(options.stopStrings),
    stopTokens: asList(options.stopTokens),
    eosTokenId: options.eosTokenId === undefined ? null : asList(options.eosTokenId),
    seed: options.seed ?? null,
    logProbabilities: options.logProbabilities ?? null,
    contextOverflow: options.contextOverflow ?? 'error',
    keepTokens: options.keepTokens ?? 0,
    conversationOverflow: options.conversationOverflow ?? 'error',
    constraint: options.constraint ?? null,
    promptLookupNumTokens: options.promptLookupNumTokens ?? null,
    maxMatchingNgramSize: options.maxMatchingNgramSize ?? 2,
    numAssistantTokens: options.numAssistantTokens ?? null,
    assistantConfidenceThreshold: options.assistantConfidenceThreshold ?? 0.4,
    priority: options.priority ?? 0,
    queueKey: options.queueKey ?? '',
    prefixCache: options.prefixCache ?? true,
    skipSpecialTokens: options.skipSpecialTokens ?? true,
  };
}
