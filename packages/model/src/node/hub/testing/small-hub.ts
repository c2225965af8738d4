/** A hub on localhost with a storage host beside it, which breaks in the ways that it is told. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong with one request. Without one it goes well. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  /** The connection is cut after so many bytes of the body, and not before `seen`: what a client has not read by then is lost to it. */
  | { readonly kind: 'cut'; readonly after: number; readonly seen?: Promise<void> }
  /** The body ends after so many bytes as if it were whole, its length not said. */
  | { readonly kind: 'short'; readonly after: number }
  /** After so many bytes nothing comes any more. */
  | { readonly kind: 'stall'; readonly after: number }
  | { readonly kind: 'wrong-bytes' } | { readonly kind: 'no-range' } | { readonly kind: 'other-etag' } | { readonly kind: 'wrong-range' }
  /** The length that is said is a thousand times that of the body. */
  | { readonly kind: 'lying-length' }
  /** More bytes than were listed. */
  | { readonly kind: 'long' }
  | { readonly kind: 'unsatisfiable' };

export interface SmallModel {
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Files of this size and more are in large-file storage, on the other host. Default 1,000. */
  readonly large?: number;
  readonly revisions?: readonly string[];
  readonly gated?: boolean;
  /** Paths that the tree lists besides. */
  readonly listed?: readonly string[];
}

export interface SeenRequest {
  readonly host: 'hub' | 'storage';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

export const TOKEN = 'hf_of_the_one_who_accepted';

const sha = (algorithm: string, ...parts: (string | Uint8Array)[]): string => parts.reduce((hash, part) => hash.update(part), createHash(algorithm)).digest('hex');

export class SmallHub implements AsyncDisposable {
  readonly models = new Map<string, SmallModel>();
  readonly requests: SeenRequest[] = [];
  /** Asked before each answer. `path` is a file's for requests of bytes, else that of the interface. */
  fault: (request: SeenRequest, file: string | undefined) => Fault | undefined = () => undefined;
  /** Entries of a page of the tree. */
  pageSize = 1000;
  /** Where the storage is said to be. */
  storage = '';
  endpoint = '';
  readonly #servers: Server[] = [];

