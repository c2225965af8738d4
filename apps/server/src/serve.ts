/** The service on a socket. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { createApp, type AppOptions } from './app.ts';
import { Models, type ModelsOptions } from './models.ts';

export interface ServeOptions extends ModelsOptions, Omit<AppOptions, 'models'> {
  /** Default 8080; 0: any that is free. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1. Other addresses are refused until there are keys: anybody who reaches them could use the server. */
  readonly host?: string | undefined;
  /** Load the default model now instead of at the first request. Default true. */
  readonly preload?: boolean | undefined;
}

export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:8080`, without a slash. */
  readonly url: string;
  /** No new connections; those there are get so many milliseconds to finish. Default 10,000. */
  close(graceMs?: number): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
/** Of a request's headers, and of its whole. */
const HEADER_BYTES = 16 << 10;
const REQUEST_MS = 300_000;

/** Throws where the address is taken, is no loopback address, or the default model cannot be loaded. */
export async function serve(options: ServeOptions): Promise<Server> {
  const { port = 8080, host = '127.0.0.1', preload = true } = options;
  if (!LOOPBACK.has(host)) {
    throw new Error(`the server would answer on ${host}, where others can reach it, and it cannot ask for keys yet: use 127.0.0.1 and put a proxy that asks before it`);
  }
  await using open = new AsyncDisposableStack();
  const models = open.use(new Models(options));
  if (preload) await models.get(models.defaultModel);
  const server = createServer({ maxHeaderSize: HEADER_BYTES, requestTimeout: REQUEST_MS }, (request, response) => {
    // A name that points here from elsewhere (DNS rebinding) must not make a browser's page one of ours.
    const name = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    if (!LOOPBACK.has(name)) {
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({
        error: { message: `The host '${name}' is not this server's.`, type: 'permission_error', param: null, code: 'unknown_host' },
      }));
      return;
    }
    void listener(request, response);
  });
  const listener = getRequestListener(createApp({ ...options, models }).fetch);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const kept = open.move();
  const bound = server.address() as AddressInfo;
  const close = async (graceMs = 10_000): Promise<void> => {
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
    await kept.disposeAsync();
  };
  return { url: `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`, close, [Symbol.asyncDispose]: () => close() };
}
