/**
 * The same paths as our own models have, for models of other endpoints: before ours, and past them to the next handler where the
 * model is one of ours. Fields are not checked here: what the other endpoint understands, it may be asked.
 */
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';
import { toApiError } from '../generation.ts';
import type { Models, RemoteModel } from '../models.ts';
import { eventResponse, eventText } from '../sse.ts';
import { readBody } from '../stream.ts';
import type { Body, Part } from './provider.ts';

export function providerRoutes(app: Hono<Environment>, models: Models): void {
  if (!models.hasProviders) return;
  for (const path of ['/chat/completions', '/completions', '/embeddings']) {
    app.post(`/v1${path}`, async (context, next) => {
      const body = await readBody(context);
      if (typeof body !== 'object' || body === null || Array.isArray(body)) return next();
      const { model, engine, ...rest } = body as Body;
      const named = model ?? engine;
      const remote = typeof named === 'string' ? models.remote(named) : null;
      return remote === null ? next() : forward(context, { remote, path, fields: rest });
    });
  }
}

interface Forwarded {
  readonly remote: RemoteModel;
  readonly path: string;
  readonly fields: Body;
}

async function forward(context: Context<Environment>, { remote, path, fields }: Forwarded): Promise<Response> {
  const { provider, model } = remote;
  const { stream_options: given, ...rest } = fields;
  /** As it is told here; what it cost is counted. */
  const told = (answer: Body): Body => {
    const counted = countedIn(answer);
    if (counted !== null) context.get('usage').add({ model: remote.id, ...counted });
    return typeof answer['model'] === 'string' ? { ...answer, model: provider.modelHere(answer['model']) } : answer;
  };
  if (fields['stream'] !== true) return context.json(told(await provider.call(path, { body: { ...fields, model }, signal: context.get('signal') })));

  // Usage is asked for in any case, for whoever counts, and told to those who asked.
  const options = isObject(given) ? given : {};
  const withUsage = options['include_usage'] === true;
  const left = new AbortController();
  const signal = AbortSignal.any([context.get('signal'), left.signal]);
  const parts = provider.stream(path, { body: { ...rest, model, stream_options: { ...options, include_usage: true } }, signal });
  const texts = async function* (): AsyncGenerator<string, void> {
    for await (const part of parts) {
      const text = textOf(part, { told, withUsage });
      if (text !== '') yield text;
    }
    yield 'data: [DONE]\n\n';
  }();
  return eventResponse({
    texts, left,
    // What fails before the first event is an answer with its status.
    first: await texts.next(),
    failure: (error) => eventText(toApiError(error).body),
  });
}

function textOf(part: Part, { told, withUsage }: { told: (answer: Body) => Body; withUsage: boolean }): string {
  if ('comment' in part) return `: ${part.comment}\n\n`;
  const chunk = told(part.chunk);
  if (withUsage) return eventText(chunk);
  const { usage, ...plain } = chunk;
  const isExtra = Array.isArray(chunk['choices']) && chunk['choices'].length === 0 && isObject(usage);
  return isExtra ? '' : eventText(plain);
}

const isObject = (value: unknown): value is Body => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What an answer says it cost. */
function countedIn({ usage }: Body): { promptTokens: number; completionTokens: number; cachedTokens: number } | null {
  if (!isObject(usage)) return null;
  const number = (value: unknown): number => (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0);
  const details = usage['prompt_tokens_details'];
  return {
    promptTokens: number(usage['prompt_tokens']), completionTokens: number(usage['completion_tokens']),
    cachedTokens: isObject(details) ? number(details['cached_tokens']) : 0,
  };
}
