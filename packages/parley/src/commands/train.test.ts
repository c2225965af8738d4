import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPython } from '@parley/train';
import { afterAll, beforeAll, expect, test } from 'vitest';

const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
const python = await findPython().catch((error: unknown) => {
  console.warn(`Training on PyTorch is NOT tested here: ${String(error)}`);
  return null;
});
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-cli-train-'));
  mkdirSync(join(folder, 'letters'));
  const names = ['Anna', 'Ben', 'Cleo'];
  const letter = (i: number): string => Array.from({ length: 12 }, (_, j) => `${names[(i * j) % 3]} wrote letter ${i} on day ${j}, and ${names[(i + j) % 3]} read it.`).join(' ');
  writeFileSync(join(folder, 'letters', 'all.txt'), Array.from({ length: 60 }, (_, i) => letter(i)).join('\n\n'));
  writeFileSync(join(folder, 'small.yaml'), `
name: small
tokenizer: { vocab_size: 300 }
data: { held_out: 0.1, sources: [{ name: letters, path: letters, split_characters: 800 }] }
model: { hidden_size: 32, layers: 1, heads: 1, context_length: 64 }
stages: [{ name: read, kind: pretrain, steps: 400, batch_tokens: 128, checkpoint_every: 1000, eval_every: 1000, eval_tokens: 128 }]
`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome { readonly status: number | null; readonly events: { type: string; [field: string]: unknown }[]; readonly errors: string }

/** `parley ARGS` in the folder; `interruptAfter`: SIGINT once so many steps were told. */
async function parley(args: readonly string[], interruptAfter = Infinity): Promise<Outcome> {
  const child = spawn(process.execPath, [cli, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  let interrupted = false;
  child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (interrupted || output.split('"type":"step"').length <= interruptAfter) return;
    interrupted = true;
    child.kill('SIGINT');
  });
  const status = await new Promise<number | null>((resolve) => void child.on('exit', resolve));
  const events = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Outcome['events'][number]);
  return { status, events, errors };
}

test('Ctrl-C writes a checkpoint, says how to go on, and --resume goes on from it', async () => {
  const first = await parley(['train', 'small.yaml', '--threads', '1', '--json'], 5);
  expect(first).toMatchObject({ status: 130, errors: '' });
  expect(first.events.at(-1)).toMatchObject({ type: 'end', ended: 'aborted', modelFolder: null });
  const stoppedAt = first.events.findLast(({ type }) => type === 'checkpoint')?.['step'];
  expect(stoppedAt).toBeGreaterThanOrEqual(5);

  const again = await parley(['train', 'small.yaml', '--threads', '1', '--json']);
  expect(again).toMatchObject({ status: 1 });
  expect(again.errors).toMatch(/holds a run at step \d+ of 400 .*--resume/);

  const resumed = await parley(['train', 'small.yaml', '--threads', '1', '--json', '--resume']);
  expect(resumed.status).toBe(0);
  expect(resumed.events.find(({ type }) => type === 'step')?.['step']).toBe(Number(stoppedAt) + 1);
  expect(existsSync(join(folder, 'runs', 'small', 'model', 'model.safetensors'))).toBe(true);
});

test('a folder of text files becomes a model folder with no recipe, and the last line says how to talk to it', async () => {
  const { status, errors } = await parley(['train', 'letters', '--threads', '1', '--max-steps', '3', '--minutes', '1']);
  expect(errors).toMatch(/letters: 1 file, 1 document \(0 conversations\), 0\.0\d MB of text/);
  expect(errors.trim().split('\n').at(-1)).toBe('The model is in runs/letters/model. Talk to it: parley chat --model runs/letters/model');
  expect(status).toBe(0);
  expect(readFileSync(join(folder, 'runs', 'letters', 'model', 'README.md'), 'utf8')).toContain('| talking (finetune) | 3 |');
});

