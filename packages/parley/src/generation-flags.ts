/** What `generate` and `chat` have in common: flags for the model and for generation, a model's one-line introduction, errors. */
import { basename, dirname } from 'node:path';
import { type Command, Option } from 'commander';
import type { PipelineOptions, TextGenerationOptions, TextGenerationPipeline } from '@parley/tasks';
import { UsageError } from './errors.ts';
import { number, threads, whole } from './flag-values.ts';

export interface ModelFlags {
  model: string;
  dtype?: 'f32' | 'q8' | 'q4';
  backend?: 'auto' | 'native' | 'wasm' | 'reference';
  threads?: number;
  adapter?: string[];
  assistantModel?: string;
  assistantDtype?: 'f32' | 'q8' | 'q4';
}

export interface SamplingFlags {
  maxNewTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  noRepeatNgramSize?: number;
  stop?: string[];
  promptLookup?: number;
  numAssistantTokens?: number;
  seed?: number;
}

/** The shipped model; a constant of its own, so that help needs no package loaded. @parley/tasks has the same, and a test compares. */
export const DEFAULT_MODEL = 'parley-mini';

export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function addModelFlags(command: Command): Command {
  return command
    .option('--model <name-or-folder>', 'which model', DEFAULT_MODEL)
    .addOption(new Option('--dtype <dtype>', 'hold the weights in 32, 8 or 4 bits (default: f32, or as a quantized GGUF file is)').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--backend <name>', 'which backend runs').choices(['auto', 'native', 'wasm', 'reference']))
    .option('--threads <n>', 'threads that compute (default: all cores)', threads)
    .option('--adapter <name-or-folder[:weight]>', 'lay a LoRA adapter on the model, more or less strongly; may be given several times', collect)
    .option('--assistant-model <name-or-folder>', 'a smaller model with the same tokens that guesses ahead: the same text, often sooner')
    .addOption(new Option('--assistant-dtype <dtype>', 'hold its weights in 32, 8 or 4 bits (default: as the model\'s)').choices(['f32', 'q8', 'q4']));
}

/** Commander takes `--no-x` for the opposite of `--x`; this one begins with "no" because it forbids something. */
function notNegated(option: Option): Option {
  option.negate = false;
  return option;
}

/** Ranges are checked where the options mean something, and named there; here only that they are numbers. */
export function addSamplingFlags(command: Command): Command {
  return command
    .option('--max-new-tokens <n>', 'length of the answer at most (default: what the model says, or 256)', whole)
    .option('--temperature <t>', '0 is the likeliest text; higher is wilder (default: what the model says, or 0.7)', number)
    .option('--top-k <k>', 'draw among the k likeliest tokens (default: what the model says, or 50)', whole)
    .option('--top-p <p>', 'draw among the likeliest tokens that together have probability p', number)
    .option('--min-p <p>', 'draw among tokens at least p times as likely as the likeliest', number)
    .option('--repetition-penalty <x>', 'above 1: say less again, the prompt included', number)
    .option('--presence-penalty <x>', '-2 to 2: above 0, tokens already generated are less likely', number)
    .option('--frequency-penalty <x>', '-2 to 2: the same for every time they were generated', number)
    .addOption(notNegated(new Option('--no-repeat-ngram-size <n>', 'no run of n tokens occurs twice').argParser(whole)))
    .option('--stop <text>', 'end before this text; may be given several times', collect)
    .option('--prompt-lookup <n>', 'guess up to n tokens ahead where the text repeats itself: the same text, sometimes sooner', whole)
    .option('--num-assistant-tokens <n>', 'tokens the assistant model guesses at a time (default: 3)', whole)
    .option('--seed <n>', 'the same seed gives the same text', whole);
}

export function pipelineOptions({ dtype, backend, threads: count, adapter, assistantModel, assistantDtype }: ModelFlags): PipelineOptions {
  return {
    ...(dtype && { dtype }), ...(backend && { backend }), ...(count !== undefined && { threads: count }),
    ...(adapter && { adapters: adapter.map(parseAdapter) }),
    ...(assistantModel !== undefined && { assistant_model: assistantModel }), ...(assistantDtype && { assistant_dtype: assistantDtype }),
  };
}

/** `polite:0.5` → the adapter polite, half as strongly. */
export function parseAdapter(text: string): { path: string; weight?: number } {
  const [, path = text, weight] = /^(.+):(-?\d+(?:\.\d+)?)$/.exec(text) ?? [];
  return weight === undefined ? { path } : { path, weight: Number(weight) };
}

export function samplingOptions(flags: SamplingFlags): TextGenerationOptions {
  const options: Record<string, unknown> = {
    max_new_tokens: flags.maxNewTokens, temperature: flags.temperature, top_k: flags.topK, top_p: flags.topP, min_p: flags.minP,
    repetition_penalty: flags.repetitionPenalty, presence_penalty: flags.presencePenalty, frequency_penalty: flags.frequencyPenalty,
    no_repeat_ngram_size: flags.noRepeatNgramSize, stop_strings: flags.stop, prompt_lookup_num_tokens: flags.promptLookup,
    num_assistant_tokens: flags.numAssistantTokens, seed: flags.seed,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** `6.3M parameters in f32 (25 MB) · context of 512 tokens · wasm (relaxed SIMD, 2 threads)` */
export function introduce(name: string, { info }: TextGenerationPipeline): string {
  // A run keeps its model in runs/NAME/model.
  const own = (folder: string): string => basename(basename(folder) === 'model' ? dirname(folder) : folder);
  const shown = name.includes('/') || name.includes('\\') ? own(info.folder) : name;
  const millions = info.parameters / 1e6;
  const size = millions >= 1000 ? `${(millions / 1000).toFixed(1)}B` : `${millions.toFixed(millions < 10 ? 1 : 0)}M`;
  const beside = (info.adapters.length === 0 ? '' : ` + ${info.adapters.join(' + ')}`) + (info.assistant === null ? '' : `, assisted by ${own(info.assistant)}`);
  return [
    `${shown}${beside}: ${size} parameters in ${info.dtype} (${Math.max(1, Math.round(info.weightBytes / 1e6))} MB)`,
    `context of ${info.contextLength.toLocaleString('en-US')} tokens`,
    info.backend,
  ].join(' · ');
}

/** Errors about what was asked; the others are failures. */
const ASKED_WRONGLY = new Set(['OptionError', 'ContextOverflowError', 'ModelNotFoundError', 'AdapterError', 'UnknownTaskError']);

/** Runs a command's work; an error about what was asked becomes a UsageError that speaks of flags. */
export async function asked<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !ASKED_WRONGLY.has(error.name)) throw error;
    throw new UsageError(error.name === 'ContextOverflowError' ? `${error.message} (--context-overflow)` : inFlags(error.message), { cause: error.cause });
  }
}

