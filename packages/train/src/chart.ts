/**
 * What every chart here needs (extremes, round ticks, their labels), and metrics.jsonl as one picture: training and held-out
 * loss over the steps, bits per byte and learning rate below. SVG, no library. The report's charts are in report-chart.ts.
 */
import type { Metrics } from './metrics.ts';
import { smoothed } from './report-curve.ts';

export interface Point { readonly x: number; readonly y: number }
interface Line { readonly name: string; readonly points: readonly Point[]; readonly colour: string; readonly width: number; readonly dots?: boolean }
interface Panel { readonly title: string; readonly top: number; readonly height: number; readonly lines: readonly Line[]; readonly zero?: boolean }

const WIDTH = 860;
const LEFT = 64;
const RIGHT = 24;

/** An SVG document. `title` stands above it. Stages follow each other on the x axis, a dashed line between them. */
export function lossCurve(metrics: readonly Metrics[], title: string): string {
  const stages = [...new Set(metrics.map((line) => line.stage))];
  const lengths = stages.map((stage) => Math.max(0, ...metrics.filter((line) => line.stage === stage).map((line) => line.step)));
  const offset = new Map(stages.map((stage, index) => [stage, lengths.slice(0, index).reduce((sum, length) => sum + length, 0)]));
  const x = (line: Metrics): number => (offset.get(line.stage) ?? 0) + line.step;
  const steps = metrics.filter((line) => line.type === 'step');
  const heldOut = metrics.filter((line) => line.type === 'held-out');
  const raw = steps.map((line) => ({ x: x(line), y: line.loss }));
  const panels: Panel[] = [
    { title: 'loss, nats per token', top: 56, height: 300, lines: [
      { name: 'training, each step', points: raw, colour: '#b9cbe6', width: 1 },
      { name: 'training, smoothed', points: smoothed(steps.map((line) => ({ x: x(line), mean: line.loss, count: 1, stage: stages.indexOf(line.stage) }))), colour: '#2f5fa8', width: 2 },
      { name: 'held-out', points: heldOut.map((line) => ({ x: x(line), y: line.loss })), colour: '#c2521b', width: 1.5, dots: true },
    ] },
    { title: 'held-out, bits per byte', top: 410, height: 130, lines: [
      { name: '', points: heldOut.map((line) => ({ x: x(line), y: line.bits_per_byte })), colour: '#c2521b', width: 1.5, dots: true },
    ] },
    { title: 'learning rate', top: 594, height: 80, zero: true, lines: [
      { name: '', points: steps.map((line) => ({ x: x(line), y: line.learning_rate })), colour: '#4a7d4f', width: 1.5 },
    ] },
  ];
  const total = Math.max(1, lengths.reduce((sum, length) => sum + length, 0));
  const toX = (value: number): number => LEFT + (value / total) * (WIDTH - LEFT - RIGHT);
  const parts = panels.filter((panel) => panel.lines.some((line) => line.points.length > 0)).map((panel) => drawPanel(panel, toX, total));
  const borders = stages.slice(1).map((stage) => {
    const at = toX(offset.get(stage) ?? 0).toFixed(1);
    return `<path d="M${at} 56V674" stroke="#888" stroke-dasharray="4 4"/><text x="${Number(at) + 5}" y="348" fill="#555">${escape(stage)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} 724" width="${WIDTH}" height="724" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="724" fill="#fff"/>`,
    `<text x="${LEFT}" y="26" font-size="16" fill="#222">${escape(title)}</text>`,
    ...parts, ...borders,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="714" text-anchor="middle" fill="#555">step</text>`,
    '</svg>', '',
  ].join('\n');
}

function drawPanel(panel: Panel, toX: (x: number) => number, total: number): string {
  const values = panel.lines.flatMap((line) => line.points.map((point) => point.y)).filter(Number.isFinite);
  let low = panel.zero === true ? 0 : Math.min(...extremes(values));
  let high = Math.max(...extremes(values));
  if (high === low) high = low + (Math.abs(low) || 1) * 0.1;
  const ticks = niceTicks(low, high, panel.height > 200 ? 6 : 3);
  low = Math.min(low, ticks[0] ?? low);
  high = Math.max(high, ticks.at(-1) ?? high);
  const toY = (y: number): number => panel.top + panel.height * (1 - (y - low) / (high - low));
  const grid = ticks.map((tick) => {
    const y = toY(tick).toFixed(1);
    return `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}" stroke="#e6e6e6"/><text x="${LEFT - 8}" y="${Number(y) + 4}" text-anchor="end" fill="#555">${label(tick)}</text>`;
  });
  const bottom = panel.top + panel.height;
  const columns = niceTicks(0, total, 8).filter((tick) => tick <= total).map((tick) => {
    const x = toX(tick).toFixed(1);
    return `<path d="M${x} ${bottom}v5" stroke="#999"/><text x="${x}" y="${bottom + 18}" text-anchor="middle" fill="#555">${label(tick)}</text>`;
  });
  const lines = panel.lines.filter((line) => line.points.length > 0).map((line) => {
    const path = thin(line.points).map((point, i) => `${i === 0 ? 'M' : 'L'}${toX(point.x).toFixed(1)} ${toY(point.y).toFixed(1)}`).join('');
    const dots = line.dots === true
      ? line.points.map((point) => `<circle cx="${toX(point.x).toFixed(1)}" cy="${toY(point.y).toFixed(1)}" r="2.5" fill="${line.colour}"/>`).join('')
      : '';
    return `<path d="${path}" fill="none" stroke="${line.colour}" stroke-width="${line.width}"/>${dots}`;
  });
  const legend = panel.lines.filter((line) => line.name !== '' && line.points.length > 0).map((line, i) => {
    const y = panel.top + 16 + i * 17;
    return `<path d="M${WIDTH - 190} ${y - 4}h22" stroke="${line.colour}" stroke-width="2.5"/><text x="${WIDTH - 160}" y="${y}" fill="#333">${escape(line.name)}</text>`;
  });
  return [
    `<text x="${LEFT}" y="${panel.top - 8}" fill="#333">${escape(panel.title)}</text>`, ...grid, ...columns,
    `<path d="M${LEFT} ${panel.top}V${bottom}H${WIDTH - RIGHT}" fill="none" stroke="#999"/>`, ...lines, ...legend,
  ].join('\n');
}

