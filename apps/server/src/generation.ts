/** From the wire's fields to options of generation, and from generation's errors to the wire's. */
import { ConstraintError, ContextOverflowError, GenerateError, type GenerateOptions, GeneratorClosedError, OptionError, QueueFullError } from '@parley/generate';
import { ApiError, type ChatCompletionRequest, type CompletionRequest, invalidRequest } from '@parley/protocol';
import { ChatTemplateError } from '@parley/tokenizer';
import type { OpenModel } from './models.ts';

type Fields = Pick<
  ChatCompletionRequest | CompletionRequest,
  'temperature' | 'top_p' | 'n' | 'stop' | 'presence_penalty' | 'frequency_penalty' | 'logit_bias' | 'seed' | 'top_k' | 'min_p' | 'repetition_penalty'
  | 'no_repeat_ngram_size' | 'num_beams' | 'stop_token_ids'
>;

/** The wire's name of each option of generation, for errors. */
const NAMES: Readonly<Record<string, string>> = {
  maxNewTokens: 'max_tokens', temperature: 'temperature', topP: 'top_p', topK: 'top_k', minP: 'min_p', numReturnSequences: 'n', stopStrings: 'stop',
  presencePenalty: 'presence_penalty', frequencyPenalty: 'frequency_penalty', logitBias: 'logit_bias', seed: 'seed', repetitionPenalty: 'repetition_penalty',
  noRepeatNgramSize: 'no_repeat_ngram_size', numBeams: 'num_beams', stopTokens: 'stop_token_ids', logProbabilities: 'logprobs',
};

/** Hugging Face's names of what a model folder may set, as they are called here. */
const DEFAULTS = { temperature: 'temperature', top_p: 'topP', top_k: 'topK', min_p: 'minP', repetition_penalty: 'repetitionPenalty', no_repeat_ngram_size: 'noRepeatNgramSize' } as const;

/** What was asked, over what the model's folder says, over OpenAI's defaults (drawing at temperature 1). */
export function generateOptions(fields: Fields, model: OpenModel): GenerateOptions {
  const defaults = Object.fromEntries(Object.entries(DEFAULTS).flatMap(([name, option]) => {
    const value = model.defaults[name];
    return typeof value === 'number' ? [[option, value] as const] : [];
  }));
  const asked = {
    temperature: fields.temperature, topP: fields.top_p, topK: fields.top_k, minP: fields.min_p, repetitionPenalty: fields.repetition_penalty,
    noRepeatNgramSize: fields.no_repeat_ngram_size,
  };
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null && value !== undefined));
  const { temperature = 1, ...drawing } = { ...defaults, ...given } as GenerateOptions;
  const beams = fields.num_beams ?? 1;
  // A temperature of 0 is the likeliest token every time; what narrows the choice then has nothing to narrow.
  const { topP: _p, topK: _k, minP: _m, ...steady } = drawing;
  const stop = typeof fields.stop === 'string' ? [fields.stop] : fields.stop;
  return {
    ...(temperature === 0 || beams > 1 ? { ...steady, doSample: false } : { ...drawing, temperature, doSample: true }),
    ...(beams > 1 && { numBeams: beams }),
    ...(fields.n !== null && fields.n !== undefined && { numReturnSequences: fields.n }),
    ...(stop && stop.length > 0 && { stopStrings: stop }),
    ...(fields.stop_token_ids && { stopTokens: fields.stop_token_ids }),
    ...(typeof fields.presence_penalty === 'number' && { presencePenalty: fields.presence_penalty }),
    ...(typeof fields.frequency_penalty === 'number' && { frequencyPenalty: fields.frequency_penalty }),
    // −100 forbids, as OpenAI's documentation has it.
    ...(fields.logit_bias && { logitBias: new Map(Object.entries(fields.logit_bias).map(([token, bias]) => [Number(token), bias <= -100 ? -Infinity : bias])) }),
    ...(typeof fields.seed === 'number' && { seed: fields.seed }),
  };
}

/** Greedy answers to one prompt are all the same: `n` of them are one, told n times. */
export const isGreedy = (options: GenerateOptions): boolean => options.doSample === false && (options.numBeams ?? 1) === 1;

/** Any error, with an endpoint's own names for what others call by the names of chat completions. */
export function renamed(error: unknown, names: Readonly<Record<string, string>>): ApiError {
  const failure = toApiError(error);
  const name = failure.param !== null && Object.hasOwn(names, failure.param) ? names[failure.param] : undefined;
  if (name === undefined) return failure;
  const { status, type, code, headers } = failure;
  const message = Object.entries(names).reduce((text, [theirs, own]) => text.replace(new RegExp(`\\b${theirs}\\b`, 'g'), own), failure.message);
  return new ApiError(message, { status, type, param: name, code, headers, cause: error });
}

/** Any error as one that HTTP can tell. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ContextOverflowError) {
    const { promptTokens, newTokens, contextLength } = error;
    const [asked, remedy] = newTokens === null || newTokens === 0 ? [`has ${promptTokens} tokens`, 'Shorten it']
      : [`and your max_tokens come to ${promptTokens + newTokens} tokens (${promptTokens} + ${newTokens})`, 'Shorten the prompt or lower max_tokens'];
    return invalidRequest(`This model's maximum context length is ${contextLength} tokens, but your prompt ${asked}. ${remedy}.`, 'messages', 'context_length_exceeded');
  }
  if (error instanceof OptionError) {
    const param = NAMES[error.option] ?? error.option;
    return invalidRequest(error.message.replaceAll(error.option, param), param, 'invalid_value');
  }
  if (error instanceof QueueFullError) {
    return new ApiError(`The server is busy: ${error.waiting} requests are waiting, which is as many as it lets wait. Try again in ${error.retryAfterSeconds} s.`, {
      status: 429, type: 'rate_limit_error', code: 'server_overloaded', headers: { 'retry-after': String(error.retryAfterSeconds) }, cause: error,
    });
  }
  // Templates refuse orders of messages that their model has never seen.
  if (error instanceof ChatTemplateError) return invalidRequest(error.message, 'messages', 'invalid_value');
  if (error instanceof ConstraintError) return invalidRequest(error.message, 'response_format', 'invalid_json_schema');
  // Nothing that was asked: its thread is gone, or the server ends.
  if (error instanceof GeneratorClosedError) {
    return new ApiError('The model was closed before the answer was whole. Try again.', { status: 503, code: 'model_closed', cause: error });
  }
  if (error instanceof GenerateError) return invalidRequest(error.message);
  return new ApiError('The server had an error while processing your request.', { status: 500, cause: error });
}
