import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random, ReferenceBackend } from '@parley/engine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listCheckpoints } from './checkpoint.ts';
import { CheckpointError, DivergenceError, TrainError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import { SpikeGuard } from './guard.ts';
import { type Metrics, readMetrics } from './metrics.ts';
import { parseRecipe } from './recipe.ts';
import { run, type RunResult } from './run.ts';
import { tinyData } from './testing/texts.ts';
import { findPython, prepareTorch, runTorch } from './torch.ts';

const python = await findPython().catch((error: unknown) => {
  console.warn(`The PyTorch engine is NOT tested here: ${error instanceof Error ? error.message : String(error)}`);
  return null;
});

/** Texts whole and conversations by their answers in one mixture; a second stage with fresh moments. Two micro-batches a step. */
const recipeOf = (model: string): string => `
name: tiny
seed: 7
tokenizer: { vocab_size: 280 }
data:
  held_out: 0.1
  sources:
    - { name: texts, path: texts.jsonl }
    - { name: chats, path: chats.jsonl }
model: ${model}
stages:
  - { name: mix, kind: finetune, steps: 20, batch_tokens: 192, micro_batch_tokens: 96, learning_rate: 0.005, clip: 0.5, eval_every: 10, eval_tokens: 384, checkpoint_every: 10 }
  - { name: talk, kind: finetune, data: [chats], steps: 4, batch_tokens: 192, learning_rate: 0.003, schedule: wsd, eval_every: 4, eval_tokens: 192, checkpoint_every: 4 }
`;
const GPT2 = recipeOf('{ family: gpt2, hidden_size: 32, layers: 2, heads: 2, context_length: 96 }');
/** With everything in its first stage that GPT2 is without. */
const LLAMA = recipeOf('{ family: llama, hidden_size: 32, layers: 2, heads: 4, key_value_heads: 2, context_length: 96, tie_embeddings: false }')
  .replace('steps: 20', 'data: [{ source: texts }, { source: chats, loss_weight: 4 }], steps: 20, optimizer: muon, matrix_rate: 2, z_loss: 0.001, label_smoothing: 0.1');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-torch-'));
  for (const [name, text] of Object.entries(tinyData())) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Way { readonly engine: 'parley' | 'torch'; readonly resume?: boolean; readonly processes?: number; readonly steps?: number; readonly text?: string }

/** Trains into folder/NAME; `steps`: the torch engine stops after so many. */
async function train(name: string, way: Way): Promise<RunResult> {
  await using backend = new ReferenceBackend();
  const recipe = parseRecipe(way.text ?? LLAMA);
  const shared = { recipe, folder, output: join(folder, name), backend, resume: way.resume };
  if (way.engine === 'parley') return run(shared);
  const stop = way.steps === undefined ? [] : ['--steps', String(way.steps)];
  return runTorch({ ...shared, processes: way.processes, runnerArguments: ['--device', 'cpu', '--threads', '1', ...stop] });
}

/** The largest differences of two runs' metrics: losses (training and held-out) and, relative, gradient norms. Everything else must be equal. */
function compare(a: string, b: string): { loss: number; norm: number; steps: number } {
  const [left, right] = [a, b].map((name) => readMetrics(join(folder, name, 'metrics.jsonl')));
  if (left === undefined || right === undefined) throw new Error('no metrics');
  const exact = (line: Metrics): object => ({
    // The engines' cosines may differ in the last bit.
    ...line, ...(line.type === 'step' ? { learning_rate: line.learning_rate.toPrecision(12) } : {}),
    loss: 0, bits_per_byte: 0, gradient_norm: 0, sources: 0, timing: 0,
  });
  expect(right.map(exact)).toEqual(left.map(exact));
  const worst = { loss: 0, norm: 0, steps: left.length };
  for (const [index, line] of left.entries()) {
    const other = right[index];
    if (other === undefined || line.type === 'sample' || line.type === 'skip' || other.type === 'sample' || other.type === 'skip') continue;
    worst.loss = Math.max(worst.loss, Math.abs(line.loss - other.loss));
    if (line.type === 'step' && other.type === 'step') worst.norm = Math.max(worst.norm, Math.abs(line.gradient_norm / other.gradient_norm - 1));
  }
  return worst;
}

const finalState = async (name: string): Promise<object> => (await listCheckpoints(join(folder, name, 'checkpoints'))).at(-1)?.state ?? {};

describe.skipIf(python === null)('with PyTorch', () => {
  test.each([['GPT-2', GPT2], ['Llama with grouped queries, Muon, a z-loss, label smoothing and loss weights', LLAMA]])(
    '%s: the same weights and batches give losses within 1e-3 of the reference backend\'s over 24 steps in f32, and the same card and curve',
    async (name, text) => {
      const [ours, theirs] = [`${name}-parley`, `${name}-torch`];
      await train(ours, { engine: 'parley', text });
      const result = await train(theirs, { engine: 'torch', text });
      const { loss, norm, steps } = compare(ours, theirs);
      expect(steps).toBe(27);
      expect(loss).toBeLessThan(1e-3);
      expect(norm).toBeLessThan(1e-2);
      const [a, b] = await Promise.all([finalState(ours), finalState(theirs)]);
      const plain = { engine: 0, results: 0, guard: 0 };
      expect({ ...b, ...plain }).toEqual({ ...a, ...plain });
      expect(result.stages.map((stage) => stage.epochs)).toEqual((a as { results: RunResult['stages'] }).results.map((stage) => stage.epochs));
      const card = readFileSync(join(folder, theirs, 'model', 'README.md'), 'utf8');
      expect(card).toMatch(/Trained with Parley on PyTorch 1|Trained with Parley on PyTorch 2/);
      expect(card).toContain('| mix (finetune) | 20 |');
      expect(readFileSync(join(folder, theirs, 'loss-curve.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
    },
  );

  test('a run begun by one engine and ended by the other is, within 1e-3, the run of one', async () => {
    const name = 'Llama with grouped queries, Muon, a z-loss, label smoothing and loss weights-parley';
    expect(await train('torch-first', { engine: 'torch', steps: 13 })).toMatchObject({ ended: 'aborted', modelFolder: null });
    await expect(train('torch-first', { engine: 'parley' })).rejects.toThrow(CheckpointError);
    await train('torch-first', { engine: 'parley', resume: true });
    expect(compare(name, 'torch-first').loss).toBeLessThan(1e-3);
    expect(readFileSync(join(folder, 'torch-first', 'model', 'README.md'), 'utf8')).toMatch(/on PyTorch .* in f32, then reference/);

    const abort = new AbortController();
    await using backend = new ReferenceBackend();
    const parleyFirst = { recipe: parseRecipe(LLAMA), folder, output: join(folder, 'parley-first'), backend };
    await run({ ...parleyFirst, signal: abort.signal, onEvent: (event) => {
      if (event.type === 'step' && event.step === 13) abort.abort();
    } });
    await train('parley-first', { engine: 'torch', resume: true });
    expect(compare(name, 'parley-first').loss).toBeLessThan(1e-3);
  });

  test('the runner leaves out the steps that guard.ts leaves out, and keeps the same state of it', async () => {
    const random = new Random(8);
    const values = Array.from({ length: 400 }, (_, i) => {
      const wild = random.uniform() < 0.05 ? 1 + 20 * random.uniform() : 1;
      return i === 333 ? [Infinity, 1] : [(4 + 0.1 * random.normal()) * (wild > 15 ? 3 : 1), Math.exp(0.3 * random.normal()) * wild];
    });
    const guard = new SpikeGuard(6);
    const left = values.map(([loss = 0, norm = 0]) => guard.judge(loss, norm) !== null);
    expect(left.filter((one) => one).length).toBeGreaterThan(5);
    const script = 'import json, sys, runner\nguard = runner.SpikeGuard(6)\n' +
      'left = [guard.judge(float(a), float(b)) is not None for a, b in json.load(sys.stdin)]\nprint(json.dumps([left, guard.state()]))';
    const input = JSON.stringify(values.map((pair) => pair.map(String))).replaceAll('Infinity', 'inf');
    const output = execFileSync(python?.path ?? '', ['-c', script], { input, cwd: fileURLToPath(new URL('../torch', import.meta.url)), env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } });
    expect(JSON.parse(output.toString())).toEqual([left, guard.state]);
  });

  test('a stage in minutes is measured on PyTorch, and the run keeps its length', async () => {
    const text = LLAMA.replace('steps: 20', 'minutes: 0.03, warmup: 0.2').replace(/ {2}- \{ name: talk.*\n/, '');
    const result = await train('timed', { engine: 'torch', text });
    const { steps } = JSON.parse(readFileSync(join(folder, 'timed', 'lengths.json'), 'utf8')) as { steps: Record<string, number> };
    expect(steps.mix).toBeGreaterThanOrEqual(20);
    expect(result.stages).toMatchObject([{ stage: 'mix', steps: steps.mix }]);
    const rates = readMetrics(join(folder, 'timed', 'metrics.jsonl')).flatMap((line) => (line.type === 'step' ? [line.learning_rate] : []));
    expect(rates.length).toBe(steps.mix);
    expect(rates.indexOf(Math.max(...rates)) + 1).toBe(Math.round(0.2 * rates.length));
  });

  test('two processes with gloo give, within 1e-4, what one gives', async () => {
    await train('two', { engine: 'torch', processes: 2 });
    expect(compare('Llama with grouped queries, Muon, a z-loss, label smoothing and loss weights-torch', 'two').loss).toBeLessThan(1e-4);
    expect(JSON.stringify(await finalState('two'))).toContain('CPU × 2');
  });

  test('aborting lets the runner finish a step, write a checkpoint and say so', async () => {
    await using backend = new ReferenceBackend();
    const abort = new AbortController();
    const events: TrainEvent[] = [];
    const result = await runTorch({
      recipe: parseRecipe(LLAMA), folder, output: join(folder, 'aborted'), backend, signal: abort.signal, runnerArguments: ['--device', 'cpu'],
      onEvent: (event) => {
        events.push(event);
        if (event.type === 'note' && event.text.startsWith('training on PyTorch')) abort.abort();
      },
    });
    expect(result).toMatchObject({ ended: 'aborted', stages: [{ stage: 'mix', steps: 1 }] });
    expect(events.at(-1)).toMatchObject({ type: 'checkpoint', stage: 'mix', step: 1 });
    expect(existsSync(join(folder, 'aborted', 'torch', 'stop'))).toBe(false);
    expect(existsSync(join(folder, 'aborted', 'lock'))).toBe(false);
  });

  test('a loss that is no number is a DivergenceError that names step and remedy', async () => {
    const text = LLAMA.replace('learning_rate: 0.005', 'learning_rate: 1.0e+30, warmup: 0, schedule: constant');
    const running = train('diverged', { engine: 'torch', text });
    await expect(running).rejects.toThrow(DivergenceError);
    await expect(running).rejects.toThrow(/diverged at step \d+: loss .* lower learning_rate/);
  });
});

test('preparing needs no Python, fills the run\'s folder, and orders more steps than it will have of a stage whose length only the runner can measure', async () => {
  await using backend = new ReferenceBackend();
  const options = { folder, output: join(folder, 'prepared'), backend };
  const { runner, runFolder } = await prepareTorch({ ...options, recipe: parseRecipe(GPT2) });
  expect(runner).toBe(join(runFolder, 'torch', 'runner.py'));
  const plan = JSON.parse(readFileSync(join(runFolder, 'torch', 'plan.json'), 'utf8')) as { stages: { files: Record<string, string>; shards: { tokens: string }[] }[] };
  expect(plan.stages).toHaveLength(2);
  for (const stage of plan.stages) {
    for (const file of Object.values(stage.files)) expect(existsSync(join(runFolder, 'torch', file))).toBe(true);
    for (const { tokens } of stage.shards) expect(existsSync(join(runFolder, tokens))).toBe(true);
  }
  const minutes = parseRecipe(GPT2.replace('steps: 20', 'minutes: 1'));
  await prepareTorch({ ...options, output: join(folder, 'minutes'), recipe: minutes });
  const long = JSON.parse(readFileSync(join(folder, 'minutes', 'torch', 'plan.json'), 'utf8')) as { stages: { minutes: number | null; schedule: { steps: number } }[] };
  expect(long.stages.map(({ minutes: length, schedule }) => [length, schedule.steps])).toEqual([[1, 2400], [null, 4]]);
});

test('a Python without PyTorch is named, with what it lacks and what to do', async () => {
  await expect(findPython(process.execPath)).rejects.toThrow(TrainError);
  await expect(findPython('/no/such/python')).rejects.toThrow(/\/no\/such\/python is not there: install PyTorch .* --python PATH/);
});
