/** GET /health: the process is there. GET /ready: it can answer, so that a balancer may send somebody. Open to all; nothing is told but that. */
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import type { Gate } from '../gate/gate.ts';

/** A database that does not answer within this is not there. */
const PING_MS = 2000;

export function healthRoutes(app: Hono<Environment>, gate: Gate): void {
  app.get('/health', (context) => context.json({ status: 'ok' }));
  app.get('/ready', async (context) => {
    const { state } = gate.lifecycle;
    const kept = await reachable(gate);
    const ready = state === 'ready' && kept;
    return context.json({ status: ready ? 'ready' : 'not_ready', server: state, store: gate.store === undefined ? 'none' : kept ? 'reachable' : 'unreachable' }, ready ? 200 : 503);
  });
}

async function reachable({ store }: Gate): Promise<boolean> {
  if (store === undefined) return true;
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), PING_MS);
  try {
    return await Promise.race([store.ping().then(() => true, () => false), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
