/** The service on a socket: what it lets in, when it is ready, and how it ends. */
import { createServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { ApiError } from '@parley/protocol';
import { createApp, type AppOptions } from './app.ts';
import { Gate, type GateOptions } from './gate/gate.ts';
import { isLoopback } from './gate/hosts.ts';
import { Models, type ModelsOptions } from './models.ts';
import { openStore } from './store/open.ts';
import { Talk } from './talk/talk.ts';

export interface ServeOptions extends ModelsOptions, Omit<AppOptions, 'models' | 'gate' | 'talk'>, Omit<GateOptions, 'store' | 'exposed'> {
  /** Default 8080; 0: any that is free. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1. Others only where the store has a key or an account: anybody who reaches them could use the server. */
  readonly host?: string | undefined;
  /** Load the default model now instead of at the first request. Default true. */
  readonly preload?: boolean | undefined;
  /** What `openStore` takes: it is opened, and closed with the server. Instead of `store`, which stays its owner's. */
  readonly database?: string | null | undefined;
  /** Seconds that answers have to end when the server does. Default 30. */
  readonly drainSeconds?: number | undefined;
  readonly sockets?: { readonly [Name in keyof SocketLimits]?: SocketLimits[Name] | undefined } | undefined;
}

export interface SocketLimits {
  /** Bytes of the request line and the headers together. Default 16 KiB. */
  readonly headerBytes: number;
  /** Seconds to send the headers, and the whole request. Default 15 and 60. */
  readonly headersSeconds: number;
  readonly requestSeconds: number;
  /** Seconds that a connection may wait for its next request; balancers close theirs after 60. Default 75. */
  readonly idleSeconds: number;
  /** At once; those over it are refused. Default 2,048. */
  readonly connections: number;
}

const SOCKETS: SocketLimits = { headerBytes: 16 << 10, headersSeconds: 15, requestSeconds: 60, idleSeconds: 75, connections: 2048 };
/** For errors to reach those whose answers were cut off. */
const FAREWELL_MS = 2000;

export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:8080`, without a slash. */
  readonly url: string;
  readonly gate: Gate;
  /**
   * Takes on nothing new, waits for what runs (default: drainSeconds), then ends it with an error its readers understand. Resolves when all
   * is closed, with the number of answers that were cut off. A second call waits for the first.
   */
  close(graceMs?: number): Promise<{ readonly cutOff: number }>;
}

/** Throws where the address is taken, others could reach the server and nobody is named who may, or the default model cannot be loaded. */
export async function serve(options: ServeOptions): Promise<Server> {
  const { port = 8080, host = '127.0.0.1', preload = true, drainSeconds = 30, hosts = [] } = options;
  const limits: SocketLimits = { ...SOCKETS, ...Object.fromEntries(Object.entries(options.sockets ?? {}).filter(([, value]) => value !== undefined)) };
  await using open = new AsyncDisposableStack();
  const store = options.store ?? (options.database ? open.use(await openStore(options.database)) : undefined);
  // A name is given because the server is reached by it, through a proxy on this machine if not directly.
  const exposed = !isLoopback(host) || hosts.length > 0;
  if (exposed && !((await store?.keys.any()) || (await store?.accounts.any()))) {
    throw new Error(`the server would answer ${isLoopback(host) ? `as ${hosts.join(', ')}` : `on ${host}`}, where others can reach it, and nobody is named who may: make a key with 'parley keys create' or an account with 'parley accounts create'`);
  }
  const gate = new Gate({ ...options, store, exposed });
  open.defer(async () => gate.ledger.flush());
  const models = open.use(new Models(options));
  const { lifecycle } = gate;
  const talk = store && new Talk({ models, store, ended: lifecycle.ended, onFault: (error) => gate.log.fault({ requestId: 'answer', path: '/api', error }) });
  if (talk !== undefined) {
    await talk.recover({ shared: store?.description.startsWith('Postgres') === true });
    lifecycle.alsoWaitFor(talk);
  }
  const listener = getRequestListener(createApp({ ...options, store, models, gate, talk }).fetch);
  const server = createServer({
    maxHeaderSize: limits.headerBytes, headersTimeout: limits.headersSeconds * 1000, requestTimeout: limits.requestSeconds * 1000,
    keepAliveTimeout: limits.idleSeconds * 1000, connectionsCheckingInterval: Math.min(5000, limits.headersSeconds * 250),
  }, (request, response) => {
    response.once('close', lifecycle.enter());
    if (lifecycle.draining) response.shouldKeepAlive = false;
    void listener(request, response);
  });
  server.maxConnections = limits.connections;
  server.on('drop', () => gate.counters.dropped.add());
  server.on('clientError', refuse);
  await listen(server, port, host);
  let closing: Promise<{ cutOff: number }> | undefined;
  const kept = open.move();
  const close = async (graceMs = drainSeconds * 1000): Promise<{ cutOff: number }> => (closing ??= end(graceMs));
  const end = async (graceMs: number): Promise<{ cutOff: number }> => {
    lifecycle.drain();
    gate.log.note(`draining: ${lifecycle.running} answers run and have at most ${graceMs / 1000} s`);
    await within(lifecycle.idle(), graceMs);
    lifecycle.end();
    const { cutOff } = lifecycle;
    await within(lifecycle.idle(), FAREWELL_MS);
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    await kept.disposeAsync();
    gate.log.note(`ended: ${cutOff} answers were cut off`);
    return { cutOff };
  };
  try {
    // The socket is open before: whoever watches sees a server that is alive and not ready.
    if (preload) await models.preload();
  } catch (error) {
    await close(0);
    throw error;
  }
  lifecycle.ready();
  const bound = server.address() as AddressInfo;
  return {
    url: `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`, gate, close,
    [Symbol.asyncDispose]: async () => void (await close()),
  };
}

async function listen(server: HttpServer, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

/** What is no request of HTTP, or too large or too slow a one, before there is anything to route. */
function refuse(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse | null }): void {
  const [status, reason, message, code] = error.code === 'HPE_HEADER_OVERFLOW' ? [431, 'Request Header Fields Too Large', 'The headers and the URL are too long.', 'headers_too_large'] as const
    : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? [408, 'Request Timeout', 'The request took too long to arrive.', 'request_timeout'] as const
      : [400, 'Bad Request', 'This is not a request of HTTP.', 'bad_request'] as const;
  const answering = socket._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable || answering?.headersSent === true) return void socket.destroy();
  const body = JSON.stringify(new ApiError(message, { status, code }).body);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
}
