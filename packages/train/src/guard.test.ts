import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Backend, Random } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listCheckpoints } from './checkpoint.ts';
import { DivergenceError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import { type GuardState, SpikeGuard } from './guard.ts';
import { readMetrics } from './metrics.ts';
import { parseRecipe } from './recipe.ts';
import { run, type RunResult } from './run.ts';
import { TINY_RECIPE, tinyData } from './testing/texts.ts';

/** Losses and norms of healthy training: falling, then noisy, with gradient norms up to seven times the usual. */
function* healthy(random: Random, steps: number): Generator<[loss: number, norm: number]> {
  for (let i = 0; i < steps; i++) {
    yield [4 + 4 * Math.exp(-i / 30) + 0.2 * random.normal(), (i % 97 === 60 ? 6.5 : 1) * Math.exp(0.2 * random.normal())];
  }
}

test('in 2,000 healthy steps none is left out, gradient norms of up to seven times the usual included', () => {
  const guard = new SpikeGuard(10);
  for (const [loss, norm] of healthy(new Random(1), 2000)) expect(guard.judge(loss, norm)).toBeNull();
});

test.each([
  [8, 1, /^loss 8\.000 where 4\.\d+ is usual$/], [4, 30, /^gradient norm 30\.0 where \d\.\d+ is usual$/], [Number.NaN, 1, /^loss NaN$/],
  [4, Infinity, /^gradient norm Infinity$/],
])('a loss of %d with a gradient norm of %d is left out, and does not become usual', (loss, norm, reason) => {
  const guard = new SpikeGuard(10);
  for (const [usualLoss, usualNorm] of healthy(new Random(2), 200)) guard.judge(usualLoss, usualNorm);
  const before = guard.state;
  expect(guard.judge(loss, norm)).toMatch(reason);
  expect(guard.state).toEqual({ ...before, skipped: 1, inRow: 1 });
  expect(guard.judge(4, 1)).toBeNull();
  expect(guard.state).toMatchObject({ skipped: 1, inRow: 0 });
});

test('nothing is judged in the first fifty steps, nor with a threshold of Infinity, except what is no number', () => {
  const [young, lenient] = [new SpikeGuard(10), new SpikeGuard(Infinity)];
  for (let i = 0; i < 49; i++) young.judge(4, 1);
  for (let i = 0; i < 90; i++) lenient.judge(4, 1);
  for (const guard of [young, lenient]) {
    expect(guard.judge(400, 1e9)).toBeNull();
    expect(guard.judge(Number.NaN, 1)).not.toBeNull();
  }
});

test('from its state after any step a guard goes on as one that never stopped', () => {
  const steps = [...healthy(new Random(3), 160)].map(([loss, norm], i): [number, number] => (i % 50 === 49 ? [loss * 3, norm] : [loss, norm]));
  const whole = new SpikeGuard(5);
  const states: GuardState[] = [];
  const reasons = steps.map(([loss, norm]) => {
    states.push(JSON.parse(JSON.stringify(whole.state)) as GuardState);
    return whole.judge(loss, norm);
  });
  expect(reasons.filter((reason) => reason !== null).length).toBeGreaterThan(1);
  for (const from of [0, 30, 70, 100, 150]) {
    const resumed = new SpikeGuard(5, states[from]);
    expect(steps.slice(from).map(([loss, norm]) => resumed.judge(loss, norm))).toEqual(reasons.slice(from));
  }
});

// ---- in a run -----------------------------------------------------------------------------------------------------------

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-guard-'));
  for (const [name, text] of Object.entries(tinyData())) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Multiplies the gradient by `factor` in some steps, counted from the backend's first; a step here is one micro-batch. */
async function spiky(steps: readonly number[], factor: number): Promise<Backend> {
  const backend = await createBackend({ backend: 'wasm', threads: 1 });
  const plain = backend.crossEntropyBackward.bind(backend);
  let step = 0;
  return Object.assign(backend, {
    crossEntropyBackward: (args: Parameters<Backend['crossEntropyBackward']>[0]): void => {
      step++;
      plain(steps.includes(step) ? { ...args, scale: args.scale * factor } : args);
    },
  });
}

/** 64 steps of one micro-batch each. A run from the beginning measures four before it starts. */
const RECIPE = parseRecipe(TINY_RECIPE
  .replace('steps: 8, batch_tokens: 192, micro_batch_tokens: 96', 'steps: 64, batch_tokens: 96, clip: 0.5, keep_checkpoints: 3')
  .replace(/ {2}- \{ name: talk.*\n/, '').replace('eval_every: 3', 'eval_every: 32').replace('checkpoint_every: 2', 'checkpoint_every: 11'));

async function train(name: string, backend: Promise<Backend>, options: { resume?: boolean; stopAt?: (event: TrainEvent) => boolean } = {}): Promise<RunResult> {
  const abort = new AbortController();
  await using owned = await backend;
  return await run({
    recipe: RECIPE, folder, output: join(folder, name), backend: owned, resume: options.resume, signal: abort.signal,
    onEvent: (event) => {
      if (options.stopAt?.(event) === true) abort.abort();
    },
  });
}

const MEASURING = 4;

test('a step with an injected spike is left out: said, counted, nothing changed by it; resumed before it to the same bits', async () => {
  const whole = await train('whole', spiky([55 + MEASURING, 58 + MEASURING], 1e4));
  expect(whole.stages).toMatchObject([{ steps: 64, skipped: 2 }]);
  const metrics = readMetrics(join(folder, 'whole', 'metrics.jsonl'));
  expect(metrics.filter((line) => line.type === 'skip').map(({ step, reason }) => [step, /^gradient norm .* is usual$/.test(reason)])).toEqual([[55, true], [58, true]]);
  expect(metrics.filter((line) => line.type === 'step').map(({ step }) => step)).toEqual(Array.from({ length: 64 }, (_, i) => i + 1).filter((step) => step !== 55 && step !== 58));
  // The checkpoint that step 55 was due came after step 56.
  const checkpoints = await listCheckpoints(join(folder, 'whole', 'checkpoints'));
  expect(checkpoints.map(({ state }) => state.step)).toEqual([44, 56, 64]);

  // Stopped at the step before and at the spike itself: its checkpoint differs in nothing but the count.
  await train('part', spiky([55 + MEASURING], 1e4), { stopAt: (event) => event.type === 'step' && event.step === 54 });
  await train('part', spiky([1], 1e4), { resume: true, stopAt: (event) => event.type === 'skip' });
  const [before, at] = (await listCheckpoints(join(folder, 'part', 'checkpoints'))).slice(-2);
  expect([before?.state.step, at?.state.step]).toEqual([54, 55]);
  for (const file of ['weights.safetensors', 'optimizer.safetensors']) {
    expect(readFileSync(join(at?.folder ?? '', file)).equals(readFileSync(join(before?.folder ?? '', file)))).toBe(true);
  }
  await train('part', spiky([3], 1e4), { resume: true });
  const weights = (name: string): Buffer => readFileSync(join(folder, name, 'model', 'model.safetensors'));
  expect(weights('part').equals(weights('whole'))).toBe(true);
}, 120_000);

test('a gradient that is no number is left out at any step, and five in a row end the run, with the checkpoint before them kept', async () => {
  const once = await train('once', spiky([3 + MEASURING], Number.NaN));
  expect(once.stages).toMatchObject([{ steps: 64, skipped: 1 }]);
  const running = train('always', spiky(Array.from({ length: 90 }, (_, i) => 13 + MEASURING + i), Number.NaN));
  await expect(running).rejects.toThrow(DivergenceError);
  await expect(running).rejects.toThrow(/diverged at step 17: .*step 5 in a row to be left out; the checkpoint of step 11 is kept/);
}, 120_000);