/** At most about 1,500 points: more cannot be seen at this width. */
function thin(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / 1500);
  return every <= 1 ? points : points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

/** Lowest and highest; 0 and 1 of nothing. */
export function extremes(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return values.length === 0 ? [0, 1] : [low, high];
}

/** Round numbers from `low` to `high`, about `count` of them. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = scale * ([1, 2, 2.5, 5, 10].find((factor) => factor * scale >= rough) ?? 10);
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Ticks of a logarithmic axis within [low, high], both above 0: powers of ten, with 2 and 5 between where those are few. */
export function logTicks(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const factors = high <= 100 * low ? [1, 2, 5] : [1];
  const every = Math.ceil((to - from) / 6);
  return Array.from({ length: to - from + 1 }, (_, i) => i).filter((i) => i % every === 0)
    .flatMap((i) => factors.map((factor) => Number((factor * 10 ** (from + i)).toPrecision(3))))
    .filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

/** Made once: making one takes as long as a hundred numbers. */
const FOUR_DIGITS = new Intl.NumberFormat('en', { maximumFractionDigits: 4 });

/** 0.0004 → "4e-4", 1200 → "1,200". */
export function label(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  return size < 0.001 ? value.toExponential().replace(/\.(\d\d)\d+/, '.$1') : FOUR_DIGITS.format(value);
}

/** For text and for attributes, in SVG and in HTML. */
export const escape = (text: string): string => text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
