import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '@parley/data';
import { createBackend } from '@parley/engine/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logTicks, niceTicks } from './chart.ts';
import type { TrainEvent } from './events.ts';
import type { Metrics } from './metrics.ts';
import { parseRecipe } from './recipe.ts';
import { type RunReport, runReport } from './report.ts';
import { spread } from './report-chart.ts';
import { Curve, smoothed } from './report-curve.ts';
import { RunHistory } from './report-history.ts';
import { duration, short } from './report-html.ts';
import { writeRunReport } from './report-writer.ts';
import { run } from './run.ts';
import { TINY_RECIPE, tinyData } from './testing/texts.ts';

const HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'&<!--';

const step = (stage: string, index: number, loss = 5 / index): Metrics => ({
  type: 'step', stage, step: index, tokens: index * 100, loss, learning_rate: 1e-3, gradient_norm: 1 + (index % 3),
  timing: { ms: 10, tokens_per_second: 1000, peak_share: 0.5 },
});

function report(history: RunHistory, more: Partial<RunReport> = {}): RunReport {
  return {
    name: 'x', title: 'x', description: null, state: 'finished', message: null, updated: new Date(0), stages: [], left: { stage: null, run: null },
    parameters: null, history, manifest: null, passes: new Map(), results: [], recipe: null, derived: null, environment: [], ...more,
  };
}

/** Every element is closed, in order; what HTML leaves open is listed. */
function unbalanced(html: string): string | null {
  const open: string[] = [];
  const text = html.replaceAll(/<(script|style)[^>]*>[\s\S]*?<\/\1>/g, '').replace(/^<!doctype html>/, '');
  for (const [tag, slash, name = '', closed] of text.matchAll(/<(\/?)([a-z][a-z0-9]*)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (closed === '/' || ['meta', 'col', 'br'].includes(name)) continue;
    if (slash === '') open.push(name);
    else if (open.pop() !== name) return `${tag} where ${open.join(' > ')} is open`;
  }
  return open.length === 0 ? null : open.join(' > ');
}

describe('a curve', () => {
  test.each([10, 1024, 5000, 100_000])('of %i steps keeps at most capacity points, and the exact sum, lows and highs', (steps) => {
    const curve = new Curve(256);
    let sum = 0;
    for (let x = 1; x <= steps; x++) {
      const y = Math.sin(x) * x;
      sum += y;
      curve.add(x, y, x > steps * 0.9 ? 1 : 0);
    }
    const { points } = curve;
    expect(points.length).toBeLessThanOrEqual(257);
    expect(points.length).toBeGreaterThan(Math.min(steps, 256) * 0.45);
    expect(points.reduce((total, { mean, count }) => total + mean * count, 0)).toBeCloseTo(sum, 3);
    expect(points.reduce((total, { count }) => total + count, 0)).toBe(steps);
    expect(points.every(({ low, high, mean }) => low <= mean && mean <= high)).toBe(true);
    expect(points.at(-1)?.x).toBe(steps);
    expect(points.filter((point, i) => point.stage !== points[i - 1]?.stage)).toHaveLength(2);
  });

  test('leaves out what is no number, and a run of more stages than it has room for is a point a stage', () => {
    const curve = new Curve(4);
    curve.add(1, Number.NaN, 0);
    for (let stage = 0; stage < 20; stage++) for (let i = 1; i <= 3; i++) curve.add(stage * 3 + i, 1, stage);
    expect(curve.points.length).toBeLessThanOrEqual(40);
    expect(new Set(curve.points.map(({ stage }) => stage)).size).toBe(20);
  });

  test('smoothing keeps a constant, starts anew with each stage, and follows the first steps', () => {
    const points = Array.from({ length: 100 }, (_, i) => ({ x: i + 1, count: 1, mean: i < 50 ? 4 : 2, stage: i < 50 ? 0 : 1 }));
    expect(smoothed(points).map(({ y }) => y)).toEqual(points.map(({ mean }) => mean));
    const falling = Array.from({ length: 1000 }, (_, i) => ({ x: i + 1, count: 1, mean: 9 * Math.exp(-i / 30), stage: 0 }));
    const far = smoothed(falling).map(({ y }, i) => y - (falling[i]?.mean ?? 0));
    expect(Math.max(...far)).toBeLessThan(1.8);
  });
});

test('ticks are round and cover the range; logarithmic ones stay within', () => {
  expect(niceTicks(0, 0.0025, 3)).toEqual([0, 0.001, 0.002, 0.003]);
  expect(logTicks(0.3, 40)).toEqual([1, 10]);
  expect(logTicks(0.4, 12)).toEqual([0.5, 1, 2, 5, 10]);
  expect(logTicks(1e-9, 1e9).length).toBeLessThan(9);
});

test('labels are spread so that none covers another, within the height, in the order of their lines', () => {
  const wanted = [100, 101, 99, 300, 298, 0];
  const places = spread(wanted, 300);
  const sorted = places.toSorted((a, b) => a - b);
  expect(Math.min(...sorted.slice(1).map((place, i) => place - (sorted[i] ?? 0)))).toBeGreaterThanOrEqual(16.99);
  expect(Math.max(...places)).toBeLessThanOrEqual(300);
  expect(wanted.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0))).toEqual([5, 2, 0, 1, 4, 3]);
});

