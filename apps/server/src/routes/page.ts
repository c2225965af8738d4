/**
 * The built page on `/`. Files whose name holds a hash of their content never change and may be kept for ever; all others are asked for again
 * and answered with 304 while they are the same. Addresses of the page itself (`/c/…`) are its index.html.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { extname, join, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ApiError } from '@parley/protocol';
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml', '.png': 'image/png', '.jpg': 'image/jpeg', '.webp': 'image/webp', '.ico': 'image/x-icon', '.woff2': 'font/woff2', '.woff': 'font/woff',
  '.ttf': 'font/ttf', '.txt': 'text/plain; charset=utf-8', '.wasm': 'application/wasm', '.map': 'application/json; charset=utf-8', '.webmanifest': 'application/manifest+json',
};
const COMPRESSIBLE = new Set(['.html', '.js', '.css', '.json', '.svg', '.txt', '.wasm', '.map', '.webmanifest', '.ttf']);
/** Below this, a compressed file is hardly smaller. */
const COMPRESS_BYTES = 1 << 10;
/** `index-BcD3fG7h.js`, as vite names what it has put into assets/. */
const HASHED = /^\/assets\/.*-[\w-]{8,}\.\w+$/;

interface PageFile {
  readonly stamp: string;
  readonly etag: string;
  readonly type: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer> | null;
}

const compress = promisify(gzip);

/** `folder`: of the built page. It may be built, or built again, while the server runs. */
export function pageRoutes(app: Hono<Environment>, folder: string): void {
  const root = resolve(folder);
  const files = new Map<string, PageFile>();

  /** As it is on the disk now; null where there is no such file. Read and compressed once for each version of it. */
  const load = async (path: string): Promise<PageFile | null> => {
    const full = resolve(join(root, path));
    if (!full.startsWith(root + sep)) return null;
    const info = await stat(full).catch(() => null);
    if (info?.isFile() !== true) return null;
    const stamp = `${info.size}-${info.mtimeMs}`;
    const held = files.get(full);
    if (held?.stamp === stamp) return held;
    const plain = new Uint8Array(await readFile(full));
    const extension = extname(full);
    const file: PageFile = {
      stamp, plain, type: TYPES[extension] ?? 'application/octet-stream', etag: createHash('sha256').update(plain).digest('base64url').slice(0, 22),
      gzipped: COMPRESSIBLE.has(extension) && plain.length > COMPRESS_BYTES ? new Uint8Array(await compress(plain)) : null,
    };
    files.set(full, file);
    return file;
  };

  app.get('/*', async (context) => {
    const path = decoded(context.req.path);
    const file = path === '/' ? null : await load(path);
    if (file !== null) return send(context, file, HASHED.test(path));
    if (!isPage(context, path)) throw new ApiError(`There is no file ${path}.`, { status: 404, type: 'not_found_error', code: 'not_found' });
    const index = await load('/index.html');
    return index === null ? context.html(notBuilt(root), 503, { 'cache-control': 'no-store' }) : send(context, index, false);
  });
}

function send(context: Context<Environment>, file: PageFile, forever: boolean): Response {
  const zipped = file.gzipped !== null && acceptsGzip(context.req.header('accept-encoding') ?? '');
  // Each encoding is a representation of its own (RFC 9110, 8.8.3).
  const etag = `"${file.etag}${zipped ? '-gzip' : ''}"`;
  const headers = {
    etag, vary: 'accept-encoding', 'cache-control': forever ? 'public, max-age=31536000, immutable' : 'no-cache', 'x-content-type-options': 'nosniff',
  };
  const known = (context.req.header('if-none-match') ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
  if (known.includes(etag) || known.includes('*')) return context.body(null, 304, headers);
  return context.body(zipped && file.gzipped !== null ? file.gzipped : file.plain, 200, { ...headers, 'content-type': file.type, ...(zipped && { 'content-encoding': 'gzip' }) });
}

const acceptsGzip = (header: string): boolean => header.split(',').some((each) => /^\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(each));

/** What a browser opens, and not a file that is missing. */
function isPage(context: Context<Environment>, path: string): boolean {
  if (path === '/') return true;
  return extname(path) === '' && /\btext\/html\b/.test(context.req.header('accept') ?? '');
}

function decoded(path: string): string {
  try {
    const text = decodeURIComponent(path);
    return text.includes('\0') || text.includes('\\') ? '/' : text;
  } catch {
    return '/';
  }
}

const notBuilt = (root: string): string => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Parley</title>
<body style="font: 1rem/1.6 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>The page is not built</h1>
<p>The server runs, and its API answers under <code>/v1</code>. What is missing is the page itself, which was looked for in
<code>${root.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)}</code>. Build it in the folder of Parley, then load this address again:</p>
<pre><code>npm run build -w @parley/web</code></pre></body></html>
`;
