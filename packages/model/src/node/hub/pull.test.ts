import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Random } from '@parley/engine';
import { findCached, listCached, listUnfinished, removeCached } from './cache.ts';
import { parseRetryAfter } from './client.ts';
import { partialPath } from './download.ts';
import { HubError } from './errors.ts';
import { type PullEvent, pullModel, type PullOptions } from './pull.ts';
import { type Fault, SmallHub, type SmallModel, TOKEN } from './testing/small-hub.ts';

const NAME = 'maker/tiny-model';
const random = new Random(7);
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));
const weights = noise(40_000);
const model: SmallModel = {
  files: {
    'config.json': Buffer.from('{"model_type":"llama"}'), 'tokenizer.json': Buffer.from('{}'), 'generation_config.json': new Uint8Array(0),
    'model.safetensors': weights, 'README.md': Buffer.from('# no need'), 'pytorch_model.bin': noise(2000), 'onnx/model.onnx': noise(2000),
  },
  revisions: ['main', 'v1.0', 'refs/pr/1'],
};
const needed = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'];

let hub: SmallHub;
let cache = '';
let pauses: number[] = [];

beforeEach(async () => {
  hub = await SmallHub.start();
  hub.models.set(NAME, model);
  cache = await mkdtemp(join(tmpdir(), 'parley-hub-'));
  pauses = [];
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(cache, { recursive: true, force: true });
});

const pull = async (name = NAME, options: PullOptions = {}): Promise<Awaited<ReturnType<typeof pullModel>>> =>
  await pullModel(name, {
    endpoint: hub.endpoint, token: null, cache, offline: false, stallTimeout: 60_000,
    // No test waits on a clock.
    wait: async (milliseconds, signal) => {
      pauses.push(milliseconds);
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
    },
    ...options,
  });
const failure = async (work: Promise<unknown>): Promise<HubError> => {
  const error = await work.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(HubError);
  return error as HubError;
};
const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
const bytesAsked = (path: string): (string | undefined)[] => hub.requests.filter((request) => request.host === 'storage' && request.path.includes(path)).map(({ range }) => range);
/** The fault for the first requests of a file's bytes, in turn. */
const faultsOf = (path: string, ...faults: (Fault | undefined)[]): void => {
  hub.fault = (_, file) => (file === path ? faults.shift() : undefined);
};

test('a pull fetches what loading needs and nothing else, verified, and the second fetches no byte', async () => {
  const events: PullEvent[] = [];
  const pulled = await pull(NAME, { onEvent: (event) => events.push(event) });
  expect(pulled).toMatchObject({ name: NAME, repository: NAME, revision: 'main', commit: hub.commitOf(model) });
  expect(await filesIn(pulled.folder)).toEqual(needed);
  for (const path of needed) expect(await readFile(join(pulled.folder, path))).toEqual(Buffer.from(model.files[path] ?? []));
  expect(events.filter((event) => event.type === 'file').map(({ path, verified }) => `${path} ${verified}`).sort()).toEqual([
    'config.json git-sha1', 'generation_config.json git-sha1', 'model.safetensors sha256', 'tokenizer.json git-sha1',
  ]);
  expect(events.findLast((event) => event.type === 'progress')).toMatchObject({ received: pulled.bytes, bytes: pulled.bytes });
  expect(await listUnfinished(cache)).toEqual([]);
  hub.requests.length = 0;
  expect(await pull()).toEqual(pulled);
  expect(hub.requests.map(({ path }) => path.split('/')[1])).toEqual(['api', 'api']);
});

test('a name may have a revision; the cache finds each by its name, and files that both have are fetched once', async () => {
  await pull();
  hub.models.set(NAME, { ...model, files: { ...model.files, 'config.json': Buffer.from('{"newer":1}') } });
  hub.requests.length = 0;
  const pinned = await pull(`${NAME}@refs/pr/1`);
  expect(hub.requests.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path.split('/').at(-1))).toEqual(['config.json']);
  expect(await filesIn(pinned.folder)).toEqual(needed);
  expect((await listCached(cache)).map(({ name }) => name)).toEqual([NAME, `${NAME}@refs/pr/1`]);
  expect((await findCached(cache, `${NAME}@refs/pr/1`))?.folder).toBe(pinned.folder);
  expect(await findCached(cache, `${NAME}@v1.0`)).toBeUndefined();
  // A branch that moved leaves nothing of where it was, unless another revision is there.
  const before = (await findCached(cache, NAME))?.folder ?? '';
  expect((await pull()).folder).toBe(pinned.folder);
  expect(existsSync(before)).toBe(false);
});

