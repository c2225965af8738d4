/**
 * The hub's HTTP interface, as far as fetching a model needs it (https://huggingface.co/docs/hub/api): which commit a revision is, which files
 * it has, and the bytes of one. Redirects are followed here, not by fetch, so that the token goes to the hub's own host and no further.
 */
import type { ReadableStreamDefaultReader } from 'node:stream/web';
import * as z from 'zod';
import { nearestName } from '../../nearest-name.ts';
import { errorCode, HubError, Transient } from './errors.ts';
import { isSafePath } from './name.ts';
import { clock, type Wait, withRetries } from './retry.ts';

export interface HubFile {
  /** Inside the model, with `/` between folders. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the bytes (files in large-file storage), or Git's SHA-1 of the blob (all others); null where the hub gives neither. */
  readonly checksum: { readonly algorithm: 'sha256' | 'git-sha1'; readonly value: string } | null;
}

export interface HubClientOptions {
  /** As `hubEndpoint` gives it. */
  readonly endpoint: string;
  readonly token?: string | undefined;
  /** Further attempts after faults that may pass. Default 5. */
  readonly retries?: number;
  /** Without a byte for so long, a connection counts as broken. Default 30,000 ms. */
  readonly stallTimeout?: number;
  readonly signal?: AbortSignal | undefined;
  readonly wait?: Wait;
  readonly onRetry?: (message: string, pause: number) => void;
}

const commitSchema = z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) });
const treeSchema = z.array(z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().min(0).default(0),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).optional(),
}));
const refsSchema = z.object({ branches: z.array(z.object({ name: z.string() })).default([]), tags: z.array(z.object({ name: z.string() })).default([]) });

/** Answers in JSON are read up to this; a page of a thousand files is under 1 MB. */
const LARGEST_JSON = 64 * 2 ** 20;
const MOST_PAGES = 1000;
const MOST_REDIRECTS = 10;

