/** The text-generation pipeline: text or a conversation in, the same with its continuation out. */
import {
  type Generation, type GenerateOptions, type GenerateResult, type GenerateEvent, collect, type LogProbabilities, OptionError, type Prompt,
} from '@parley/generate';
import type { ModelGenerator, ModelInfo } from '@parley/generate/node';
import type { ChatMessage, Tokenizer } from '@parley/tokenizer';
import { TaskError } from './errors.ts';
import { readDefaults, readOptions, type TextGenerationOptions } from './options.ts';
import type { Streamer } from './text-streamer.ts';

export interface TextGenerationCallOptions extends TextGenerationOptions {
  /** Whether the prompt stands before the continuation (for a conversation: all messages, with the answer as the last). Default true. */
  return_full_text?: boolean;
  /** Is handed the tokens as they come; for one prompt and one answer. */
  streamer?: Streamer;
}

export interface TextGenerationOutput {
  generated_text: string;
  /** With `logprobs`: of each generated token. */
  logprobs?: readonly LogProbabilities[];
}

export interface ChatGenerationOutput {
  generated_text: ChatMessage[];
  logprobs?: readonly LogProbabilities[];
}

export type TextGenerationInput = string | readonly string[] | readonly ChatMessage[] | readonly (readonly ChatMessage[])[];

/** With `return_full_text: false` the answer to a conversation is its text alone. */
type ContinuationOnly = TextGenerationCallOptions & { return_full_text: false };

export interface TextGenerationPipeline extends AsyncDisposable {
  (text: string, options?: TextGenerationCallOptions): Promise<TextGenerationOutput[]>;
  (texts: readonly string[], options?: TextGenerationCallOptions): Promise<TextGenerationOutput[][]>;
  (messages: readonly ChatMessage[], options: ContinuationOnly): Promise<TextGenerationOutput[]>;
  (messages: readonly ChatMessage[], options?: TextGenerationCallOptions): Promise<ChatGenerationOutput[]>;
  (conversations: readonly (readonly ChatMessage[])[], options: ContinuationOnly): Promise<TextGenerationOutput[][]>;
  (conversations: readonly (readonly ChatMessage[])[], options?: TextGenerationCallOptions): Promise<ChatGenerationOutput[][]>;
  readonly task: 'text-generation';
  /** Facts about the model: size, context, backend. */
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  /** The events of a generation as they happen; its `result()` has tokens, finish reasons, usage and timings. */
  stream(input: TextGenerationInput, options?: TextGenerationOptions): Generation;
  /** Frees the model. Open requests end with an error. */
  dispose(): Promise<void>;
}

const CALL_OPTIONS = ['return_full_text', 'streamer'] as const;

export function textGeneration(generator: ModelGenerator, tokenizer: Tokenizer): TextGenerationPipeline {
  const defaults = readDefaults(generator.info.defaults);

  const settingsOf = (options: TextGenerationOptions, extra?: readonly string[]): GenerateOptions => {
    const { numAssistantTokens, ...settings } = readOptions({ ...options }, defaults, extra);
    const asked = options.num_assistant_tokens ?? 0;
    // A model folder's default is for those who open an assistant beside it.
    if (generator.info.assistant !== null) return numAssistantTokens === undefined ? settings : { ...settings, numAssistantTokens };
    if (asked === 0) return settings;
    throw new OptionError(`num_assistant_tokens is ${asked}, and no assistant is open: open the model with an assistant_model`, { option: 'num_assistant_tokens', value: asked });
  };

  const stream = (input: TextGenerationInput, options: TextGenerationOptions = {}): Generation =>
    generator.generate(promptsOf(input), settingsOf(options));

  const call = async (input: TextGenerationInput, options: TextGenerationCallOptions = {}): Promise<unknown> => {
    const prompts = promptsOf(input);
    const settings = settingsOf(options, CALL_OPTIONS);
    const { streamer, return_full_text: full = true } = options;
    if (streamer) checkStreamer(prompts, settings);
    const generation = generator.generate(prompts, settings);
    const result = await collect(streamer ? feeding(generation, streamer) : generation);
    const outputs = prompts.map((prompt, p) => outputsOf(prompt, p, { result, full }));
    return isBatch(input) ? outputs : outputs[0];
  };

  return Object.assign(call as (...args: unknown[]) => Promise<never>, {
    task: 'text-generation' as const,
    info: generator.info,
    tokenizer,
    stream,
    dispose: () => generator.dispose(),
    [Symbol.asyncDispose]: () => generator.dispose(),
  }) as TextGenerationPipeline;
}

