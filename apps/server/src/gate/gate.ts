/**
 * Before every route: is there one, who asks, may they, and is the request of a size and form that it may have. What is not in the table
 * of routes does not exist. Bodies are read only after this.
 */
import type { HttpBindings } from '@hono/node-server';
import { ApiError } from '@parley/protocol';
import type { Context } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { Environment } from '../app.ts';
import type { Store } from '../store/types.ts';
import { Attempts } from './attempts.ts';
import { Counters } from './counters.ts';
import { type Admitted, Credentials } from './credentials.ts';
import { checkHost, checkOrigin } from './hosts.ts';
import { NOBODY } from './identity.ts';
import { Ledger } from './ledger.ts';
import { Lifecycle } from './lifecycle.ts';
import { type RateLimits, RateLimiter } from './limits.ts';
import { type Log, silent } from './log.ts';
import { type Need, type Route, ROUTES } from './routes.ts';
import { type UsageHook, usageHook } from './usage.ts';

export interface GateOptions {
  readonly store?: Store | undefined;
  /** Others than who sits at this machine can reach the server: nobody gets in without a key or an account. Default false. */
  readonly exposed?: boolean | undefined;
  /** Names it answers to beside this machine's own. */
  readonly hosts?: readonly string[] | undefined;
  /** Origins whose pages may use /v1. Default none. */
  readonly origins?: readonly string[] | undefined;
  /** Whether a proxy before us tells who asks (X-Forwarded-For) and how they came (X-Forwarded-Proto). Otherwise anybody could say it. */
  readonly trustProxy?: boolean | undefined;
  /** Of keys that have none of their own, and of accounts. */
  readonly limits?: Partial<RateLimits> | undefined;
  readonly log?: Log | undefined;
}

/** What is known of one request, for its line in the log. */
export interface RequestRecord {
  readonly id: string;
  readonly began: number;
  route: string;
  who: string | null;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
  error: string | null;
  /** With `--log-content` only. */
  request: string;
  answer: string;
}

const URL_CHARACTERS = 8192;
/** Whoever watches is answered until the end. */
const WATCHED = new Set(['GET /health', 'GET /ready', 'GET /metrics']);

export class Gate {
  readonly store: Store | undefined;
  readonly lifecycle = new Lifecycle();
  readonly counters = new Counters();
  readonly attempts = new Attempts();
  readonly credentials: Credentials;
  readonly ledger: Ledger;
  readonly log: Log;
  readonly #limiter = new RateLimiter();
  readonly #exposed: boolean;
  readonly #hosts: readonly string[];
  readonly #origins: readonly string[];
  readonly #trustProxy: boolean;
  readonly #limits: RateLimits;

  constructor({ store, exposed = false, hosts = [], origins = [], trustProxy = false, limits = {}, log = silent }: GateOptions = {}) {
    this.store = store;
    this.#exposed = exposed;
    this.#hosts = hosts.map((name) => name.toLowerCase());
    this.#origins = origins;
    this.#trustProxy = trustProxy;
    this.#limits = { requestsPerMinute: limits.requestsPerMinute ?? null, tokensPerMinute: limits.tokensPerMinute ?? null };
    this.log = log;
    this.credentials = new Credentials(store, exposed);
    this.ledger = new Ledger(store, (error) => log.fault({ requestId: 'usage', path: 'the store', error }));
  }

