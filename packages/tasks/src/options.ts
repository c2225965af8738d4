/**
 * The Hugging Face edge: options under the names of transformers, Transformers.js and, where those have none, the OpenAI API or
 * vLLM, and the defaults that a model folder's generation_config.json sets.
 */
import { checkValues, type GenerateOptions, OPTION_NAMES, OptionError, resolveOptions, unknownOption } from '@parley/generate';

/** Options of a text-generation call. What each means and may be is said at `GenerateOptions` in @parley/generate. */
export interface TextGenerationOptions {
  max_new_tokens?: number;
  max_length?: number;
  min_new_tokens?: number;
  min_length?: number;
  do_sample?: boolean;
  temperature?: number;
  top_k?: number;
  top_p?: number;
  min_p?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  no_repeat_ngram_size?: number;
  logit_bias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  num_return_sequences?: number;
  num_beams?: number;
  length_penalty?: number;
  early_stopping?: boolean | 'never';
  stop_strings?: string | readonly string[];
  stop_token_ids?: number | readonly number[];
  eos_token_id?: number | readonly number[];
  seed?: GenerateOptions['seed'];
  logprobs?: number;
  context_overflow?: 'error' | 'stop' | 'slide';
  keep_tokens?: number;
  conversation_overflow?: 'error' | 'drop-oldest';
  prompt_lookup_num_tokens?: number;
  max_matching_ngram_size?: number;
  num_assistant_tokens?: number;
  assistant_confidence_threshold?: number;
  skip_special_tokens?: boolean;
  signal?: AbortSignal;
}

type OptionName = keyof GenerateOptions;

/** Names that are not the snake_case of ours. */
const RENAMED: Partial<Record<OptionName, string>> = { logProbabilities: 'logprobs', stopTokens: 'stop_token_ids' };

const wireName = (name: OptionName): string => RENAMED[name] ?? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const BY_WIRE_NAME: ReadonlyMap<string, OptionName> = new Map(OPTION_NAMES.map((name) => [wireName(name), name]));

/** Fields of a generation_config.json that do not change what is generated here. */
const WITHOUT_EFFECT = new Set(['use_cache', 'cache_implementation', 'trust_remote_code', 'return_dict_in_generate', 'output_scores']);

/**
 * transformers' defaults of its text-generation pipeline. They give way to the model's own, and those to the caller's; top_k is
 * the default of its generation configuration.
 */
const PIPELINE_DEFAULTS: GenerateOptions = { maxNewTokens: 256, doSample: true, temperature: 0.7 };
const DEFAULT_TOP_K = 50;

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

function rename(options: Readonly<Record<string, unknown>>, extra: readonly string[]): Mutable<GenerateOptions> {
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || extra.includes(name)) continue;
    const own = BY_WIRE_NAME.get(name);
    if (own === undefined) throw unknownOption(name, [...BY_WIRE_NAME.keys(), ...extra]);
    renamed[own] = value;
  }
  // The values are checked by resolveOptions, by the same table that these names come from.
  return renamed as Mutable<GenerateOptions>;
}

/** Throws OptionError for an unknown name or a value out of range: what can be told before the model is open. */
export function checkOptions(options: TextGenerationOptions): void {
  checkValues(rename({ ...options }, []), wireName);
}

/** The defaults a model folder sets. Throws OptionError for what Parley does not do: a text would silently come out otherwise. */
export function readDefaults(config: Readonly<Record<string, unknown>>): GenerateOptions {
  const known = Object.fromEntries(Object.entries(config).filter(([name]) => !WITHOUT_EFFECT.has(name)));
  try {
    const defaults = rename(known, []);
    resolveOptions(withoutIdle(defaults), wireName);
    return defaults;
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause;
    throw new OptionError(`the model's generation_config.json: ${cause.message}; correct it, or take the field out`, cause);
  }
}

/**
 * A call's options over the model's defaults over the pipeline's. `extra`: names of the call itself, which are left alone.
 * - Drawing at random is the default; with beams it is not, unless something about drawing is said.
 * - Defaults that the caller's choice leaves without effect are dropped: temperature and cuts without drawing, length penalty
 *   without beams.
 * - A length that is only a default ends the text where the context does; one the caller asked for is an error if it does not fit.
 * Throws OptionError, with the names the caller used.
 */
export function readOptions(options: Readonly<Record<string, unknown>>, defaults: GenerateOptions, extra: readonly string[] = []): GenerateOptions {
  const asked = rename(options, extra);
  const merged: Mutable<GenerateOptions> = { ...defaults, ...asked };
  const lengthIsAsked = asked.maxNewTokens !== undefined || asked.maxLength !== undefined;
  if (asked.maxLength !== undefined && asked.maxNewTokens === undefined) delete merged.maxNewTokens;
  else if (merged.maxNewTokens === undefined && merged.maxLength === undefined) merged.maxNewTokens = PIPELINE_DEFAULTS.maxNewTokens;
  if (!lengthIsAsked) merged.contextOverflow ??= 'stop';

  if ((merged.numBeams ?? 1) === 1) merged.doSample ??= PIPELINE_DEFAULTS.doSample;
  if (merged.doSample === true) merged.temperature ??= PIPELINE_DEFAULTS.temperature;
  for (const name of idle(merged)) if (asked[name] === undefined) delete merged[name];
  if (resolveOptions(merged, wireName).sample) merged.topK ??= DEFAULT_TOP_K;
  return merged;
}

/** Options that the others leave without effect. */
function idle(options: GenerateOptions): OptionName[] {
  return [
    ...(options.doSample === false || options.temperature === 0 ? (['temperature', 'topK', 'topP', 'minP'] as const) : []),
    ...((options.numBeams ?? 1) === 1 ? (['lengthPenalty', 'earlyStopping'] as const) : []),
  ].filter((name) => !(name === 'temperature' && options.temperature === 0));
}

const withoutIdle = (options: GenerateOptions): GenerateOptions => {
  const dropped = new Set<string>(idle(options));
  return Object.fromEntries(Object.entries(options).filter(([name]) => !dropped.has(name)));
};
