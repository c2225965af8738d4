import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ReferenceBackend } from '@parley/engine';
import { loadModel } from '@parley/model/node';
import { loadTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listCheckpoints } from './checkpoint.ts';
import { CheckpointError, DivergenceError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import { readMetrics } from './metrics.ts';
import { parseRecipe } from './recipe.ts';
import { loadRecipe } from './recipe-file.ts';
import { run } from './run.ts';
import { TINY_RECIPE, tinyData } from './testing/texts.ts';

let folder = '';
let recipePath = '';
const script = fileURLToPath(new URL('testing/run-recipe.ts', import.meta.url));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-train-'));
  for (const [name, text] of Object.entries(tinyData())) writeFileSync(join(folder, name), text);
  recipePath = join(folder, 'tiny.yaml');
  // Both optimizers' moments are in the checkpoints then.
  writeFileSync(recipePath, TINY_RECIPE.replace('steps: 8,', 'steps: 8, optimizer: muon, z_loss: 0.0001,'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the recipe in a process of its own; with `killAt`, SIGKILL as soon as an event passes the test. True if it was killed. */
async function inProcess(
  output: string, options: { backend?: 'reference' | 'wasm'; resume?: boolean; killAt?: (event: TrainEvent) => boolean } = {},
): Promise<boolean> {
  const { backend = 'reference', resume = false } = options;
  const child = spawn(process.execPath, [script, recipePath, output, backend, ...(resume ? ['resume'] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let buffered = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (buffered + chunk.toString()).split('\n');
    buffered = lines.pop() ?? '';
    for (const line of lines) if (options.killAt?.(JSON.parse(line) as TrainEvent) === true) child.kill('SIGKILL');
  });
  return new Promise((resolve, reject) => {
    child.on('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve(true);
      else if (code === 0) resolve(false);
      else reject(new Error(`exit ${code}: ${errors}`));
    });
  });
}

/** What a run computed: the bytes of the exported weights and of the last checkpoint, and the metrics without their timing. */
async function outcome(output: string): Promise<{ weights: string; checkpoint: string[]; metrics: object[] }> {
  const last = (await listCheckpoints(join(output, 'checkpoints'))).at(-1);
  if (last === undefined) throw new Error('no checkpoint');
  return {
    weights: readFileSync(join(output, 'model', 'model.safetensors')).toString('base64'),
    checkpoint: readdirSync(last.folder).toSorted().map((file) => readFileSync(join(last.folder, file)).toString('base64')),
    metrics: readMetrics(join(output, 'metrics.jsonl')).map((line) => ({ ...line, timing: undefined })),
  };
}

test('a run killed with SIGKILL at several points and resumed has the same bits as one never killed', async () => {
  const whole = join(folder, 'whole');
  await inProcess(whole);
  const expected = await outcome(whole);
  expect(expected.metrics.filter((line) => 'type' in line && line.type === 'step')).toHaveLength(14);

  const killed = join(folder, 'killed');
  const kills: ((event: TrainEvent) => boolean)[] = [
    (event) => event.type === 'prepare',
    (event) => event.type === 'step' && event.step === 1,
    (event) => event.type === 'step' && event.stage === 'read' && event.step === 5,
    (event) => event.type === 'checkpoint' && event.stage === 'read' && event.step === 8,
    (event) => event.type === 'step' && event.stage === 'talk' && event.step === 3,
    (event) => event.type === 'export',
  ];
  let count = 0;
  for (const killAt of kills) if (await inProcess(killed, { resume: true, killAt })) count++;
  expect(count).toBeGreaterThanOrEqual(4);
  await inProcess(killed, { resume: true });
  expect(await outcome(killed)).toEqual(expected);
}, 60_000);

test('on the wasm backend with two threads too, killed in the first steps, between checkpoints and in the second stage', async () => {
  const whole = join(folder, 'whole-wasm');
  await inProcess(whole, { backend: 'wasm' });
  const killed = join(folder, 'killed-wasm');
  const kills: ((event: TrainEvent) => boolean)[] = [
    (event) => event.type === 'step' && event.step === 1,
    (event) => event.type === 'step' && event.stage === 'read' && event.step === 5,
    (event) => event.type === 'step' && event.stage === 'talk' && event.step === 3,
  ];
  let count = 0;
  for (const killAt of kills) if (await inProcess(killed, { backend: 'wasm', resume: true, killAt })) count++;
  expect(count).toBeGreaterThanOrEqual(2);
  await inProcess(killed, { backend: 'wasm', resume: true });
  expect(await outcome(killed)).toEqual(await outcome(whole));
}, 60_000);

test('a finished run is not trained over, and one that another process works on is left to it', async () => {
  const { recipe, text } = await loadRecipe(recipePath);
  await using backend = new ReferenceBackend();
  const options = { recipe, folder, text, output: join(folder, 'whole'), backend };
  await expect(run(options)).rejects.toThrow(/holds a run that is finished: train under another name/);
  const [first, second] = await Promise.allSettled([1, 2].map(() => run({ ...options, output: join(folder, 'at-once'), maxSteps: 1 })));
  expect(first).toMatchObject({ status: 'fulfilled', value: { ended: 'finished' } });
  expect(second).toMatchObject({ status: 'rejected', reason: expect.any(CheckpointError) as unknown });
  expect(existsSync(join(folder, 'at-once', 'lock'))).toBe(false);
});

test('nobody\'s files are replaced: neither by a run\'s folder nor by its model', async () => {
  await using backend = new ReferenceBackend();
  const mine = join(folder, 'mine');
  mkdirSync(mine);
  writeFileSync(join(mine, 'letter.txt'), 'Dear Anna');
  const recipe = parseRecipe(TINY_RECIPE);
  await expect(run({ recipe, folder, output: mine, backend })).rejects.toThrow(/mine holds letter\.txt and no run/);
  const exporting = parseRecipe(`${TINY_RECIPE}export: { path: mine }\n`);
  await expect(run({ recipe: exporting, folder, output: join(folder, 'beside'), backend })).rejects.toThrow(/mine holds letter\.txt and is no model/);
  expect(readdirSync(mine)).toEqual(['letter.txt']);
});

test('an aborted run ends with a checkpoint, says so, and resumes to the same bits', async () => {
  const { recipe, text } = await loadRecipe(recipePath);
  await using backend = new ReferenceBackend();
  const output = join(folder, 'aborted');
  const abort = new AbortController();
  const onEvent = (event: TrainEvent): void => {
    if (event.type === 'step' && event.stage === 'read' && event.step === 3) abort.abort();
  };
  const first = await run({ recipe, folder, text, output, backend, signal: abort.signal, onEvent });
  expect(first).toMatchObject({ ended: 'aborted', modelFolder: null });
  expect((await listCheckpoints(join(output, 'checkpoints'))).at(-1)?.state).toMatchObject({ stageName: 'read', step: 3 });

  await expect(run({ recipe, folder, text, output, backend })).rejects.toThrow(/holds a run at step 3 of 8 .*--resume/);
  const changed = parseRecipe(TINY_RECIPE.replace('learning_rate: 0.01', 'learning_rate: 0.02'));
  await expect(run({ recipe: changed, folder, output, backend, resume: true })).rejects.toThrow(CheckpointError);

  const chats = readFileSync(join(folder, 'chats.jsonl'), 'utf8');
  writeFileSync(join(folder, 'chats.jsonl'), chats.slice(0, chats.lastIndexOf('\n')));
  await expect(run({ recipe, folder, output, backend, resume: true })).rejects.toThrow(/texts or the tokenizer have changed/);
  writeFileSync(join(folder, 'chats.jsonl'), chats);

  await run({ recipe, folder, text, output, backend, resume: true });
  expect((await outcome(output)).weights).toBe((await outcome(join(folder, 'whole'))).weights);
});

test('the exported folder loads, its tokenizer speaks the chat template, and the run leaves a card and a loss curve', async () => {
  const output = join(folder, 'whole');
  const target = join(output, 'model');
  await using backend = new ReferenceBackend();
  using model = await loadModel(target, { backend, dtype: 'f32' });
  const tokenizer = await loadTokenizer(target);
  expect(model.config).toMatchObject({ hiddenSize: 16, layers: 1, vocabSize: tokenizer.vocabSize, contextLength: 96 });
  expect(tokenizer.renderChat([{ role: 'user', content: 'Hi' }], { addGenerationPrompt: true })).toContain('<|im_start|>assistant');
  const card = readFileSync(join(target, 'README.md'), 'utf8');
  expect(card).toContain('| read (pretrain) | 8 |');
  expect(card).toContain('| talk (finetune) | 6 |');
  expect(readFileSync(join(output, 'loss-curve.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
  expect(existsSync(join(target, 'generation_config.json'))).toBe(true);
});

test('fourteen steps bring the held-out loss at least 15 % below that of a uniform guess', () => {
  const losses = readMetrics(join(folder, 'whole', 'metrics.jsonl')).filter((line) => line.type === 'held-out').map((line) => line.loss);
  expect(losses.at(-1)).toBeLessThan(0.85 * Math.log(280));
});

test('a loss that is no number stops the run, names step and remedy, and keeps the last checkpoint', async () => {
  const recipe = parseRecipe(TINY_RECIPE.replace('learning_rate: 0.01', 'learning_rate: 1.0e+30, warmup: 0, schedule: constant').replace('checkpoint_every: 2', 'checkpoint_every: 1'));
  await using backend = new ReferenceBackend();
  const output = join(folder, 'diverged');
  const running = run({ recipe, folder, output, backend });
  await expect(running).rejects.toThrow(DivergenceError);
  await expect(running).rejects.toThrow(/diverged at step \d+: loss .* lower learning_rate/);
  expect((await listCheckpoints(join(output, 'checkpoints'))).length).toBeGreaterThan(0);
});

test('before the first checkpoint a changed recipe is followed, its tokenizer included', async () => {
  await using backend = new ReferenceBackend();
  const output = join(folder, 'changed');
  const abort = new AbortController();
  const onEvent = (event: TrainEvent): void => {
    if (event.type === 'prepare') abort.abort();
  };
  const first = parseRecipe(TINY_RECIPE);
  await expect(run({ recipe: first, folder, output, backend, signal: abort.signal, onEvent })).rejects.toThrow(/abort/i);
  expect((await loadTokenizer(join(output, 'tokenizer'))).vocabSize).toBe(280);
  await run({ recipe: parseRecipe(TINY_RECIPE.replace('vocab_size: 280', 'vocab_size: 270')), folder, output, backend, maxSteps: 1 });
  expect((await loadTokenizer(join(output, 'model'))).vocabSize).toBe(270);
});
