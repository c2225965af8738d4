/** The service as a function from Request to Response: routes, and around them ids, times, limits and errors. No socket is opened here. */
import type { HttpBindings } from '@hono/node-server';
import { ApiError } from '@parley/protocol';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { Gate, type RequestRecord, routeOf } from './gate/gate.ts';
import { corsHeaders, securityHeaders } from './gate/headers.ts';
import type { Identity } from './gate/identity.ts';
import type { UsageHook } from './gate/usage.ts';
import { toApiError } from './generation.ts';
import type { Models } from './models.ts';
import { providerRoutes } from './providers/routes.ts';
import { chatRoutes } from './routes/chat.ts';
import { completionRoutes } from './routes/completions.ts';
import { conversationRoutes } from './routes/conversations.ts';
import { docsRoutes } from './routes/docs.ts';
import { embeddingRoutes } from './routes/embeddings.ts';
import { healthRoutes } from './routes/health.ts';
import { metricRoutes } from './routes/metrics.ts';
import { modelRoutes } from './routes/models.ts';
import { pageRoutes } from './routes/page.ts';
import { responseRoutes } from './routes/responses.ts';
import { sessionRoutes } from './routes/session.ts';
import { plainTalkRoutes, talkRoutes } from './routes/talk.ts';
import { transferRoutes } from './routes/transfer.ts';
import type { Store } from './store/types.ts';
import type { Talk } from './talk/talk.ts';

export interface AppOptions {
  readonly models: Models;
  /** What is kept. Absent: nothing is, and there are no keys and no accounts. */
  readonly store?: Store | undefined;
  /** Who may ask. Default: whoever sits at this machine, until there are keys and accounts in the store. */
  readonly gate?: Gate | undefined;
  /** The answers that are being written for the page. Absent: its routes about conversations are not there. */
  readonly talk?: Talk | undefined;
  /** Folder of the built page. Absent: no page. */
  readonly page?: string | undefined;
  /** Bytes a request's body may have. Default 1 MiB: some hundred times the context of the models here. */
  readonly bodyBytes?: number | undefined;
  /** What failed inside, for the operator; default the gate's log. People's words are not in it. */
  readonly onFault?: ((fault: { readonly requestId: string; readonly path: string; readonly error: unknown }) => void) | undefined;
}

export interface Environment {
  /** Node's own objects, where there is a socket. */
  readonly Bindings: Partial<HttpBindings>;
  readonly Variables: {
    readonly requestId: string;
    /** Who asks. */
    readonly identity: Identity;
    /** Aborted when the reader leaves and, with an ApiError as its reason, when the server ends: for all that runs because of the request. */
    readonly signal: AbortSignal;
    /** What answers cost, bound to who asks. */
    readonly usage: UsageHook;
    /** For the request's line in the log. */
    readonly record: RequestRecord;
  };
}

export function createApp(options: AppOptions): Hono<Environment> {
  const { models, store, gate = new Gate({ store }), bodyBytes = 1 << 20, onFault = (fault) => gate.log.fault(fault) } = options;
  const app = new Hono<Environment>();
  app.use(async (context, next) => {
    const record = recordOf();
    context.set('requestId', record.id);
    context.set('record', record);
    context.set('signal', AbortSignal.any([context.req.raw.signal, gate.lifecycle.ended]));
    whenEnded(context, gate);
    const origin = gate.originOf(context);
    const asked = context.req.method === 'OPTIONS' && origin !== null ? context.req.header('access-control-request-headers') ?? '' : null;
    if (asked === null) await next();
    else context.res = new Response(null, { status: 204 });
    const { headers } = context.res;
    for (const [name, value] of Object.entries(securityHeaders(context.req.path))) if (!headers.has(name)) context.header(name, value);
    if (origin !== null) for (const [name, value] of Object.entries(corsHeaders(origin, asked))) context.header(name, value);
    context.header('x-request-id', record.id);
    context.header('openai-processing-ms', String(Math.round(performance.now() - record.began)));
    context.header('openai-version', '2020-10-01');
  });
  app.use(async (context, next) => {
    await gate.admit(context);
    const { bodyBytes: maxSize = bodyBytes } = routeOf(context);
    return bodyLimit({
      maxSize,
      onError: () => {
        throw new ApiError(`The body is over ${maxSize.toLocaleString('en')} bytes: send less at once.`, { status: 413, code: 'request_too_large' });
      },
    })(context, next);
  });
  // Each part is a line; what its routes need stands in gate/routes.ts.
  healthRoutes(app, gate);
  metricRoutes(app, models, gate);
  sessionRoutes(app, gate);
  docsRoutes(app);
  modelRoutes(app, models);
  providerRoutes(app, models); // before ours: theirs are passed on
  chatRoutes(app, models);
  completionRoutes(app, models);
  embeddingRoutes(app, models);
  responseRoutes(app, models, store);
  plainTalkRoutes(app, models);
  if (options.talk !== undefined) {
    conversationRoutes(app, options.talk);
    talkRoutes(app, options.talk);
    transferRoutes(app, options.talk);
  }
  // Last: it takes every address that nothing else has.
  if (options.page !== undefined) pageRoutes(app, options.page);
  app.onError((error, context) => {
    const failure = toApiError(error);
    const label = failure.code ?? failure.type;
    context.get('record').error = label;
    if (failure.status === 401 || failure.status === 403) gate.counters.authFailures.add({ reason: failure.code ?? 'no_api_key' });
    if (failure.status === 429) gate.counters.rateLimited.add({ reason: label, kind: failure.type });
    if (failure.status >= 500 && failure.code !== 'server_shutting_down') onFault({ requestId: context.get('requestId'), path: context.req.path, error: failure.cause ?? error });
    return context.json(failure.body, failure.status as 500, { ...failure.headers });
  });
  return app;
}

const recordOf = (): RequestRecord => ({
  id: `req_${crypto.randomUUID().replaceAll('-', '')}`, began: performance.now(), route: 'none', who: null, promptTokens: 0, completionTokens: 0, cachedTokens: 0, error: null,
  request: '', answer: '',
});

/** Counts and logs a request when the last byte of its answer is out, or its reader gone. Without a socket nobody can tell: nothing is logged. */
function whenEnded(context: Context<Environment>, { counters, log }: Gate): void {
  const outgoing = (context.env as Environment['Bindings'] | undefined)?.outgoing;
  outgoing?.once('close', () => {
    const { id, began, route, who, promptTokens, completionTokens, cachedTokens, error, request, answer } = context.get('record');
    const { method, path } = context.req;
    const status = outgoing.statusCode;
    counters.requests.add({ route, status: String(status) });
    log.request({
      id, method, path, status, ms: performance.now() - began, left: !outgoing.writableFinished, who, promptTokens, completionTokens, cachedTokens, error,
      ...(log.content && { content: { request, answer } }),
    });
  });
}