test('sharded weights are those that the index names; files chosen by a glob are those, in any folder', async () => {
  const index = { weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' } };
  const { 'model.safetensors': _, ...rest } = model.files;
  hub.models.set('maker/sharded', {
    files: {
      ...rest, 'model.safetensors.index.json': Buffer.from(JSON.stringify(index)), 'model-00001-of-00002.safetensors': noise(3000),
      'model-00002-of-00002.safetensors': noise(3000), 'consolidated.safetensors': noise(3000),
    },
  });
  hub.pageSize = 3;
  const sharded = await pull('maker/sharded');
  expect(await filesIn(sharded.folder)).toEqual([
    'config.json', 'generation_config.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json', 'tokenizer.json',
  ]);
  hub.models.set('maker/quantized', { files: { 'q/tiny-q8_0.gguf': noise(1500), 'tiny-q4_0.gguf': noise(1500), 'README.md': noise(9) } });
  expect((await failure(pull('maker/quantized'))).message).toContain('choose one of q/tiny-q8_0.gguf, tiny-q4_0.gguf by --file');
  const chosen = await pull('maker/quantized', { files: ['*q8_0.gguf'] });
  expect(await filesIn(chosen.folder)).toEqual(['q/tiny-q8_0.gguf']);
  const both = await pull('maker/quantized', { files: ['*q4_0*'] });
  expect(both.files.map(({ path }) => path).sort()).toEqual(['q/tiny-q8_0.gguf', 'tiny-q4_0.gguf']);
  expect((await failure(pull('maker/quantized', { files: ['*q5*.gguf'] }))).message).toBe('maker/quantized has no file that matches *q5*.gguf: it has q/tiny-q8_0.gguf, tiny-q4_0.gguf');
});

test('a download cut in the middle goes on from there, in the same pull and in a later one', async () => {
  const read = [10_000, 15_000, 20_000].map((bytes) => ({ bytes, ...Promise.withResolvers<void>() }));
  const seen = read.map(({ promise }) => ({ seen: promise }));
  const onEvent = (event: PullEvent): void => {
    if (event.type === 'progress') for (const { bytes, resolve } of read) if (event.fileReceived === bytes) resolve();
  };
  faultsOf('model.safetensors', { kind: 'cut', after: 10_000, ...seen[0] }, { kind: 'cut', after: 5_000, ...seen[1] });
  const pulled = await pull(NAME, { onEvent });
  expect(bytesAsked('model.safetensors')).toEqual([undefined, 'bytes=10000-', 'bytes=15000-']);
  expect(await readFile(join(pulled.folder, 'model.safetensors'))).toEqual(Buffer.from(weights));
  await removeCached(cache, NAME);
  hub.requests.length = 0;
  faultsOf('model.safetensors', { kind: 'cut', after: 20_000, ...seen[2] });
  const error = await failure(pull(NAME, { retries: 0, parallel: 1, onEvent }));
  expect(error).toMatchObject({ kind: 'network' });
  expect(error.message).toContain('run the same command to go on from where it stopped');
  expect(await listCached(cache)).toEqual([]);
  expect(await listUnfinished(cache)).toEqual([{ repository: NAME, bytes: 20_000 }]);
  await pull();
  expect(bytesAsked('model.safetensors')).toEqual([undefined, 'bytes=20000-']);
});

test.each<[string, Fault[]]>([
  ['a body that ends too early', [{ kind: 'short', after: 100 }]],
  ['a body that stands still', [{ kind: 'stall', after: 100 }]],
  ['a hub that knows no ranges', [{ kind: 'cut', after: 30_000 }, { kind: 'no-range' }]],
  ['an ETag that changes', [{ kind: 'cut', after: 30_000 }, { kind: 'other-etag' }, { kind: 'cut', after: 100 }]],
  ['a range that was not asked for', [{ kind: 'cut', after: 30_000 }, { kind: 'wrong-range' }]],
  ['a range that is refused', [{ kind: 'cut', after: 30_000 }, { kind: 'unsatisfiable' }]],
  ['a length that lies', [{ kind: 'lying-length' }, { kind: 'cut', after: 30_000 }, { kind: 'lying-length' }]],
  ['more bytes than were listed', [{ kind: 'long' }]],
  ['wrong bytes, once', [{ kind: 'wrong-bytes' }]],
  ['wrong bytes before a cut', [{ kind: 'cut', after: 10 }, { kind: 'wrong-bytes' }]],
  ['too many requests, and trouble', [{ kind: 'status', status: 429, retryAfter: '3' }, { kind: 'status', status: 503 }, { kind: 'status', status: 500 }]],
  ['a link that has expired', [{ kind: 'status', status: 403 }]],
])('%s: the pull completes with the hub\'s bytes', async (_, faults) => {
  faultsOf('model.safetensors', ...faults);
  const stalls = faults.some(({ kind }) => kind === 'stall');
  const pulled = await pull(NAME, stalls ? { stallTimeout: 1000, retries: 50 } : {});
  expect(await readFile(join(pulled.folder, 'model.safetensors'))).toEqual(Buffer.from(weights));
  expect(pauses).not.toEqual([]);
});

test('pauses double, and the hub\'s Retry-After goes before them', async () => {
  faultsOf('model.safetensors', { kind: 'status', status: 429, retryAfter: '3' }, ...[500, 502, 503].map((status) => ({ kind: 'status', status } as const)));
  await pull();
  expect(pauses).toHaveLength(4);
  expect(pauses[0]).toBe(3000);
  for (const [index, longest] of [1000, 2000, 4000].entries()) {
    expect(pauses[index + 1]).toBeLessThanOrEqual(longest);
    expect(pauses[index + 1]).toBeGreaterThanOrEqual(longest * 0.75);
  }
  expect(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 30))).toBe(7000);
  expect([null, 'soon'].map((value) => parseRetryAfter(value))).toEqual([undefined, undefined]);
});