/** Not worth an attempt before the first byte was ever seen: the name or the network is wrong. */
const UNREACHABLE = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT']);
const CERTIFICATE = /^(?:CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

export interface OpenResponse extends Disposable {
  readonly response: Response;
  /** The body. Throws Transient where the connection breaks or stands still. */
  chunks(): AsyncIterable<Uint8Array>;
}

export class HubClient {
  readonly endpoint: string;
  readonly host: string;
  readonly hasToken: boolean;
  readonly #token: string | undefined;
  readonly #options: HubClientOptions;
  #reached = false;

  constructor(options: HubClientOptions) {
    this.endpoint = options.endpoint;
    this.host = new URL(options.endpoint).host;
    this.hasToken = options.token !== undefined;
    this.#token = options.token;
    this.#options = options;
  }

  /** Runs `work` again on faults that may pass. `progress`: see RetryOptions. */
  async retrying<Result>(work: () => Promise<Result>, progress?: () => number): Promise<Result> {
    const { retries = 5, wait = clock, signal, onRetry } = this.#options;
    return await withRetries({
      retries, wait, signal, onRetry: (fault, pause) => onRetry?.(fault.message, pause), ...(progress ? { progress } : {}),
    }, work);
  }

  /** The commit that a branch, tag or commit of a model is. Throws HubError. */
  async commit(repository: string, revision: string): Promise<string> {
    const url = new URL(`${this.endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}`);
    const { body } = await this.#json(url, commitSchema, { repository, revision });
    return body.sha;
  }

  /** All files of a commit. Throws HubError, `unsafe-path` where one of them would leave the model's folder. */
  async files(repository: string, commit: string): Promise<HubFile[]> {
    const files = new Map<string, HubFile>();
    let url = new URL(`${this.endpoint}/api/models/${repository}/tree/${commit}?recursive=true`);
    for (let page = 0; ; page++) {
      if (page === MOST_PAGES) throw new HubError('protocol', `${this.host} does not come to an end with the files of ${repository}: ${MOST_PAGES} pages of them`, { host: this.host });
      const { body, next } = await this.#json(url, treeSchema, { repository, revision: commit });
      for (const { type, path, size, oid, lfs } of body) {
        if (!isSafePath(path)) {
          throw new HubError('unsafe-path', `${this.host} lists a file called ${JSON.stringify(path)} in ${repository}, which would lie outside of the model's folder: nothing was fetched`, { host: this.host, file: path });
        }
        if (type !== 'file') continue;
        const checksum = lfs ? { algorithm: 'sha256', value: lfs.oid } as const
          : oid !== undefined && /^[0-9a-f]{40}$/.test(oid) ? { algorithm: 'git-sha1', value: oid } as const : null;
        files.set(path, { path, size: lfs?.size ?? size, checksum });
      }
      if (next === undefined) return [...files.values()];
      // Only the place in the list is taken: a mirror may name the host that it mirrors.
      const following = new URL(url);
      following.search = new URL(next, url).search;
      if (following.href === url.href) throw new HubError('protocol', `${this.host} names the same page of files as the next one`, { host: this.host });
      url = following;
    }
  }

  fileUrl(repository: string, commit: string, path: string): URL {
    return new URL(`${this.endpoint}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`);
  }

  async #json<Body>(url: URL, schema: z.ZodType<Body>, what: { repository: string; revision?: string }): Promise<{ body: Body; next: string | undefined }> {
    return await this.retrying(async () => {
      using open = await this.open(url, { headers: { accept: 'application/json' }, ...what });
      const { response } = open;
      const pieces: Uint8Array[] = [];
      let length = 0;
      for await (const piece of open.chunks()) {
        length += piece.length;
        if (length > LARGEST_JSON) throw new HubError('protocol', `${this.host} answers ${url.pathname} with more than ${LARGEST_JSON / 2 ** 20} MiB`, { host: this.host });
        pieces.push(piece);
      }
      let parsed: z.ZodSafeParseResult<Body>;
      try {
        parsed = schema.safeParse(JSON.parse(Buffer.concat(pieces).toString('utf8')));
      } catch (cause) {
        throw new HubError('protocol', `${this.host} answers ${url.pathname} with something that is not JSON: is it a hub? (--endpoint, HF_ENDPOINT, or a page to sign in to the network)`, { host: this.host, cause });
      }
      if (!parsed.success) {
        throw new HubError('protocol', `${this.host} answers ${url.pathname} otherwise than a hub does: is it one? (--endpoint, HF_ENDPOINT)`, { host: this.host, cause: parsed.error });
      }
      const next = /<([^>]+)>\s*;[^,]*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
      return { body: parsed.data, next };
    });
  }

  /**
   * One GET, redirects followed, its status 2xx or 416; dispose it to close the connection. Throws HubError, Transient where another
   * attempt may help, or the signal's reason.
   */
  async open(url: URL, options: { headers?: Readonly<Record<string, string>>; repository: string; revision?: string; file?: string }): Promise<OpenResponse> {
    const { signal, stallTimeout = 30_000 } = this.#options;
    signal?.throwIfAborted();
    const stalled = new AbortController();
    const controller = new AbortController();
    const timer = setTimeout(() => stalled.abort(new Error(`no byte came for ${stallTimeout / 1000} s`)), stallTimeout);
    const combined = AbortSignal.any([controller.signal, stalled.signal, ...(signal ? [signal] : [])]);
    const close = (): void => {
      clearTimeout(timer);
      controller.abort();
    };
    let at = url;
    const fault = (error: unknown): Error => {
      if (signal?.aborted) return signal.reason instanceof Error ? signal.reason : new Error('stopped', { cause: signal.reason });
      return this.#networkFault(at.host, stalled.signal.aborted ? stalled.signal.reason : error);
    };
    async function* chunks({ body }: Response): AsyncGenerator<Uint8Array> {
      if (body === null) return;
      const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      for (;;) {
        const next = await reader.read().catch((error: unknown) => {
          throw fault(error);
        });
        if (next.done) return;
        timer.refresh();
        yield next.value;
      }
    }
    try {
      let mayHaveToken = this.#isTrusted(url);
      for (let hops = 0; ; hops++) {
        const headers = new Headers({ 'user-agent': 'parley', 'accept-encoding': 'identity', ...options.headers });
        if (mayHaveToken && this.#token !== undefined) headers.set('authorization', `Bearer ${this.#token}`);
        let response: Response;
        try {
          response = await fetch(at, { headers, redirect: 'manual', signal: combined });
        } catch (error) {
          throw fault(error);
        }
        timer.refresh();
        this.#reached = true;
        const location = response.headers.get('location');
        if (response.status >= 300 && response.status < 400 && location !== null) {
          await response.body?.cancel();
          const next = URL.parse(location, at.href);
          if (next === null || !/^https?:$/.test(next.protocol) || (at.protocol === 'https:' && next.protocol === 'http:')) {
            throw new HubError('protocol', `${at.host} sends on to ${next?.origin ?? JSON.stringify(location)}, which is not safe: nothing was fetched from there`, { host: at.host });
          }
          if (hops === MOST_REDIRECTS) throw new HubError('protocol', `${this.host} sends in circles: ${MOST_REDIRECTS} redirects for ${url.pathname}`, { host: this.host });
          // Once it was left behind, the token stays behind.
          mayHaveToken &&= this.#isTrusted(next);
          at = next;
          continue;
        }
        if (!response.ok && response.status !== 416) throw await this.#statusFault(response, at, options);
        return { response, chunks: () => chunks(response), [Symbol.dispose]: close };
      }
    } catch (error) {
      close();
      throw error;
    }
  }

  /** The hub itself, by https or on this machine: where the token may go. */
  #isTrusted(url: URL): boolean {
    const { origin, protocol, hostname } = new URL(this.endpoint);
    return url.origin === origin && (protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
  }

  #networkFault(host: string, error: unknown): Error {
    const code = errorCode(error);
    const why = code ?? (error instanceof Error ? error.message : String(error));
    if (code !== undefined && CERTIFICATE.test(code)) {
      return new HubError('network', `the certificate of ${host} is not trusted (${code}): behind a proxy that reads along, name its certificate in NODE_EXTRA_CA_CERTS`, { host, cause: error });
    }
    const unreachable = code !== undefined && UNREACHABLE.has(code);
    const final = new HubError('network', unreachable
      ? `${host} cannot be reached (${why}): is the network up? Behind a proxy, set HTTPS_PROXY and NODE_USE_ENV_PROXY=1; a mirror goes by --endpoint; --offline takes what is in the cache`
      : `the connection to ${host} broke (${why}) again and again: run the same command to go on from where it stopped`, { host, cause: error });
    return unreachable && !this.#reached ? final : new Transient(final);
  }

  async #statusFault(response: Response, at: URL, what: { repository: string; revision?: string; file?: string }): Promise<Error> {
    const { status, headers } = response;
    const { host, hasToken } = this;
    const { repository, revision, file } = what;
    const details = { host: at.host, status, ...(file === undefined ? {} : { file }) };
    await response.body?.cancel();
    const page = `${this.endpoint}/${repository}`;
    const give = 'by HF_TOKEN, --token-file FILE or hf auth login';
    if (status === 408 || status === 429 || status >= 500) {
      const why = status === 429 ? 'too many requests: wait a little, or give a token, which may ask more often' : 'it is in trouble: try again later';
      return new Transient(new HubError('server', `${at.host} answers ${status}, ${why}`, details), { retryAfter: parseRetryAfter(headers.get('retry-after')) });
    }
    const code = headers.get('x-error-code');
    if (at.host !== host && (status === 401 || status === 403)) {
      // A link of the storage that has expired; the hub gives a fresh one.
      return new Transient(new HubError('server', `${at.host}, to which ${host} sends on, answers ${status}: try again later`, details));
    }
    if (code === 'GatedRepo' || status === 403) {
      const plain = hasToken && !this.#isTrusted(new URL(this.endpoint)) ? ` The token was not sent, since ${this.endpoint} is not https.` : '';
      return new HubError('gated', hasToken
        ? `${repository} is gated, and the token may not fetch it: accept its terms at ${page} with the token's account, and see that the token may read gated models.${plain}`
        : `${repository} is gated: accept its terms at ${page}, then give a token of that account ${give}`, details);
    }
    if (code === 'RevisionNotFound') {
      const known = revision === undefined ? [] : await this.#revisions(repository);
      const near = nearestName(revision ?? '', known);
      const there = known.length === 0 ? '' : ` It has ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', …' : ''}`;
      return new HubError('revision-not-found', `${repository} has no revision "${revision}"${near === undefined ? '' : `: did you mean ${near}?`}${there && near === undefined ? ':' : ''}${there}`, details);
    }
    if (code === 'EntryNotFound' || (status === 404 && file !== undefined)) {
      return new HubError('file-not-found', `${host} lists ${file} in ${repository} and does not have it (${status}): try again, or report it at ${page}`, details);
    }
    if (code === 'RepoNotFound' || status === 404 || (status === 401 && !hasToken)) {
      return new HubError('model-not-found', `${host} has no model ${repository}${hasToken ? ', or the token may not see it' : `; if it is private, give a token ${give}`}: look for it at ${this.endpoint}/models?search=${encodeURIComponent(repository.split('/')[1] ?? '')}`, details);
    }
    if (status === 401) return new HubError('unauthorized', `${host} does not accept the token (401): make a new one at ${this.endpoint}/settings/tokens, and give it ${give}`, details);
    return new HubError('server', `${at.host} answers ${status} to ${at.pathname}: ${headers.get('x-error-message') ?? 'it is not known why'}`, details);
  }

  /** Branches and tags, for an error's message: none where they cannot be had. */
  async #revisions(repository: string): Promise<string[]> {
    const url = new URL(`${this.endpoint}/api/models/${repository}/refs`);
    const refs = await this.#json(url, refsSchema, { repository }).catch(() => undefined);
    return refs ? [...refs.body.branches, ...refs.body.tags].map(({ name }) => name) : [];
  }
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
