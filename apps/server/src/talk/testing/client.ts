/** The page's side of /api, for tests: one person who talks over HTTP. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { ApiError, type TalkEvent } from '@parley/protocol';
import { Hono } from 'hono';
import type { Environment } from '../../app.ts';
import { toApiError } from '../../generation.ts';
import type { Models } from '../../models.ts';
import { conversationRoutes } from '../../routes/conversations.ts';
import { plainTalkRoutes, talkRoutes } from '../../routes/talk.ts';
import { transferRoutes } from '../../routes/transfer.ts';
import { SCOPES, type Store, type UsageEntry } from '../../store/types.ts';
import { Talk } from '../talk.ts';

export interface Numbered {
  readonly id: number;
  readonly event: TalkEvent;
}

export interface TalkServer extends AsyncDisposable {
  readonly url: string;
  readonly talk: Talk;
  readonly used: readonly Omit<UsageEntry, 'keyId'>[];
  /** As aborting the server's lifecycle. */
  end(): void;
}

/** The routes on a socket, with whoever the header `x-owner` names: what the gate does has its own tests. */
export async function serveTalk(options: { readonly store: Store; readonly models: Models }): Promise<TalkServer> {
  const ended = new AbortController();
  const used: Omit<UsageEntry, 'keyId'>[] = [];
  const talk = new Talk({ ...options, ended: ended.signal });
  await talk.recover();
  const app = new Hono<Environment>();
  app.use(async (context, next) => {
    const id = context.req.header('x-owner') ?? 'local';
    context.set('identity', { kind: 'local', id, name: id, scopes: SCOPES });
    context.set('signal', AbortSignal.any([context.req.raw.signal, ended.signal]));
    context.set('record', { id: 'r', began: 0, route: '', who: null, promptTokens: 0, completionTokens: 0, cachedTokens: 0, error: null, request: '', answer: '' });
    context.set('usage', {
      add: (spent) => void used.push(spent),
      async *count(model, events) {
        let tokens = 0;
        try {
          for await (const event of events) {
            if (event.type === 'token') tokens++;
            yield event;
          }
        } finally {
          used.push({ model, promptTokens: 0, completionTokens: tokens, cachedTokens: 0 });
        }
      },
    });
    await next();
  });
  app.onError((error, context) => {
    const failure = error instanceof ApiError ? error : toApiError(error);
    return context.json(failure.body, failure.status as 500, { ...failure.headers });
  });
  plainTalkRoutes(app, options.models);
  conversationRoutes(app, talk);
  talkRoutes(app, talk);
  transferRoutes(app, talk);
  const listener = getRequestListener(app.fetch);
  const server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, talk, used, end: () => ended.abort(new ApiError('The server is shutting down.', { status: 503, code: 'server_shutting_down' })),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      await talk.idle();
    },
  };
}

export class Client {
  readonly url: string;
  readonly owner: string;

  constructor(url: string, owner = 'local') {
    this.url = url;
    this.owner = owner;
  }

  async raw(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method, headers: { 'x-owner': this.owner, 'content-type': 'application/json' }, ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }), ...init,
    });
  }

  /** The answer's body. Throws where the status is not one of success. */
  async call<Result>(method: string, path: string, body?: unknown): Promise<Result> {
    const response = await this.raw(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as Result;
  }

  /** Events as they come; leaving the loop closes the connection. */
  async *events(method: string, path: string, body?: unknown): AsyncGenerator<Numbered, void> {
    const leave = new AbortController();
    const response = await this.raw(method, path, body, { signal: leave.signal });
    if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
    let rest = '';
    try {
      for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
        rest += bytes;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const [, id, data] = /^id: (\d+)\ndata: (.*)$/s.exec(rest.slice(0, end)) ?? [];
          rest = rest.slice(end + 2);
          if (id !== undefined && data !== undefined) yield { id: Number(id), event: JSON.parse(data) as TalkEvent };
        }
      }
    } finally {
      leave.abort();
    }
  }

  async all(method: string, path: string, body?: unknown): Promise<Numbered[]> {
    const events: Numbered[] = [];
    for await (const event of this.events(method, path, body)) events.push(event);
    return events;
  }
}

export const textOf = (events: readonly Numbered[]): string => events.map(({ event }) => (event.type === 'token' ? event.text : '')).join('');