test('bytes that stay wrong, a lie that stays and a hub that stays in trouble are errors, and leave no file under its name', async () => {
  const failing = async (fault: Fault): Promise<HubError> => {
    hub.fault = (__, file) => (file === 'model.safetensors' ? fault : undefined);
    const error = await failure(pull(NAME, { retries: 2 }));
    expect(await filesIn(join(cache, 'models', 'maker--tiny-model', hub.commitOf(model)))).toEqual(needed.filter((path) => path !== 'model.safetensors'));
    return error;
  };
  const wrong = await failing({ kind: 'wrong-bytes' });
  expect(wrong).toMatchObject({ kind: 'checksum', file: 'model.safetensors' });
  expect(wrong.message).toContain('it was removed; try again');
  expect(bytesAsked('model.safetensors')).toHaveLength(2);
  expect((await failing({ kind: 'lying-length' })).message).toContain('the hub lists 40000 bytes and offers 40001000');
  expect((await failing({ kind: 'long' })).message).toContain('more than the 40000 bytes that the hub lists');
  expect(await failing({ kind: 'status', status: 503 })).toMatchObject({ kind: 'server', status: 503 });
  expect(await failing({ kind: 'status', status: 429, retryAfter: '3600' })).toMatchObject({ kind: 'server', status: 429 });
  hub.fault = () => undefined;
  await pull();
});

