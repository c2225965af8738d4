import { expect, test } from 'vitest';
import { lossCurve } from './chart.ts';
import type { Metrics } from './metrics.ts';

const step = (stage: string, index: number): Metrics => ({
  type: 'step', stage, step: index, tokens: index * 100, loss: 5 / index, learning_rate: 1e-3, gradient_norm: 1,
  timing: { ms: 1, tokens_per_second: 1, peak_share: 0.5 },
});

test('the picture is well-formed, has a line for each stage\'s losses, and a border between stages', () => {
  const metrics = [...Array.from({ length: 30 }, (_, i) => step('a<b', i + 1)), ...Array.from({ length: 10 }, (_, i) => step('chat', i + 1))];
  const svg = lossCurve([...metrics, { type: 'held-out', stage: 'chat', step: 10, tokens: 1000, loss: 1, bits_per_byte: 0.7, sources: {} }], 'A & B');
  expect(svg).toContain('A &#38; B');
  expect(svg).not.toContain('NaN');
  expect(svg).toContain('stroke-dasharray');
  const open = [...svg.matchAll(/<(\w+)/g)].length;
  expect([...svg.matchAll(/\/>|<\//g)]).toHaveLength(open);
});

test('no metrics and a single value give a picture too', () => {
  expect(lossCurve([], 'empty')).toContain('</svg>');
  expect(lossCurve([step('a', 1)], 'one')).not.toMatch(/NaN|Infinity/);
});
