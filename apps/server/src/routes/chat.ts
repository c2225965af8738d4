/** POST /v1/chat/completions. The answer that is not streamed is a fold over the one that is. */
import { collect, type GenerateEvent, type GenerateOptions, type LogProbabilities } from '@parley/generate';
import {
  type ChatCompletion, type ChatCompletionChunk, type ChatCompletionRequest, chatCompletionRequest, type ChatLogprobs, invalidRequest, parseRequest, type TokenLogprob,
} from '@parley/protocol';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import { generateOptions, isGreedy } from '../generation.ts';
import type { Models, OpenModel } from '../models.ts';
import { eventStream, readBody } from '../stream.ts';
import { LEAST_LOGPROB, newId, seconds, usageOf } from '../wire.ts';

export function chatRoutes(app: Hono<Environment>, models: Models): void {
  app.post('/v1/chat/completions', async (context) => {
    const request = parseRequest(chatCompletionRequest, await readBody(context));
    const model = await models.get(request.model);
    const options = optionsOf(request, model);
    const messages = request.messages.map(({ role, content }) => ({ role: role === 'developer' ? 'system' as const : role, content }));
    const copies = isGreedy(options) ? (options.numReturnSequences ?? 1) : 1;
    const { id: queueKey } = context.get('identity');
    const run = (signal: AbortSignal) => context.get('usage').count(model.id, model.generator.generate({ messages }, { ...options, ...(copies > 1 && { numReturnSequences: 1 }), queueKey, signal }));
    const head = { id: newId('chatcmpl'), created: seconds(), model: model.id };
    if (request.stream === true) return eventStream(context, (signal) => chunks(run(signal), { head, request, model, copies }));

    const { sequences, usage } = await collect(run(context.get('signal')));
    const choices = Array.from({ length: copies }, () => sequences).flat().map(({ text, tokens, finishReason, logProbabilities }, index) => ({
      index, message: { role: 'assistant' as const, content: text, refusal: null, annotations: [] as const },
      logprobs: logProbabilities === undefined ? null : logprobsOf(tokens, logProbabilities, model), finish_reason: finishReason,
    }));
    return context.json({ ...head, object: 'chat.completion', choices, usage: usageOf(usage) } satisfies ChatCompletion);
  });
}

function optionsOf(request: ChatCompletionRequest, model: OpenModel): GenerateOptions {
  const { response_format: format, max_tokens: older, max_completion_tokens: newer } = request;
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    throw invalidRequest(`'max_tokens' is ${older} and 'max_completion_tokens' is ${newer}: give one of them`, 'max_tokens', 'invalid_value');
  }
  if (typeof request.top_logprobs === 'number' && request.logprobs !== true) {
    throw invalidRequest("'top_logprobs' needs 'logprobs' to be true", 'top_logprobs', 'invalid_value');
  }
  if (request.stream_options && request.stream !== true) {
    throw invalidRequest("'stream_options' is about streams: pass 'stream': true with it", 'stream_options', 'invalid_value');
  }
  if (format?.type === 'json_schema' && format.json_schema.schema === undefined) {
    throw invalidRequest("'response_format.json_schema' has no schema", 'response_format.json_schema.schema', 'missing_required_parameter');
  }
  const most = newer ?? older;
  return {
    ...generateOptions(request, model),
    // What was not asked for may be cut by the context; what was asked for has to fit.
    ...(typeof most === 'number' && { maxNewTokens: most }),
    ...(request.logprobs === true && { logProbabilities: request.top_logprobs ?? 0 }),
    ...(format?.type === 'json_object' && { constraint: { type: 'json' as const } }),
    ...(format?.type === 'json_schema' && { constraint: { type: 'json_schema' as const, schema: format.json_schema.schema ?? true } }),
  };
}

interface ChunkContext {
  readonly head: { readonly id: string; readonly created: number; readonly model: string };
  readonly request: ChatCompletionRequest;
  readonly model: OpenModel;
  readonly copies: number;
}

/** The role first, then the text as it becomes certain, the reason last; with include_usage one more chunk without choices. */
async function* chunks(events: AsyncIterable<GenerateEvent>, { head, request, model, copies }: ChunkContext): AsyncGenerator<ChatCompletionChunk> {
  const withUsage = request.stream_options?.include_usage === true;
  const chunk = (index: number, delta: ChatCompletionChunk['choices'][number]['delta'], rest: { finish_reason?: 'stop' | 'length'; logprobs?: ChatLogprobs } = {}): ChatCompletionChunk => ({
    ...head, object: 'chat.completion.chunk', choices: [{ index, delta, ...(rest.logprobs && { logprobs: rest.logprobs }), finish_reason: rest.finish_reason ?? null }],
    ...(withUsage && { usage: null }),
  });
  const begun = new Set<number>();
  for await (const event of events) {
    if (event.type === 'done') {
      if (withUsage) yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(event.usage, copies) };
      continue;
    }
    if (event.type === 'start') continue;
    for (let copy = 0; copy < copies; copy++) {
      const index = copies > 1 ? copy : event.index;
      if (!begun.has(index)) yield chunk(index, { role: 'assistant', content: '', refusal: null });
      begun.add(index);
      if (event.type === 'end') yield chunk(index, {}, { finish_reason: event.finishReason });
      else if (event.text !== '' || event.logProbabilities !== undefined) {
        yield chunk(index, { content: event.text }, event.logProbabilities === undefined ? {} : { logprobs: logprobsOf([event.token], [event.logProbabilities], model) });
      }
    }
  }
}

function logprobsOf(tokens: readonly number[], all: readonly LogProbabilities[], { tokenizer }: OpenModel): ChatLogprobs {
  const entry = ({ token, logProbability }: { token: number; logProbability: number }): TokenLogprob => ({
    token: tokenizer.decode([token]), logprob: Math.max(LEAST_LOGPROB, logProbability), bytes: [...tokenizer.tokenBytes(token)],
  });
  const content = all.map(({ logProbability, top }, i) => ({ ...entry({ token: tokens[i] ?? 0, logProbability }), top_logprobs: top.map(entry) }));
  return { content, refusal: null };
}