test('a gated model says where to accept its terms, and the token goes to the hub only', async () => {
  hub.models.set(NAME, { ...model, gated: true });
  const without = await failure(pull());
  expect(without).toMatchObject({ kind: 'gated', status: 401 });
  expect(without.message).toContain(`accept its terms at ${hub.endpoint}/${NAME}, then give a token`);
  const other = await failure(pull(NAME, { token: 'hf_of_someone_else' }));
  expect(other).toMatchObject({ kind: 'gated', status: 403 });
  expect(other.message).not.toContain('someone_else');
  await pull(NAME, { token: TOKEN });
  expect(hub.requests.filter((request) => request.host === 'hub' && request.authorization === `Bearer ${TOKEN}`)).toHaveLength(2 + needed.length);
  expect(new Set(hub.requests.filter(({ host }) => host === 'storage').map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  expect((await failure(pull(NAME, { token: 'nonsense' })))).toMatchObject({ kind: 'unauthorized', status: 401 });
});

test('an unknown model names the nearest that was pulled, an unknown revision those there are', async () => {
  await pull();
  const unknown = await failure(pull('maker/tiny-modle'));
  expect(unknown).toMatchObject({ kind: 'model-not-found', status: 401 });
  expect(unknown.message).toContain(`has no model maker/tiny-modle`);
  expect(unknown.message).toContain(`Did you mean ${NAME}, which is in the cache?`);
  expect(await failure(pull('maker/tiny-modle', { token: TOKEN }))).toMatchObject({ kind: 'model-not-found', status: 404 });
  const revision = await failure(pull(`${NAME}@v1.1`));
  expect(revision.kind).toBe('revision-not-found');
  expect(revision.message).toBe(`${NAME} has no revision "v1.1": did you mean v1.0? It has main, v1.0, refs/pr/1`);
  for (const name of ['gpt2', '../x', 'a/..', 'a/b/c', 'a--b/c', 'a/b@', 'a/b@../x', '/etc']) expect(await failure(pull(name))).toMatchObject({ kind: 'name' });
});

test('no network and offline are told apart, and offline takes what is in the cache', async () => {
  expect((await failure(pull(NAME, { offline: true }))).message).toContain('is not in the cache');
  const pulled = await pull();
  const asked = hub.requests.length;
  expect(await pull(NAME, { offline: true })).toEqual(pulled);
  expect(hub.requests).toHaveLength(asked);
  expect((await failure(pull('maker/tiny-modle', { offline: true }))).message).toContain(`but ${NAME} is`);
  await writeFile(join(pulled.folder, 'config.json'), '{}');
  expect((await failure(pull(NAME, { offline: true }))).message).toContain('is missing or was altered');
  expect(await filesIn((await pull()).folder)).toEqual(needed);
  expect(await readFile(join(pulled.folder, 'config.json'), 'utf8')).toBe('{"model_type":"llama"}');
  const gone = await SmallHub.start();
  await gone[Symbol.asyncDispose]();
  const { host } = new URL(gone.endpoint);
  const nobody = await failure(pull(NAME, { endpoint: gone.endpoint }));
  expect(nobody).toMatchObject({ kind: 'network', host });
  expect(nobody.message).toContain(`${host} cannot be reached (ECONNREFUSED)`);
  expect(nobody.message).toContain('--offline');
});

test('a file name that leads out of the folder is refused before anything is fetched', async () => {
  for (const listed of ['../x', 'a/../../x', '/etc/x', 'a\\..\\x', './config.json', 'a//b', 'c:x', 'a\0b', '']) {
    hub.models.set(NAME, { ...model, listed: [listed] });
    expect(await failure(pull())).toMatchObject({ kind: 'unsafe-path', file: listed });
  }
  expect(await filesIn(cache)).toEqual([]);
  const { 'model.safetensors': _, ...rest } = model.files;
  hub.models.set(NAME, { files: { ...rest, 'model.safetensors.index.json': Buffer.from('{"weight_map":{"a":"../../x"}}') } });
  expect(await failure(pull())).toMatchObject({ kind: 'protocol', file: '../../x' });
});

test('a full disk is known before anything is fetched where it can be, and told with what is needed', async () => {
  const early = await failure(pull(NAME, { freeBytes: () => Promise.resolve(1000) }));
  expect(early).toMatchObject({ kind: 'disk-full' });
  expect(early.message).toMatch(/is full: 1 MB are needed, 1 MB are free\. Make room/);
  expect(hub.requests.some(({ path }) => path.includes('/resolve/'))).toBe(false);
});

test.skipIf(!existsSync('/dev/full'))('a disk that fills up while a file is written is told so (needs /dev/full)', async () => {
  const checksum = { algorithm: 'sha256', value: createHash('sha256').update(weights).digest('hex') } as const;
  const partials = join(cache, 'models', 'maker--tiny-model', 'partial');
  await mkdir(partials, { recursive: true });
  await symlink('/dev/full', partialPath(partials, { path: 'model.safetensors', size: weights.length, checksum }));
  expect(await failure(pull())).toMatchObject({ kind: 'disk-full', file: 'model.safetensors' });
});

test('Ctrl-C ends a slow download at once with its own reason, keeps what came, and the next pull goes on', async () => {
  faultsOf('model.safetensors', { kind: 'stall', after: 12_345 });
  const controller = new AbortController();
  const reason = new Error('Ctrl-C');
  const stopped = pull(NAME, {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'progress' && event.fileReceived >= 12_345) controller.abort(reason);
    },
  });
  await expect(stopped).rejects.toBe(reason);
  await pull();
  expect(bytesAsked('model.safetensors')).toEqual([undefined, 'bytes=12345-']);
});

