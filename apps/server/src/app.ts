/** The service as a function from Request to Response: routes, and around them ids, times, limits and errors. No socket is opened here. */
import { ApiError } from '@parley/protocol';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { gate, routeOf } from './gate/gate.ts';
import type { Identity } from './gate/identity.ts';
import { Lifecycle } from './gate/lifecycle.ts';
import { type UsageHook, usageHook } from './gate/usage.ts';
import { toApiError } from './generation.ts';
import type { Models } from './models.ts';
import { chatRoutes } from './routes/chat.ts';
import { completionRoutes } from './routes/completions.ts';
import { conversationRoutes } from './routes/conversations.ts';
import { embeddingRoutes } from './routes/embeddings.ts';
import { metricRoutes } from './routes/metrics.ts';
import { modelRoutes } from './routes/models.ts';
import { pageRoutes } from './routes/page.ts';
import { plainTalkRoutes, talkRoutes } from './routes/talk.ts';
import { transferRoutes } from './routes/transfer.ts';
import type { Store } from './store/types.ts';
import type { Talk } from './talk/talk.ts';

export interface AppOptions {
  readonly models: Models;
  /** What is kept. Absent: nothing is, and there are no keys and no accounts. */
  readonly store?: Store | undefined;
  /** The answers that are being written for the page. Absent: its routes about conversations are not there. */
  readonly talk?: Talk | undefined;
  /** Folder of the built page. Absent: no page. */
  readonly page?: string | undefined;
  /** Whether the server still takes on work; shared with the socket. */
  readonly lifecycle?: Lifecycle | undefined;
  /** Bytes a request's body may have. Default 1 MiB: some hundred times the context of the models here. */
  readonly bodyBytes?: number | undefined;
  /** What failed inside, for the operator. People's words are not in it. */
  readonly onFault?: ((fault: { readonly requestId: string; readonly path: string; readonly error: unknown }) => void) | undefined;
}

export interface Environment {
  readonly Variables: {
    readonly requestId: string;
    /** Who asks. */
    readonly identity: Identity;
    /** Aborted when the reader leaves and, with an ApiError as its reason, when the server ends: for all that runs because of the request. */
    readonly signal: AbortSignal;
    /** What answers cost, bound to who asks. */
    readonly usage: UsageHook;
  };
}

export function createApp(options: AppOptions): Hono<Environment> {
  const { models, bodyBytes = 1 << 20, lifecycle = new Lifecycle(), onFault = () => {} } = options;
  const app = new Hono<Environment>();
  app.use(async (context, next) => {
    const requestId = `req_${crypto.randomUUID().replaceAll('-', '')}`;
    const started = performance.now();
    context.set('requestId', requestId);
    context.set('signal', AbortSignal.any([context.req.raw.signal, lifecycle.ended]));
    context.set('usage', usageHook(() => {}, () => {}));
    await next();
    context.header('x-request-id', requestId);
    context.header('openai-processing-ms', String(Math.round(performance.now() - started)));
    context.header('openai-version', '2020-10-01');
    context.header('x-content-type-options', 'nosniff');
  });
  app.use(gate());
  app.use(async (context, next) => {
    const { bodyBytes: maxSize = bodyBytes } = routeOf(context);
    return bodyLimit({
      maxSize,
      onError: () => {
        throw new ApiError(`The body is over ${maxSize.toLocaleString('en')} bytes: send less at once.`, { status: 413, code: 'request_too_large' });
      },
    })(context, next);
  });
  // A page of somewhere else may not use a person's own server: browsers send what they post there, unless it has to be JSON.
  app.use('/v1/*', async (context, next) => {
    const type = context.req.header('content-type') ?? '';
    if (context.req.method === 'POST' && !/^application\/json\b/i.test(type)) {
      throw new ApiError(`The content type is '${type}': send application/json.`, { status: 415, code: 'unsupported_media_type' });
    }
    await next();
  });
  // Each part is a line; what its routes need stands in gate/routes.ts.
  modelRoutes(app, models);
  chatRoutes(app, models);
  completionRoutes(app, models);
  embeddingRoutes(app, models);
  metricRoutes(app, models);
  plainTalkRoutes(app, models);
  if (options.talk !== undefined) {
    conversationRoutes(app, options.talk);
    talkRoutes(app, options.talk);
    transferRoutes(app, options.talk);
  }
  // Last: it takes every address that nothing else has.
  if (options.page !== undefined) pageRoutes(app, options.page);
  app.notFound((context) => {
    const { method, path } = context.req;
    return context.json(new ApiError(`Invalid URL (${method} ${path})`, { status: 404, code: 'unknown_url' }).body, 404);
  });
  app.onError((error, context) => {
    const failure = toApiError(error);
    if (failure.status >= 500) onFault({ requestId: context.get('requestId'), path: context.req.path, error: failure.cause ?? error });
    return context.json(failure.body, failure.status as 500, { ...failure.headers });
  });
  return app;
}
