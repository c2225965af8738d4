/** Small parts of answers. */
import type { Usage as Counted } from '@parley/generate';
import type { Usage } from '@parley/protocol';

/** `chatcmpl-` and 24 characters that nobody has had before. */
export const newId = (prefix: string): string => `${prefix}-${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`;

/** JSON has no −Infinity; OpenAI writes this for what is as good as impossible. */
export const LEAST_LOGPROB = -9999;

export const seconds = (): number => Math.floor(Date.now() / 1000);

/** `copies`: how many times the answers are told. */
export function usageOf(counted: Counted, copies = 1): Usage {
  const { promptTokens, completionTokens } = counted;
  const completion = completionTokens * copies;
  return {
    prompt_tokens: promptTokens, completion_tokens: completion, total_tokens: promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 'cachedTokens' in counted && typeof counted.cachedTokens === 'number' ? counted.cachedTokens : 0 },
  };
}
