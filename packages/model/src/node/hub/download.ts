/**
 * One file from a hub to the disk. Bytes are appended to a file in the cache's `partial` folder, which stays when a download breaks; the next
 * attempt, in this process or a later one, asks for the rest (Range with If-Range, RFC 9110, 13.1.5 and 14.2). Only when all bytes are there
 * and agree with the hub's checksum does the file get its name.
 */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HubClient, HubFile } from './client.ts';
import { errorCode, HubError, Transient } from './errors.ts';

export interface DownloadOptions {
  readonly repository: string;
  readonly commit: string;
  readonly file: HubFile;
  /** Where the file goes. */
  readonly target: string;
  /** Folder of files that are not whole. */
  readonly partials: string;
  readonly signal?: AbortSignal | undefined;
  /** Bytes that are there, of `file.size`; less than before where an attempt began anew. */
  readonly onProgress?: (received: number) => void;
}

/** Where a file's bytes gather. Its name is that of the content, so that bytes of two versions never meet. */
export function partialPath(folder: string, file: HubFile): string {
  const key = createHash('sha256').update(JSON.stringify([file.path, file.size, file.checksum?.value ?? null])).digest('hex').slice(0, 32);
  return join(folder, `${key}.partial`);
}

/** Throws HubError, or the signal's reason. */
export async function downloadFile(client: HubClient, options: DownloadOptions): Promise<void> {
  const { file, target, partials, signal, onProgress } = options;
  const partial = partialPath(partials, file);
  let furthest = 0;
  const report = (received: number): void => {
    furthest = Math.max(furthest, received);
    onProgress?.(received);
  };
  try {
    await mkdir(partials, { recursive: true });
    await client.retrying(async () => {
      await fetchRest(client, { ...options, partial, onProgress: report });
      await verify(partial, options, client.host, signal);
    }, () => furthest);
    await mkdir(dirname(target), { recursive: true });
    await rename(partial, target);
    await syncFolder(dirname(target));
    await rm(etagPath(partial), { force: true });
  } catch (error) {
    throw signal?.aborted ? signal.reason : diskFault(error, file, target);
  }
}

const etagPath = (partial: string): string => `${partial}.etag`;

async function discard(partial: string): Promise<void> {
  await rm(partial, { force: true });
  await rm(etagPath(partial), { force: true });
}

/** Appends what is missing, flushed to the disk. Throws Transient where the connection breaks; what came before that is kept. */
async function fetchRest(client: HubClient, options: DownloadOptions & { partial: string; onProgress: (received: number) => void }): Promise<void> {
  const { repository, commit, file, partial, onProgress } = options;
  const { size } = file;
  const fault = (message: string): Transient =>
    new Transient(new HubError('network', `${file.path} from ${client.host}: ${message}; run the same command to try again`, { host: client.host, file: file.path }));
  const etag = await readFile(etagPath(partial), 'utf8').catch(() => '');
  let offset = await stat(partial).then((found) => found.size, () => 0);
  // Without a checksum only the hub's word tells that the rest belongs to what is here.
  if (offset > size || (offset > 0 && file.checksum === null && etag === '')) {
    await discard(partial);
    offset = 0;
  }
  onProgress(offset);
  if (offset === size && size > 0) return;
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-`, ...(etag === '' ? {} : { 'if-range': etag }) };
  using connection = await client.open(client.fileUrl(repository, commit, file.path), { headers, repository, revision: commit, file: file.path });
  const { response } = connection;
  const { status } = response;
  const answered = strongETag(response.headers.get('etag'));
  if (status === 416) {
    await discard(partial);
    throw fault(`the hub has no bytes from ${offset} on, though it lists ${size}`);
  }
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    const fits = range !== null && Number(range[1]) === offset && Number(range[2]) === size - 1 && (range[3] === '*' || Number(range[3]) === size);
    if (!fits || (etag !== '' && answered !== '' && answered !== etag)) {
      await discard(partial);
      throw fault(fits ? 'the hub\'s file has changed in between' : `asked for bytes ${offset} to ${size - 1}, the hub sent ${response.headers.get('content-range') ?? 'it did not say which'}`);
    }
  } else {
    // The whole file: the hub knows no ranges, or has another version than what is here.
    offset = 0;
  }
  const length = response.headers.get('content-length');
  if (length !== null && Number(length) !== size - offset) {
    throw fault(`the hub lists ${size} bytes and offers ${offset === 0 ? '' : `${offset} and `}${length}`);
  }
  const handle = await open(partial, offset === 0 ? 'w' : constants.O_WRONLY);
  try {
    if (offset === 0) await writeFile(etagPath(partial), answered);
    onProgress(offset);
    for await (const chunk of connection.chunks()) {
      if (offset + chunk.length > size) {
        await discard(partial);
        throw fault(`more than the ${size} bytes that the hub lists`);
      }
      await writeAll(handle, chunk, offset);
      offset += chunk.length;
      onProgress(offset);
    }
    if (offset < size) throw fault(`the connection ended after ${offset} of ${size} bytes`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}

/** Reads back what lies on the disk. A file that is wrong is removed; one more attempt is worth it, since two sources may have been mixed. */
async function verify(partial: string, { file }: DownloadOptions, host: string, signal: AbortSignal | undefined): Promise<void> {
  if (file.checksum === null) return;
  const { algorithm, value } = file.checksum;
  const hash = createHash(algorithm === 'sha256' ? 'sha256' : 'sha1');
  // What Git hashes of a file (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects).
  if (algorithm === 'git-sha1') hash.update(`blob ${file.size}\0`);
  for await (const piece of createReadStream(partial, { highWaterMark: 2 ** 20, signal })) hash.update(piece as Uint8Array);
  const found = hash.digest('hex');
  if (found === value) return;
  await discard(partial);
  throw new Transient(new HubError('checksum', `${file.path} came otherwise than ${host} promised (${algorithm} ${found.slice(0, 12)}…, not ${value.slice(0, 12)}…): it was removed; try again, and if it stays so, the hub or a proxy alters it`, { host, file: file.path }), { attempts: 1 });
}

/** For If-Range only a strong one will do; empty where there is none. */
const strongETag = (etag: string | null): string => (etag !== null && /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : '');

async function syncFolder(folder: string): Promise<void> {
  // Windows knows no handles of folders.
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** A full disk, or a folder that may not be written, said so. */
function diskFault(error: unknown, file: HubFile, target: string): unknown {
  const code = error instanceof HubError ? undefined : errorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(file.size, undefined, target, { file: file.path, cause: error });
  if (code !== undefined && ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'EFBIG', 'EIO'].includes(code)) {
    return new HubError('cache', `${file.path} cannot be written to ${dirname(target)} (${code}): choose another cache by PARLEY_CACHE`, { file: file.path, cause: error });
  }
  return error;
}

export function diskFull(needed: number, free: number | undefined, folder: string, details: { file?: string; cause?: unknown } = {}): HubError {
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6).toLocaleString('en-US')} MB`;
  return new HubError('disk-full', `the disk of ${folder} is full: ${megabytes(needed)} ${needed === 0 ? '' : 'are '}needed${free === undefined ? '' : `, ${megabytes(free)} are free`}. Make room (parley models remove NAME), or choose another disk by PARLEY_CACHE; what has come is kept`, details);
}