  static async start(): Promise<SmallHub> {
    const hub = new SmallHub();
    hub.endpoint = await hub.#listen('hub', (request, response, seen) => hub.#answer(request, response, seen));
    hub.storage = await hub.#listen('storage', (request, response, seen) => {
      const url = new URL(seen.path, 'http://storage');
      const [, owner, name, ...path] = url.pathname.split('/').map(decodeURIComponent);
      const bytes = hub.models.get(`${owner}/${name}`)?.files[path.join('/')];
      if (bytes === undefined) return void response.writeHead(404).end();
      hub.#bytes(request, response, { bytes, seen, path: path.join('/') });
    });
    return hub;
  }

  commitOf(model: SmallModel): string {
    return sha('sha1', ...Object.entries(model.files).flatMap(([path, bytes]) => [path, bytes]));
  }

  async #listen(host: 'hub' | 'storage', handle: (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => void): Promise<string> {
    const server = createServer((request, response) => {
      const seen = { host, path: request.url ?? '', authorization: request.headers.authorization, range: request.headers.range };
      this.requests.push(seen);
      handle(request, response, seen);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse, seen: SeenRequest): void {
    const url = new URL(seen.path, this.endpoint);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree|refs)(?:\/([^/]+))?$/.exec(url.pathname);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
    const path = resolve?.[3]?.split('/').map(decodeURIComponent).join('/');
    const refuse = (status: number, code: string): void => void response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' }).end('{}');
    const model = this.models.get(api?.[1] ?? resolve?.[1] ?? '');
    const signedIn = request.headers.authorization !== undefined;
    if (signedIn && !request.headers.authorization?.startsWith('Bearer hf_')) return void response.writeHead(401).end('{"error":"Invalid credentials"}');
    if (model === undefined) return refuse(signedIn ? 404 : 401, 'RepoNotFound');
    const commit = this.commitOf(model);
    const revision = decodeURIComponent(api?.[3] ?? resolve?.[2] ?? 'main');
    if (![...(model.revisions ?? ['main']), commit].includes(revision)) return refuse(404, 'RevisionNotFound');
    if (path !== undefined) {
      const bytes = model.files[path];
      if (model.gated === true && request.headers.authorization !== `Bearer ${TOKEN}`) return refuse(signedIn ? 403 : 401, 'GatedRepo');
      if (bytes === undefined) return refuse(404, 'EntryNotFound');
      if (bytes.length >= (model.large ?? 1000)) return void response.writeHead(302, { location: `${this.storage}/${resolve?.[1]}/${resolve?.[3]}?signature=1` }).end();
      return this.#bytes(request, response, { bytes, seen, path });
    }
    const fault = this.fault(seen, undefined);
    if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }).end();
    const json = (value: unknown, headers = {}): void => void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    if (api?.[2] === 'revision') return json({ id: api[1], sha: commit, gated: model.gated === true ? 'auto' : false });
    if (api?.[2] === 'refs') return json({ branches: (model.revisions ?? ['main']).map((name) => ({ name, ref: `refs/heads/${name}` })), tags: [] });
    const large = model.large ?? 1000;
    const entries = [
      ...(model.listed ?? []).map((listed) => ({ type: 'file', path: listed, size: 1, oid: '0'.repeat(40) })),
      ...[...new Set(Object.keys(model.files).filter((name) => name.includes('/')).map((name) => name.slice(0, name.lastIndexOf('/'))))]
        .map((folder) => ({ type: 'directory', path: folder, size: 0, oid: '1'.repeat(40) })),
      ...Object.entries(model.files).map(([name, bytes]) => ({
        type: 'file', path: name, size: bytes.length, oid: sha('sha1', `blob ${bytes.length}\0`, bytes),
        ...(bytes.length >= large ? { lfs: { oid: sha('sha256', bytes), size: bytes.length, pointerSize: 130 } } : {}),
      })),
    ];
    const begin = Number(url.searchParams.get('cursor') ?? 0);
    const next = begin + this.pageSize;
    url.searchParams.set('cursor', String(next));
    json(entries.slice(begin, next), next < entries.length ? { link: `<${url.href}>; rel="next"` } : {});
  }

  #bytes(request: IncomingMessage, response: ServerResponse, what: { bytes: Uint8Array; seen: SeenRequest; path: string }): void {
    const { seen, path } = what;
    let { bytes } = what;
    const fault = this.fault(seen, path);
    if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }).end();
    if (fault?.kind === 'wrong-bytes') bytes = bytes.map((byte) => byte ^ 1);
    const etag = fault?.kind === 'other-etag' ? `"other-${this.requests.length}"` : `"${sha('md5', what.bytes)}"`;
    let begin = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const condition = request.headers['if-range'];
    const ranged = request.headers.range !== undefined && fault?.kind !== 'no-range' && (condition === undefined || condition === etag || fault?.kind === 'other-etag');
    if (!ranged) begin = 0;
    if (fault?.kind === 'unsatisfiable' || (begin >= bytes.length && bytes.length > 0)) return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    if (fault?.kind === 'wrong-range') begin = Math.max(0, begin - 1);
    let body = bytes.subarray(begin);
    if (fault?.kind === 'long') body = Buffer.concat([body, body, Buffer.from('more')]);
    const length = { 'content-length': fault?.kind === 'lying-length' ? body.length * 1000 + 1000 : body.length };
    response.writeHead(ranged ? 206 : 200, {
      etag, ...(ranged ? { 'content-range': `bytes ${begin}-${bytes.length - 1}/${bytes.length}` } : {}),
      // Node refuses to send a body that is longer or shorter than it said, so these do not say.
      ...(fault?.kind === 'long' || fault?.kind === 'short' ? {} : length),
    });
    const cut = fault && 'after' in fault ? Math.min(fault.after, body.length) : body.length;
    if (fault?.kind === 'short') return void response.end(body.subarray(0, cut));
    if (fault?.kind === 'cut') {
      const { seen: read = new Promise<void>((resolve) => setImmediate(resolve)) } = fault;
      return void response.write(body.subarray(0, cut), () => void read.then(() => response.destroy()));
    }
    if (fault?.kind === 'stall') return void response.write(body.subarray(0, cut));
    if (fault?.kind === 'lying-length') return void response.write(body, () => setImmediate(() => response.destroy()));
    response.end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map(async (server) => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }));
  }
}