test.each([[59, '59 s'], [75, '1 min 15 s'], [1200, '20 min'], [7300, '2 h 1 min'], [200_000, '2 days 7 h']])('%i seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test.each([[999, '999'], [1319, '1,319'], [28_400, '28.4k'], [6_074_321, '6.07M'], [1.2e9, '1.20B']])('%i is short for %s', (value, text) => {
  expect(short(value)).toBe(text);
});

describe('the page', () => {
  test('of nothing, of one step and of a run with everything is well-formed and has no number that is none', () => {
    const one = new RunHistory();
    one.add(step('a', 1));
    expect(unbalanced(runReport(report(new RunHistory())))).toBe(null);
    expect(runReport(report(one))).not.toMatch(/NaN|Infinity|undefined/);
    expect(unbalanced(runReport(report(one)))).toBe(null);
  });

  test('whatever its texts hold, nothing of them is markup and nothing ends the script', () => {
    const history = new RunHistory();
    for (let i = 1; i <= 30; i++) history.add(step(HOSTILE, i));
    history.add({ type: 'skip', stage: HOSTILE, step: 31, tokens: 3100, loss: null, gradient_norm: 99, reason: HOSTILE });
    const source = { loss: 1, bits_per_byte: 0.7, targets: 1, bytes: 1 };
    history.add({ type: 'held-out', stage: HOSTILE, step: 31, tokens: 3100, loss: 1, bits_per_byte: 0.7, sources: { [HOSTILE]: source, other: source } });
    history.add({ type: 'scores', stage: HOSTILE, step: 31, tokens: 3100, items: 9, loss: 1, scores: { accuracy: 0.5, [HOSTILE]: 3 } });
    history.add({ type: 'sample', stage: HOSTILE, step: 31, prompt: HOSTILE, text: HOSTILE });
    const manifest = {
      tokenizer: { sha256: '', vocabSize: 1 }, heldOut: 0.1, screened: { nearDuplicates: { threshold: 0.8 }, maskedKinds: ['e_mail'], decontamination: null }, sources: [{
        name: HOSTILE, licence: HOSTILE, attribution: HOSTILE, files: [], ignored: 0, counts: { read: 1, kept: 1, dropped: { [HOSTILE]: 2 }, changed: {}, cut: 0 },
        splits: { train: { documents: 1, tokens: 1 }, 'held-out': { documents: 0, tokens: 0 } },
      }],
    } as unknown as Manifest;
    const html = runReport(report(history, {
      name: HOSTILE, title: HOSTILE, description: HOSTILE, message: HOSTILE, recipe: HOSTILE, manifest, environment: [[HOSTILE, HOSTILE]],
      passes: new Map([[HOSTILE, { [HOSTILE]: 1 }]]), stages: [{ name: HOSTILE, kind: 'pretrain', steps: 40, batchTokens: 1, seconds: null, clip: 1 }],
      derived: { model: [{ what: HOSTILE, value: HOSTILE, why: HOSTILE }], stages: {} },
    }));
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html).not.toMatch(/<img|<!--/);
    expect(html.match(/onerror=/g)?.length).toBeGreaterThan(10); // There as text.
    expect(unbalanced(html)).toBe(null);
    const data = /<script type="application\/json" id="report-data">(.*?)<\/script>/.exec(html)?.[1] ?? '';
    expect(JSON.parse(data)).toMatchObject({ stages: [{ name: HOSTILE }] });
    expect(html).toContain('step 31 left out');
    expect(html).toContain('Near-duplicates above a similarity of 0.8 are dropped. Masked: e mail.');
    expect(html).toMatch(/<h3>Held-out items <span class="unit">share right/);
  });

  test('a run of 200,000 steps with ten sources is under 600 kB', () => {
    const history = new RunHistory();
    for (let i = 1; i <= 200_000; i++) history.add(step('a', i, 3 + Math.sin(i)));
    const sources = Object.fromEntries(Array.from({ length: 10 }, (_, k) => [`source-${k}`, { loss: 1, bits_per_byte: 1 + k / 10, targets: 1, bytes: 1 }]));
    for (let i = 1; i <= 1000; i++) history.add({ type: 'held-out', stage: 'a', step: i * 200, tokens: 1, loss: 1, bits_per_byte: 1, sources });
    const html = runReport(report(history));
    expect(html.length).toBeLessThan(600_000);
  });

  test('asks nothing of a network, and loads itself again only while the run goes on', () => {
    const history = new RunHistory();
    history.add(step('a', 1));
    const ended = runReport(report(history));
    expect(ended).not.toMatch(/https?:\/\/|<link|@import|url\(/);
    expect(ended).toContain("default-src 'none'");
    expect(ended).toContain('"refresh":0');
    expect(ended).not.toContain('http-equiv="refresh"');
    const running = runReport(report(history, { state: 'running', refresh: 5, left: { stage: 10, run: 100 } }));
    expect(running).toContain('"refresh":5');
    expect(running).toContain('running, about 1 min 40 s left');
  });
});

