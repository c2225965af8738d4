/** An answer that another endpoint computes, as the page's tokens: a streamed chat completion, with log-probabilities where it has them. */
import type { Usage } from '@parley/generate';
import { ApiError, type TokenDetail } from '@parley/protocol';
import * as z from 'zod';
import type { RemoteModel } from '../models.ts';
import type { AnswerRequest } from './answer.ts';
import { rounded, RUNNERS_UP } from './tokens.ts';

/** What came: tokens (or a piece of text that stands for some), what was counted, or why it ended. */
export type RemotePart = { readonly tokens: readonly TokenDetail[] } | { readonly usage: Usage } | { readonly finishReason: 'stop' | 'length' };

const scored = z.looseObject({ token: z.string(), logprob: z.number() });
const count = z.number().int().min(0);

/** Of a chunk, what is read here; the rest is another server's own. */
const chunkSchema = z.looseObject({
  choices: z.array(z.looseObject({
    delta: z.looseObject({ content: z.string().nullish() }).nullish(),
    logprobs: z.looseObject({ content: z.array(scored.extend({ top_logprobs: z.array(scored).nullish() })).nullish() }).nullish(),
    finish_reason: z.string().nullish(),
  })).nullish(),
  usage: z.looseObject({ prompt_tokens: count, completion_tokens: count, prompt_tokens_details: z.looseObject({ cached_tokens: count.nullish() }).nullish() }).nullish(),
});

type Chunk = z.output<typeof chunkSchema>;

/** Throws ApiError, and the signal's reason. */
export async function* remoteParts(remote: RemoteModel, request: AnswerRequest): AsyncGenerator<RemotePart, void> {
  const { provider, model } = remote;
  const { system: _, ...parameters } = request.parameters;
  const body = { model, messages: request.turns, ...parameters, seed: request.seed, stream: true, stream_options: { include_usage: true } };
  let begun = false;
  const read = async function* (fields: object): AsyncGenerator<RemotePart, void> {
    for await (const part of provider.stream('/chat/completions', { body: fields, signal: request.signal })) {
      begun = true;
      const chunk = 'chunk' in part ? chunkSchema.safeParse(part.chunk) : null;
      if (chunk?.success === false) throw new ApiError(`'${provider.name}' answered with something that is no chunk of a chat completion.`, { status: 502, code: 'bad_gateway' });
      if (chunk !== null) yield* partsOf(chunk.data);
    }
  };
  try {
    yield* read({ ...body, logprobs: true, top_logprobs: RUNNERS_UP });
  } catch (error) {
    // Some models give no log-probabilities and refuse who asks for them: then without.
    if (begun || !(error instanceof ApiError) || error.status !== 400) throw error;
    yield* read(body);
  }
}

function* partsOf({ choices, usage }: Chunk): Generator<RemotePart, void> {
  const [choice] = choices ?? [];
  const text = choice?.delta?.content ?? '';
  const all = (choice?.logprobs?.content ?? []).map(({ token, logprob, top_logprobs: top }): TokenDetail => [
    token, rounded(logprob), (top ?? []).map((each) => [each.token, rounded(each.logprob)] as const),
  ]);
  // Tokens that are parts of characters do not add up to the text: then the text is told as one.
  if (all.length > 0 && all.map(([token]) => token).join('') === text) yield { tokens: all };
  else if (text !== '' || all.length > 0) yield { tokens: [[text, all[0]?.[1] ?? null, all[0]?.[2] ?? []]] };
  if (choice?.finish_reason) yield { finishReason: choice.finish_reason === 'length' ? 'length' : 'stop' };
  if (usage) yield { usage: { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens, cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0 } };
}
