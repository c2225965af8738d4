import { expect, test } from 'vitest';
import * as z from 'zod';
import { Random } from '@parley/engine';
import * as s from './schema.ts';

/** The same in our words and in zod's. */
const PAIRS: Readonly<Record<string, readonly [s.Schema<unknown>, z.ZodType]>> = {
  string: [s.string(), z.string()],
  boolean: [s.boolean().default(true), z.boolean().default(true)],
  size: [s.whole(1, 2 ** 31 - 1), z.number().int().positive().max(2 ** 31 - 1)],
  whole: [s.whole(0).nullish(), z.number().int().nonnegative().nullish()],
  'nullish with a default': [s.whole(0).nullish().default(7), z.number().int().nonnegative().nullish().default(7)],
  positive: [s.number({ above: 0 }), z.number().positive()],
  rate: [s.number({ from: 0, below: 1 }).optional(), z.number().min(0).lt(1).optional()],
  words: [s.literal('a', 'b'), z.enum(['a', 'b'])],
  list: [s.array(s.whole(0)), z.array(z.number().int().nonnegative())],
  pair: [s.pair(s.whole(0)), z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()])],
  record: [s.record(s.string()), z.record(z.string(), z.string())],
  either: [s.either(s.whole(0), s.array(s.whole(0)), ''), z.union([z.number().int().nonnegative(), z.array(z.number().int().nonnegative())])],
  object: [
    s.object({ a: s.whole(0).default(3), b: s.string().optional() }),
    z.object({ a: z.number().int().nonnegative().default(3), b: z.string().optional() }),
  ],
  strict: [s.strictObject({ a: s.string().nullish(), b: s.boolean() }), z.strictObject({ a: z.string().nullish(), b: z.boolean() })],
  loose: [s.looseObject({ a: s.whole(0).nullish() }), z.looseObject({ a: z.number().int().nonnegative().nullish() })],
  nested: [s.object({ a: s.object({ b: s.array(s.string()) }) }), z.object({ a: z.object({ b: z.array(z.string()) }) })],
};

const ATOMS: readonly unknown[] = [
  0, 1, -1, 0.5, 2 ** 31, 2 ** 53, Infinity, Number.NaN, -0, '', 'a', 'b', '1', true, false, null, undefined, [], {}, [1, 2], [1, -2], [1, 2, 3],
  ['a'], { a: 1 }, { b: true }, { a: 'x', b: false }, { a: { b: ['a', 'b'] } }, { a: { b: ['a', 1] } }, { a: 1, c: 2 }, { constructor: 'x' }, { a: undefined },
];

function value(random: Random, depth = 0): unknown {
  if (depth > 2 || random.below(3) > 0) return ATOMS[random.below(ATOMS.length)];
  const parts = Array.from({ length: random.below(3) }, () => value(random, depth + 1));
  return random.below(2) === 0 ? parts : Object.fromEntries(parts.map((part) => ['abc'.charAt(random.below(3)), part]));
}

test.each(Object.entries(PAIRS))('%s reads and refuses what zod does', (_, [ours, theirs]) => {
  const random = new Random(1);
  for (const given of [...ATOMS, ...Array.from({ length: 3000 }, () => value(random))]) {
    const mine = ours.safeParse(given);
    const other = theirs.safeParse(given);
    expect({ success: mine.success, data: mine.data }, JSON.stringify(given)).toEqual({ success: other.success, data: other.data });
  }
});

test('an error says what was expected, and where', () => {
  const schema = s.object({ layers: s.array(s.object({ size: s.whole(1, 10) })) });
  const result = schema.safeParse({ layers: [{ size: 1 }, { size: 11 }] });
  expect(result.error?.path).toEqual(['layers', 1, 'size']);
  expect(result.error?.message).toBe('expected a whole number from 1 to 10');
  expect(() => s.strictObject({}).parse({ strange: 1 })).toThrow('expected no such field');
});

test('a field of the prototype is no field', () => {
  expect(s.object({ toString: s.string().default('none') }).parse({})).toEqual({ toString: 'none' });
});