describe('of a real run', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-report-'));
    for (const [name, text] of Object.entries(tinyData())) writeFileSync(join(folder, name), text);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the file is there at the end, says what was measured, and made again from what the run left it says the same', async () => {
    const recipe = parseRecipe(TINY_RECIPE);
    await using backend = await createBackend({ backend: 'reference' });
    const output = join(folder, 'run');
    const events: TrainEvent[] = [];
    await run({ recipe, folder, text: TINY_RECIPE, output, backend, onEvent: (event) => void events.push(event) });
    const path = join(output, 'report.html');
    const live = readFileSync(path, 'utf8');
    expect(live).toContain('>finished</span>');
    expect(unbalanced(live)).toBe(null);
    const last = events.findLast((event) => event.type === 'held-out');
    expect(live).toContain(last?.bits_per_byte.toFixed(3));
    for (const text of ['1 read', '2 talk', '8 steps', '6 steps', 'texts', 'chats', 'vocab_size: 280', backend.description, process.versions.node]) expect(live).toContain(text);
    expect(await writeRunReport(output)).toBe(path);
    const charts = (html: string): string | undefined => /<h2>Learning<\/h2>[\s\S]*<h2>Data/.exec(html)?.[0];
    const again = readFileSync(path, 'utf8');
    expect(charts(again)).toBe(charts(live));
    expect(again).toContain('>finished</span>');
    const starts = readFileSync(join(output, 'starts.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { type: string });
    expect(starts.map(({ type }) => type)).toEqual(['start', 'end']);
  }, 120_000);

  test('a run that fails says so and why; one that is stopped says stopped', async () => {
    const recipe = parseRecipe(TINY_RECIPE.replaceAll(/learning_rate: [\d.]+/g, 'learning_rate: 1e30'));
    await using backend = await createBackend({ backend: 'reference' });
    const output = join(folder, 'failing');
    await expect(run({ recipe, folder, output, backend })).rejects.toThrow(/diverged/);
    const failed = readFileSync(join(output, 'report.html'), 'utf8');
    expect(failed).toContain('>failed</span>');
    expect(failed).toMatch(/class="message">stage &#34;read&#34; diverged/);
    const stop = new AbortController();
    const stopped = await run({
      recipe: parseRecipe(TINY_RECIPE), folder, output: join(folder, 'stopped'), backend, signal: stop.signal, onEvent: ({ type }) => type === 'step' && stop.abort(),
    });
    expect(stopped.ended).toBe('aborted');
    expect(readFileSync(join(folder, 'stopped', 'report.html'), 'utf8')).toContain('>stopped</span>');
  }, 120_000);

  test('of a folder that holds no run nothing is made', async () => {
    await expect(writeRunReport(folder)).rejects.toThrow(/holds no metrics\.jsonl: give the folder of a run/);
  });
});
