import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EvaluationReport } from '@parley/train';
import { makeModel, parley } from '../testing/cli.ts';

let folder = '';
let model = '';
const at = (name: string): string => join(folder, name);
const quick = ['--backend', 'reference'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-cli-eval-'));
  model = await makeModel();
  const items = Array.from({ length: 6 }, (_, i) => JSON.stringify({ text: `the cat sat ${i} times`, label: i % 2 === 0 ? 'even' : 'odd', fr: `le chat ${i}` }));
  await writeFile(at('items.jsonl'), items.join('\n'));
  await writeFile(at('suite.yaml'), `
name: cats
description: Cats, counted.
entries:
  - { name: parity, task: classification, file: items.jsonl, prompt: '{text}', labels: { even: even, odd: odd } }
  - { name: french, task: translation, language: fr, file: items.jsonl, prompt: 'French: {text}', source: '{text}', reference: '{fr}', max_new_tokens: 4 }
  - { name: elsewhere, task: prompts, file: nowhere.jsonl, prompt: '{q}' }
`);
  await writeFile(at('absent.yaml'), 'name: absent\nentries: [{ name: elsewhere, task: prompts, file: nowhere.jsonl, prompt: "{q}" }]\n');
  await writeFile(at('long.yaml'), 'name: long\nentries: [{ name: talk, task: prompts, file: many.jsonl, prompt: "{q}", max_new_tokens: 60, limit: 3000 }]\n');
  await writeFile(at('many.jsonl'), Array.from({ length: 3000 }, (_, i) => JSON.stringify({ q: `cat ${i}` })).join('\n'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(model, { recursive: true, force: true });
});

test('parley eval writes a report card in Markdown, HTML and JSON, prints the figures and says what it skipped', async () => {
  const { status, stdout, stderr } = await parley(['eval', model, '--suite', at('suite.yaml'), '--output', at('out'), '--limit', '4', ...quick]);
  expect(stderr).toContain('elsewhere: skipped, there is no nowhere.jsonl');
  expect(stdout).toMatch(/parity \(4 items\)\n {2}accuracy +[\d.]+ % .*majority [\d.]+ \((?:better|worse|no difference shown)\)/);
  expect(status).toBe(0);
  const report = JSON.parse(await readFile(at('out/report.json'), 'utf8')) as EvaluationReport;
  expect(report).toMatchObject({ suite: { name: 'cats' }, trainedOn: null, entries: [{ items: { total: 6, measured: 4 }, training: 'unknown' }, {}, { status: 'skipped' }] });
  expect(report.model.weights).toMatchObject([{ path: 'model.safetensors', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
  expect(report.code).toMatch(/^parley \d+\.\d+\.\d+/);
  expect(await readFile(at('out/report.md'), 'utf8')).toContain('| **parity** | accuracy ↑ |');
  expect(await readFile(at('out/report.html'), 'utf8')).toContain('prefers-color-scheme:dark');
});

test('--json prints the report alone on the standard output and writes no files unless told where', async () => {
  const { status, stdout } = await parley(['eval', model, '--suite', at('suite.yaml'), '--json', ...quick]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ version: 1, entries: [{ name: 'parity', status: 'measured' }, { name: 'french' }, { name: 'elsewhere' }] });
});

test.each([
  [['eval', 'no-such-model', '--suite', 'small'], 2, /no model is called "no-such-model"/],
  [['eval', 'MODEL', '--suite', 'nothing'], 2, /no suite is called "nothing": there are mini, small/],
  [['eval', 'MODEL', '--suite', 'nothing.yaml'], 2, /nothing\.yaml: there is no such suite/],
  [['eval', 'MODEL', '--limit', '0'], 2, /a whole number from 1/],
  [['eval', 'MODEL', '--suite', 'SUITE', '--run', 'nowhere'], 2, /nowhere is no run's folder/],
  [['eval', 'MODEL', '--suite', 'ABSENT', '--json'], 1, /Nothing could be measured/],
] as const)('parley %j ends with status %i and says why', async (args, status, message) => {
  const given = args.map((arg) => ({ MODEL: model, SUITE: at('suite.yaml'), ABSENT: at('absent.yaml') })[arg as 'MODEL'] ?? arg);
  const run = await parley([...given, ...quick]);
  expect(run.stderr).toMatch(message);
  expect(run.status).toBe(status);
});

test('Ctrl-C stops between two steps with status 130 and writes nothing', async () => {
  const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
  const child = spawn(process.execPath, [cli, 'eval', model, '--suite', at('long.yaml'), '--output', at('stopped'), ...quick], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
    if (chunk.includes('suite long')) child.kill('SIGINT');
  });
  const status = await new Promise<number | null>((resolve) => void child.on('exit', resolve));
  expect(errors).toContain('Stopped; nothing was written.');
  expect(status).toBe(130);
  await expect(readFile(at('stopped/report.md'))).rejects.toThrow('ENOENT');
});