/** Options that are flags here. Names of models, files and fields in a message stay what they are. */
const FLAGS = new Set([
  'max_new_tokens', 'top_k', 'top_p', 'min_p', 'repetition_penalty', 'presence_penalty', 'frequency_penalty', 'no_repeat_ngram_size', 'stop_strings',
  'prompt_lookup_num_tokens', 'num_assistant_tokens', 'assistant_model', 'assistant_dtype', 'num_return_sequences', 'num_beams', 'length_penalty', 'context_overflow',
]);

/** `num_return_sequences is 3` → `--num-return-sequences is 3`. */
export const inFlags = (message: string): string =>
  message.replaceAll(/^(?:temperature|seed|logprobs)\b|(?<![\w./"-])[a-z]+(?:_[a-z]+)+(?![\w./"-])/g, (name) => {
    if (name.includes('_') && !FLAGS.has(name)) return name;
    return name === 'stop_strings' ? '--stop' : name === 'prompt_lookup_num_tokens' ? '--prompt-lookup' : `--${name.replaceAll('_', '-')}`;
  });

/** On a terminal, says what is going on while `work` takes its time; the line is gone afterwards. */
export async function waiting<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const show = process.stderr.isTTY;
  if (show) process.stderr.write(`${what}…`);
  try {
    return await work();
  } finally {
    if (show) process.stderr.write('\r\u001B[2K');
  }
}

/** Grey on a terminal that shows colours. */
export const dim = (text: string, stream: NodeJS.WriteStream): string =>
  stream.isTTY && !process.env['NO_COLOR'] ? `\u001B[2m${text}\u001B[22m` : text;
