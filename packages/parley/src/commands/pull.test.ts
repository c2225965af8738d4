/** The command against a hub of one model; how it behaves when a hub breaks is tested in @parley/model. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { UsageError } from '../errors.ts';
import { barView, jsonView, plainView } from '../pull.ts';
import { inProcess, makeModel } from '../testing/cli.ts';
import { register as registerGenerate } from './generate.ts';
import { register as registerModels } from './models.ts';
import { register as registerPull } from './pull.ts';

const NAME = 'maker/tiny';
const COMMIT = 'ab'.repeat(20);
let folder = '';
let cache = '';
let server: Server;
let endpoint = '';

beforeAll(async () => {
  folder = await makeModel();
  cache = await mkdtemp(join(tmpdir(), 'parley-pull-'));
  const files = new Map(await Promise.all((await readdir(folder)).map(async (path) => [path, await readFile(join(folder, path))] as const)));
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://hub');
    const json = (value: unknown): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const bytes = files.get(pathname.split('/').at(-1) ?? '');
    if (pathname === `/api/models/${NAME}/revision/main`) return json({ sha: COMMIT });
    if (pathname === `/api/models/${NAME}/tree/${COMMIT}`) {
      return json([...files].map(([path, content]) => ({
        type: 'file', path, size: content.length, oid: createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex'),
      })));
    }
    if (bytes !== undefined) return void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.stubEnv('PARLEY_CACHE', cache);
  vi.stubEnv('HF_ENDPOINT', endpoint);
  vi.stubEnv('HF_HUB_OFFLINE', '');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  server.close();
  await Promise.all([cache, folder].map((path) => rm(path, { recursive: true })));
});

test('a model that was pulled is listed, speaks by its name, and is removed when asked to', async () => {
  const place = join(cache, 'models', 'maker--tiny', COMMIT);
  const pulled = await inProcess(registerPull, ['pull', NAME]);
  expect(pulled.stdout).toMatch(new RegExp(`^maker/tiny is in ${place} \\(commit abababa, 5 files, .*\\)\nUse it by its name: parley chat --model maker/tiny\n$`));
  expect(pulled.stderr).toContain('maker/tiny main is commit abababa: 5 files, ');
  expect(pulled.stderr).toContain('100% of ');
  const listed = JSON.parse((await inProcess(registerModels, ['models', '--json'])).stdout) as { name: string; source: string; folder: string }[];
  expect(listed).toContainEqual(expect.objectContaining({ name: NAME, source: 'pulled', folder: place, family: 'llama' }));
  const said = await inProcess(registerGenerate, ['generate', 'the cat', '--model', NAME, '--max-new-tokens', '3', '--json']);
  expect(JSON.parse(said.stdout)).toMatchObject({ usage: { completion_tokens: 3 } });
  const lines = (await inProcess(registerPull, ['pull', NAME, '--offline', '--json'])).stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([expect.objectContaining({ type: 'done', name: NAME, commit: COMMIT, folder: place })]);
  await expect(inProcess(registerModels, ['models', 'remove', NAME])).rejects.toThrow('nobody can be asked here: say --yes');
  expect((await inProcess(registerModels, ['models', 'remove', NAME, '--yes'])).stdout).toMatch(/^Deleted maker\/tiny: .* are free again\n$/);
  await expect(inProcess(registerModels, ['models', 'remove', NAME, '--yes'])).rejects.toThrow('maker/tiny is not in the cache');
  await expect(inProcess(registerGenerate, ['generate', 'the cat', '--model', NAME])).rejects.toThrow('parley pull maker/tiny');
});

test('what is asked wrongly is said before anything is asked of the hub', async () => {
  await expect(inProcess(registerPull, ['pull', 'gpt2'])).rejects.toThrow(UsageError);
  await expect(inProcess(registerPull, ['pull', NAME, '--endpoint', 'huggingface.co'])).rejects.toThrow('"huggingface.co" is no address of a hub');
  await expect(inProcess(registerPull, ['pull', NAME, '--token-file', join(cache, 'none')])).rejects.toThrow(/the file of the token, .*none, cannot be read/);
  await expect(inProcess(registerModels, ['models', 'remove', 'parley-nano'])).rejects.toThrow('only models that were pulled can be removed');
  await expect(inProcess(registerPull, ['pull', 'maker/other'])).rejects.toThrow(`has no model maker/other`);
});

const progress = (received: number) => ({ type: 'progress', received, bytes: 2048, path: 'a', fileReceived: received, fileBytes: 2048 }) as const;
const plan = { type: 'plan', repository: NAME, revision: 'main', commit: COMMIT, folder: '/x', files: [{ path: 'a', size: 2048 }], bytes: 2048, present: 1024 } as const;

test('a terminal shows one line with speed and time left, a file a line for each tenth, JSON an object a line', () => {
  const show = (make: (write: (text: string) => void, now: () => number) => { event: (event: Parameters<ReturnType<typeof plainView>['event']>[0]) => void } & Disposable): string => {
    let text = '';
    let clock = 0;
    const view = make((piece) => (text += piece), () => clock);
    view.event(plan);
    for (const [index, received] of [1024, 1100, 1536, 2048].entries()) {
      clock = index * 60;
      view.event(progress(received));
    }
    view[Symbol.dispose]();
    return text;
  };
  expect(show((write, now) => barView(write, () => 60, now))).toBe('maker/tiny main is commit abababa: 1 file, 2.0 KiB, 1.0 KiB of it here\n' +
    '\r\u001b[2K[###############...............] 50% · 1.0 KiB of 2.0 KiB' +
    '\r\u001b[2K[#######..] 75% · 1.5 KiB of 2.0 KiB · 4.2 KiB/s · 1 s left' +
    '\r\u001b[2K[########] 100% · 2.0 KiB of 2.0 KiB · 5.6 KiB/s · 0 s left\r\u001b[2K');
  expect(show(plainView)).toBe('maker/tiny main is commit abababa: 1 file, 2.0 KiB, 1.0 KiB of it here\n70% of 2.0 KiB\n100% of 2.0 KiB\n');
  expect(show(jsonView).trim().split('\n').map((line) => (JSON.parse(line) as { received?: number }).received)).toEqual([undefined, 1024, 1536, 2048]);
});
