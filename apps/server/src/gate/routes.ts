/**
 * Every route of the server and what it takes to use it. A route that is not here is closed: it answers 404 as if it were not there,
 * and the test that walks the app's routes fails. Written as Hono knows them: method, a blank, path as registered.
 */
import type { Scope } from '../store/types.ts';

/** `public`: anybody. `page`: who is signed in (or local). Otherwise: a key with this scope (or local). */
export type Need = 'public' | 'page' | Scope;

export interface Route {
  readonly need: Need;
  /** Counts against the limits of requests and tokens a minute, and needs what is left of a budget. */
  readonly limited?: boolean;
  /** Bytes a body may have, where it is not the server's general limit. */
  readonly bodyBytes?: number;
}

const open: Route = { need: 'public' };
const page: Route = { need: 'page' };
const chat: Route = { need: 'chat', limited: true };
const kept: Route = { need: 'chat' };
const answered: Route = { need: 'page', limited: true };

export const ROUTES: Readonly<Record<string, Route>> = {
  'GET /health': open,
  'GET /ready': open,
  'GET /metrics': { need: 'metrics' },

  'GET /v1/models': { need: 'models' },
  'GET /v1/models/:id{.+}': { need: 'models' },
  'POST /v1/chat/completions': chat,
  'POST /v1/completions': chat,
  'POST /v1/engines/:engine/completions': chat,
  'POST /v1/embeddings': { need: 'embeddings', limited: true },
  'POST /v1/responses': chat,
  'GET /v1/responses/:id': kept,
  'DELETE /v1/responses/:id': kept,
  'POST /v1/responses/:id/cancel': kept,
  'GET /v1/responses/:id/input_items': kept,

  'GET /openapi.json': open,
  'GET /docs': open,

  'GET /api/session': open,
  'POST /api/session': { need: 'public', bodyBytes: 8 << 10 },
  'DELETE /api/session': open,
  'GET /api/models': page,
  'GET /api/conversations': page,
  'POST /api/conversations': page,
  'GET /api/conversations/:id': page,
  'PATCH /api/conversations/:id': page,
  'DELETE /api/conversations/:id': page,
  'POST /api/conversations/:id/messages': page,
  'GET /api/conversations/:id/messages/:messageId': page,
  'GET /api/conversations/:id/export': page,
  'POST /api/conversations/:id/generate': answered,
  'GET /api/conversations/:id/stream': page,
  'POST /api/conversations/:id/stop': page,
  'POST /api/temporary/generate': answered,
  'GET /api/personas': page,
  'POST /api/personas': page,
  'PATCH /api/personas/:id': page,
  'DELETE /api/personas/:id': page,
  'GET /api/export': page,
  // A person's whole history.
  'POST /api/import': { need: 'page', bodyBytes: 256 << 20 },

  // The page's files. It catches what no other GET does, but nothing below /v1 and /api, which answer 404 in JSON.
  'GET /*': open,
};