test('where there is no terminal, lines say where the report is, and train report makes it again', async () => {
  const { errors } = await parley(['train', 'letters', '--name', 'watched', '--threads', '1', '--max-steps', '2', '--minutes', '1']);
  expect(errors).toMatch(/Watch it in a browser: file:\/\/.*\/runs\/watched\/report\.html\n/);
  expect(errors).not.toContain('\u001b');
  const made = await parley(['train', 'report', 'runs/watched', '--output', 'again.html']);
  expect(made).toMatchObject({ status: 0, errors: 'The report is in again.html\n' });
  expect(readFileSync(join(folder, 'again.html'), 'utf8')).toContain('<title>watched: training report</title>');
  expect(readFileSync(join(folder, 'runs', 'watched', 'report.html'), 'utf8')).toContain('>finished</span>');
});

test('a model that was trained can be trained further', async () => {
  const { status, errors } = await parley(['train', 'letters', '--from', 'runs/letters/model', '--name', 'further', '--threads', '1', '--max-steps', '2', '--minutes', '1']);
  expect(errors).toContain('parley chat --model runs/further/model');
  expect(status).toBe(0);
});

test.skipIf(python === null)('a run prepared here, trained where only Python and that folder are, and brought back becomes a model', async () => {
  const args = ['train', 'small.yaml', '--output', 'carried', '--max-steps', '4', '--threads', '1'];
  const prepared = await parley([...args, '--engine', 'torch', '--prepare-only']);
  expect(prepared).toMatchObject({ status: 0 });
  expect(prepared.errors).toContain('python carried/torch/runner.py');
  const elsewhere = mkdtempSync(join(tmpdir(), 'parley-elsewhere-'));
  renameSync(join(folder, 'carried'), join(elsewhere, 'run'));
  const { stdout } = await promisify(execFile)(python?.path ?? '', [join(elsewhere, 'run', 'torch', 'runner.py'), '--device', 'cpu'], { cwd: elsewhere });
  expect(stdout).toMatch(/read 4\/4 {2}loss \d/);
  expect(stdout).toContain('All stages are done.');
  renameSync(join(elsewhere, 'run'), join(folder, 'carried'));
  rmSync(elsewhere, { recursive: true });
  const exported = await parley([...args, '--resume']);
  expect(exported.errors).toContain('The model is in carried/model.');
  expect(exported.status).toBe(0);
  expect(readFileSync(join(folder, 'carried', 'model', 'README.md'), 'utf8')).toContain('Trained with Parley on PyTorch');
});

test.each([
  [['train', 'nowhere'], 2, /there is no nowhere/],
  [['train', 'small.yaml', '--minutes', '3'], 2, /--minutes is for training on your own texts/],
  [['train', 'letters', '--minutes', 'soon'], 2, /a number above 0/],
  [['train', 'letters', '--from', 'nowhere', '--name', 'x'], 2, /no model is called "nowhere"/],
  [['train', 'small.yaml', '--nproc', '2'], 2, /--nproc is for PyTorch: add --engine torch/],
  [['train', 'small.yaml', '--output', 'none', '--engine', 'torch', '--python', 'no-python'], 1, /no-python is not there: install PyTorch/],
  [['train', 'report', 'nowhere'], 1, /nowhere holds no metrics\.jsonl/],
  [['train', 'nowhere.yaml'], 2, /nowhere\.yaml: there is no such recipe/],
  [['data', 'inspect', 'nowhere'], 1, /nowhere: there is no such file or folder/],
  [['data', 'prepare', 'letters'], 2, /--tokenizer/],
] as const)('parley %j ends with status %i and says why', async (args, status, message) => {
  const outcome = await parley(args);
  expect(outcome.errors).toMatch(message);
  expect(outcome.status).toBe(status);
});

test('data prepare and inspect, with the tokenizer of a trained model', async () => {
  const prepared = await parley(['data', 'prepare', 'letters', '--tokenizer', 'runs/letters/model', '--output', 'shards', '--held-out', '0', '--json']);
  expect(prepared.events[0]).toMatchObject({ sources: [{ name: 'letters', splits: { train: { documents: 1 } } }] });
  const inspected = spawn(process.execPath, [cli, 'data', 'inspect', 'shards', '--json'], { cwd: folder });
  let output = '';
  inspected.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  await new Promise((resolve) => void inspected.on('exit', resolve));
  expect(JSON.parse(output)).toMatchObject([{ name: 'letters', documents: 1, conversations: 0 }]);
});
