/** POST /v1/embeddings: texts as vectors of length 1. */
import * as z from 'zod';

const tokens = z.array(z.number().int().min(0)).min(1).max(2048);
const text = z.string().min(1, 'has to be a text that is not empty');

export const embeddingRequest = z.strictObject({
  model: z.string().min(1),
  input: z.union([text, z.array(text).min(1).max(2048), tokens, z.array(tokens).min(1).max(2048)], {
    error: 'has to be a text, up to 2,048 texts, a list of token ids, or up to 2,048 such lists',
  }),
  /** base64: the numbers as little-endian f32. */
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.null('vectors have the length that the model has: leave dimensions out').optional(),
  user: z.string().optional(),
});

export type EmbeddingRequest = z.output<typeof embeddingRequest>;

export interface EmbeddingResponse {
  readonly object: 'list';
  readonly data: readonly { readonly object: 'embedding'; readonly index: number; readonly embedding: readonly number[] | string }[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}
