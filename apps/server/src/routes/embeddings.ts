/** POST /v1/embeddings. */
import { type EmbeddingResponse, embeddingRequest, parseRequest } from '@parley/protocol';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import type { Models } from '../models.ts';
import { renamed } from '../generation.ts';
import { readBody } from '../stream.ts';

export function embeddingRoutes(app: Hono<Environment>, models: Models): void {
  app.post('/v1/embeddings', async (context) => {
    const { model: name, input, encoding_format: format } = parseRequest(embeddingRequest, await readBody(context));
    const model = await models.get(name);
    const { vectors, tokens } = await model.generator.embed(listOf(input), { signal: context.get('signal') }).catch((error: unknown) => {
      throw renamed(error, { messages: 'input', prompt: 'input' });
    });
    context.get('usage').add({ model: model.id, promptTokens: tokens, completionTokens: 0, cachedTokens: 0 });
    const written = (vector: Float32Array): number[] | string => (format === 'base64' ? base64(vector) : [...vector]);
    return context.json({
      object: 'list', model: model.id, data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: written(vector) })),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    } satisfies EmbeddingResponse);
  });
}

function listOf(input: string | readonly string[] | readonly number[] | readonly (readonly number[])[]): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return input.every((each) => typeof each === 'number') ? [input as readonly number[]] : (input as readonly (string | readonly number[])[]);
}

/** Little-endian, whatever this machine is. */
function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, 4 * i);
  return bytes.toString('base64');
}