  /** Throws ApiError: 403 for a host or an origin, 404 where no declared route is, 401, 403 and 429 for who may not, 414 and 415, 503 at the end. */
  async admit(context: Context<Environment>): Promise<void> {
    const { raw, method } = context.req;
    if (raw.url.length > URL_CHARACTERS) throw new ApiError(`The URL is over ${URL_CHARACTERS.toLocaleString('en')} characters.`, { status: 414, code: 'url_too_long' });
    const url = new URL(raw.url);
    checkHost(url, { names: this.#hosts, exposed: this.#exposed });
    const { name, need, limited } = routeOf(context);
    context.get('record').route = name;
    if (!WATCHED.has(name)) this.lifecycle.admit();
    const changes = method !== 'GET' && method !== 'HEAD';
    if (need !== 'public' || changes) checkOrigin(raw.headers, url, this.#allowedOrigins(url.pathname));
    if (changes) checkType(raw.headers, url.pathname);
    const admitted = need === 'public' ? { identity: NOBODY } : await this.#identify(need, raw.headers);
    context.set('identity', admitted.identity);
    if (need !== 'public') context.get('record').who = admitted.identity.kind === 'local' ? 'local' : `${admitted.identity.kind}:${admitted.identity.name}`;
    const limits = this.#limitsOf(admitted);
    context.set('usage', this.#usageOf(context.get('record'), admitted, limits));
    if (need === 'public') return;
    const { id } = admitted.identity;
    try {
      if (limited !== true) return;
      this.#limiter.admit(id, limits);
      if (admitted.standing) this.ledger.check(admitted.standing);
    } finally {
      for (const [header, value] of Object.entries(this.#limiter.headers(id, limits))) context.header(header, value);
    }
  }

  /** Origins that this request may come from and, below /v1, read the answers of. */
  originOf(context: Context<Environment>): string | null {
    const origin = context.req.header('origin');
    return origin !== undefined && this.#origins.includes(origin) && context.req.path.startsWith('/v1/') ? origin : null;
  }

  /** Where a request came from. */
  addressOf(context: Context<Environment>): string {
    // The nearest proxy writes last; what stands before that anybody can have written.
    const forwarded = this.#trustProxy ? context.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined;
    return forwarded ?? incomingOf(context)?.socket.remoteAddress ?? 'unknown';
  }

  /** Whether the browser came by TLS, which ends at a proxy before us. Browsers say it in the origin of what they post. */
  isSecure(context: Context<Environment>): boolean {
    return (this.#trustProxy && context.req.header('x-forwarded-proto') === 'https') || (context.req.header('origin') ?? '').startsWith('https:');
  }

  #allowedOrigins(path: string): readonly string[] {
    const own = this.#hosts.flatMap((name) => [`https://${name}`, `http://${name}`]);
    return path.startsWith('/v1/') ? [...own, ...this.#origins] : own;
  }

  async #identify(need: Exclude<Need, 'public'>, headers: Headers): Promise<Admitted> {
    const admitted = need === 'page' ? await this.credentials.person(headers.get('cookie') ?? undefined) : await this.credentials.key(headers.get('authorization') ?? undefined);
    const { kind, name, scopes } = admitted.identity;
    if (kind === 'local' && (headers.has('x-forwarded-for') || headers.has('forwarded'))) {
      throw new ApiError('A proxy passed this on, so that it need not be of this machine: start the server with --allow-host and the name it is reached by, and it asks for keys and accounts.', {
        status: 403, type: 'permission_error', code: 'forwarded_request',
      });
    }
    if (need !== 'page' && !scopes.includes(need)) {
      throw new ApiError(`You have insufficient permissions for this operation. Missing scopes: ${need}. The key ${name} has: ${scopes.join(', ')}.`, {
        status: 403, type: 'permission_error', code: 'insufficient_permissions',
      });
    }
    return admitted;
  }

  #limitsOf({ identity, standing }: Admitted): RateLimits {
    if (identity.kind === 'local') return { requestsPerMinute: null, tokensPerMinute: null };
    const own = standing?.record;
    return { requestsPerMinute: own?.requestsPerMinute ?? this.#limits.requestsPerMinute, tokensPerMinute: own?.tokensPerMinute ?? this.#limits.tokensPerMinute };
  }

  #usageOf(record: RequestRecord, { identity: { id } }: Admitted, limits: RateLimits): UsageHook {
    return usageHook({
      counters: this.counters,
      spend: (tokens) => {
        this.#limiter.spend(id, tokens, limits);
        this.ledger.spend(id, tokens);
      },
      write: (spent) => {
        record.promptTokens += spent.promptTokens;
        record.completionTokens += spent.completionTokens;
        record.cachedTokens += spent.cachedTokens;
        this.ledger.write(id, spent);
      },
      ...(this.log.content && { say: (text: string) => void (record.answer += text) }),
    });
  }
}

export const incomingOf = (context: Context<Environment>): HttpBindings['incoming'] | undefined => (context.env as Environment['Bindings'] | undefined)?.incoming;

/** The route that is going to answer, as the table has it. Handlers for all methods are no routes: they cannot be told from middleware. */
export function routeOf(context: Context<Environment>): Route & { readonly name: string } {
  const { path, method } = context.req;
  const matched = matchedRoutes(context).find((each) => each.method !== 'ALL');
  const name = matched === undefined ? '' : `${matched.method} ${matched.path}`;
  const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
  const caught = name === 'GET /*' && /^\/(?:v1|api)(?:\/|$)/.test(path);
  if (route === undefined || caught) throw noRoute(method, path);
  return { ...route, name };
}

/** What paths of the table look like, with the methods that they take. The page's files may be anywhere: they are no such path. */
const PATHS: readonly { readonly form: RegExp; readonly methods: readonly string[] }[] =
  [...Map.groupBy(Object.keys(ROUTES).map((name) => name.split(' ')), ([, path = '']) => path)]
    .filter(([path]) => !path.includes('*'))
    .map(([path, names]) => ({ form: formOf(path), methods: names.map(([method = '']) => method) }));

/** `:name` is one part of a path, `:name{.+}` the rest of it. */
function formOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:\w+(\{\.\+\})?|\./g, (part, rest?: string) => (part === '.' ? '\\.' : rest === undefined ? '[^/]+' : '.+'))}$`);
}

function noRoute(method: string, path: string): ApiError {
  const methodsOf = (of: string): readonly string[] => PATHS.filter(({ form }) => form.test(of)).flatMap(({ methods }) => methods);
  const methods = methodsOf(path);
  if (methods.length > 0 && !methods.includes(method)) {
    return new ApiError(`Not allowed to ${method} on ${path}: it takes ${methods.join(', ')}.`, { status: 405, code: 'method_not_supported', headers: { allow: methods.join(', ') } });
  }
  const below = methodsOf(`/v1${path}`).includes(method) ? `: the base URL ends in /v1, so that this is /v1${path}` : '';
  return new ApiError(`Invalid URL (${method} ${path})${below}`, { status: 404, code: 'unknown_url' });
}

/** A form of another site may be sent without asking us first; JSON may not. */
function checkType(headers: Headers, path: string): void {
  const type = headers.get('content-type') ?? '';
  const hasBody = headers.has('transfer-encoding') || Number(headers.get('content-length') ?? 0) > 0;
  const needed = path.startsWith('/v1/') ? hasBody || type !== '' : hasBody;
  if (needed && !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new ApiError(`The content type is '${type}': send application/json.`, { status: 415, code: 'unsupported_media_type' });
  }
}