test('two pulls of one model take turns: each file is fetched once', async () => {
  const events: PullEvent[] = [];
  const slow = { wait: async (): Promise<void> => await new Promise((resolve) => setTimeout(resolve, 5)) };
  const all = await Promise.all(Array.from({ length: 4 }, () => pull(NAME, { ...slow, onEvent: (event) => events.push(event) })));
  expect(new Set(all.map(({ folder }) => folder)).size).toBe(1);
  expect(events.filter((event) => event.type === 'waiting')).toHaveLength(3);
  expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(needed.length);
});

test('removing one revision keeps the others, removing the name keeps nothing', async () => {
  const main = await pull();
  hub.models.set(NAME, { ...model, files: { ...model.files, 'tokenizer.json': Buffer.from('{"new":1}') } });
  const tagged = await pull(`${NAME}@v1.0`);
  expect((await removeCached(cache, `${NAME}@v1.0`)).names).toEqual([`${NAME}@v1.0`]);
  expect([existsSync(tagged.folder), existsSync(main.folder)]).toEqual([false, true]);
  expect(await failure(removeCached(cache, `${NAME}@v1.0`))).toMatchObject({ kind: 'model-not-found' });
  const { names, bytes } = await removeCached(cache, NAME);
  expect(names).toEqual([NAME]);
  expect(bytes).toBeGreaterThan(40_000);
  expect(await filesIn(join(cache, 'models'))).toEqual([]);
});

test.each(Array.from({ length: 10 }, (_, index) => index + 1))('after any failures a later pull completes and its files are the hub\'s (seed %i)', async (seed) => {
  const dice = new Random(seed);
  const integer = (below: number): number => dice.below(below);
  const kinds: readonly (() => Fault)[] = [
    () => ({ kind: 'cut', after: integer(42_000) }), () => ({ kind: 'cut', after: integer(42_000) }), () => ({ kind: 'short', after: integer(42_000) }),
    () => ({ kind: 'wrong-bytes' }), () => ({ kind: 'no-range' }), () => ({ kind: 'other-etag' }), () => ({ kind: 'wrong-range' }), () => ({ kind: 'lying-length' }),
    () => ({ kind: 'long' }), () => ({ kind: 'unsatisfiable' }), () => ({ kind: 'status', status: [429, 500, 502, 503, 404, 403][integer(6)] ?? 500 }),
  ];
  let left = 25;
  hub.fault = () => (left > 0 && dice.uniform() < 0.8 ? (left--, kinds[integer(kinds.length)] ?? kinds[0])?.() : undefined);
  const folder = join(cache, 'models', 'maker--tiny-model', hub.commitOf(model));
  for (let attempt = 0; ; attempt++) {
    expect(attempt).toBeLessThan(60);
    const done = await pull(NAME, { retries: integer(3) }).then(() => true, (error: unknown) => {
      expect(error).toBeInstanceOf(HubError);
      return false;
    });
    // What has its name is right, also where the pull failed.
    const present = await filesIn(folder);
    for (const path of present) expect(await readFile(join(folder, path))).toEqual(Buffer.from(model.files[path] ?? []));
    if (!done) continue;
    expect(present).toEqual(needed);
    break;
  }
  expect(await listUnfinished(cache)).toEqual([]);
});