const isBatch = (input: TextGenerationInput): boolean => typeof input !== 'string' && (typeof input[0] === 'string' || Array.isArray(input[0]));

/** What an item of a list is; null: nothing that can be asked. */
function kindOf(item: unknown): 'text' | 'conversation' | 'message' | null {
  if (typeof item === 'string') return 'text';
  if (Array.isArray(item)) return 'conversation';
  return typeof item === 'object' && item !== null && 'role' in item ? 'message' : null;
}

const described = (value: unknown): string =>
  typeof value === 'string' ? 'a text' : Array.isArray(value) ? 'a list' : value === null || typeof value !== 'object' ? String(value)
    : 'role' in value ? 'a message (of a conversation, a list)' : 'an object';

function promptsOf(input: TextGenerationInput): Prompt[] {
  if (typeof input === 'string') return [input];
  const given: unknown = input;
  if (!Array.isArray(given)) throw new TaskError(`the input is ${described(given)}: pass a text, texts, or the messages of a conversation`);
  if (given.length === 0) throw new TaskError('the input is an empty list: pass a text, texts, or the messages of a conversation');
  const kinds = new Set(given.map(kindOf));
  if (kinds.size > 1 || kinds.has(null)) {
    const odd = given.findIndex((each) => kindOf(each) === null || kindOf(each) !== kindOf(given[0]));
    throw new TaskError(`item ${odd} of the input is ${described(given[odd])}: pass texts, or messages of one conversation, or conversations`);
  }
  if (isBatch(input)) {
    return (input as readonly (string | readonly ChatMessage[])[]).map((each) => (typeof each === 'string' ? each : { messages: each }));
  }
  return [{ messages: input as readonly ChatMessage[] }];
}

function outputsOf(prompt: Prompt, index: number, { result, full }: { result: GenerateResult; full: boolean }): (TextGenerationOutput | ChatGenerationOutput)[] {
  const answers = result.sequences.length / result.prompts.length;
  return result.sequences.slice(index * answers, (index + 1) * answers).map(({ text, logProbabilities }) => {
    const rest = logProbabilities ? { logprobs: logProbabilities } : {};
    if (!full || typeof prompt === 'object' && 'tokens' in prompt) return { generated_text: text, ...rest };
    if (typeof prompt === 'string') return { generated_text: prompt + text, ...rest };
    return { generated_text: [...prompt.messages, { role: 'assistant', content: text }], ...rest };
  });
}

function checkStreamer(prompts: readonly Prompt[], { numReturnSequences = 1, numBeams = 1 }: GenerateOptions): void {
  const several = prompts.length > 1 ? `${prompts.length} prompts` : numReturnSequences > 1 ? `${numReturnSequences} answers` : null;
  if (several) throw new OptionError(`a streamer takes one text, and there are ${several}: use stream(), which numbers them`, { option: 'streamer' });
  if (numBeams > 1) {
    throw new OptionError(`beam search (num_beams ${numBeams}) knows its text only at the end: leave out the streamer`, { option: 'streamer' });
  }
}

async function* feeding(events: AsyncIterable<GenerateEvent>, streamer: Streamer): AsyncGenerator<GenerateEvent, void> {
  for await (const event of events) {
    if (event.type === 'start') streamer.put(event.prompts[0]?.tokens ?? []);
    else if (event.type === 'token') streamer.put([event.token], event.text);
    else if (event.type === 'end') streamer.end();
    yield event;
  }
}
