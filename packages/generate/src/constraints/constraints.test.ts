import { Random } from '@parley/engine';
import { type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, test } from 'vitest';
import { compileConstraint, type Constraint, type ConstraintSpec, type ConstraintState } from './constraint.ts';
import { ConstraintError } from './errors.ts';
import { Grammar, type Position } from './grammar.ts';
import { integerWithin, numberWithin } from './numbers.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const text = ['{"name": "Zoë", "age": 41, "tags": ["a", "b"], "open": true}', '{"city":"北京","temperature":-3.5e2,"next":null}', 'yes no maybe 2024-05-17'];
  tokenizer = await trainTokenizer(Array.from({ length: 8 }, () => text).flat(), { vocabSize: 340, specialTokens: ['<end>'], pattern: 'gpt4' });
});

const END = (): number => tokenizer.tokenToId('<end>') ?? -1;
const compiled = new Map<ConstraintSpec, Constraint>();
function compile(spec: ConstraintSpec): Constraint {
  const constraint = compiled.get(spec) ?? compileConstraint(spec, tokenizer, { ending: [END()] });
  compiled.set(spec, constraint);
  return constraint;
}

function feed(state: ConstraintState, text: string): void {
  for (const token of tokenizer.encode(text)) {
    const logits = new Float32Array(tokenizer.vocabSize);
    state.allow(logits);
    if (logits[token] === -Infinity) throw new ConstraintError(`forbidden: ${tokenizer.decode([token])}`);
    state.accept(token);
  }
}

/** Whether a text is one of those the constraint allows, token by token, its end included. */
function allows(spec: ConstraintSpec, text: string): boolean {
  const state = compile(spec).start();
  try {
    feed(state, text);
  } catch (error) {
    if (error instanceof ConstraintError) return false;
    throw error;
  }
  const logits = new Float32Array(tokenizer.vocabSize);
  state.allow(logits);
  expect(logits[END()] === 0).toBe(state.complete);
  return state.complete;
}

/** A text drawn at random among those allowed: after `patience` tokens it ends as soon as it may. */
function draw(spec: ConstraintSpec, seed: number, patience = 60): string {
  const random = new Random(seed);
  const state = compile(spec).start();
  const tokens: number[] = [];
  for (let step = 0; step < 3000; step++) {
    const logits = new Float32Array(tokenizer.vocabSize);
    state.allow(logits);
    const free = [...logits.keys()].filter((token) => logits[token] !== -Infinity);
    if (free.length === 0) throw new Error(`no token is allowed after ${JSON.stringify(tokenizer.decode(tokens))}`);
    if (free.includes(END()) && (free.length === 1 || step >= patience || random.uniform() < 0.2)) return tokenizer.decode(tokens);
    // Late, brackets and quotes are preferred, so that what is open gets closed.
    const closing = step < patience ? [] : free.filter((token) => /^["\]}]+$/.test(tokenizer.decode([token])));
    const among = closing.length > 0 && random.uniform() < 0.7 ? closing : free.filter((token) => token !== END());
    const token = among[random.below(among.length)] ?? 0;
    state.accept(token);
    tokens.push(token);
  }
  throw new Error(`no end in 3,000 tokens: ${tokenizer.decode(tokens).slice(0, 200)}`);
}

/** What the other validator takes the formats for. */
const formats = { date: /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/ };

const SCHEMAS: Readonly<Record<string, { schema: Record<string, unknown>; good: unknown[]; bad: unknown[] }>> = {
  person: {
    schema: {
      type: 'object', required: ['name', 'age'], additionalProperties: false,
      properties: { name: { type: 'string', minLength: 1, maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 130 }, email: { type: ['string', 'null'] }, tags: { type: 'array', items: { enum: ['a', 'b', 3] }, minItems: 1, maxItems: 3 } },
    },
    good: [{ name: 'Zoë', age: 0 }, { name: 'a"b\\', age: 130, email: null }, { name: '北京', age: 99, tags: ['a', 3] }],
    bad: [{ name: '', age: 1 }, { name: 'x' }, { name: 'x', age: 131 }, { name: 'x', age: -1 }, { name: 'x', age: 1, other: 1 }, { name: 'x', age: 1, tags: [] }, { name: 'x', age: 1.5 }, { name: 'thirteen char', age: 1 }],
  },
  tree: {
    schema: { $ref: '#/$defs/node', $defs: { node: { type: 'object', required: ['value'], additionalProperties: false, properties: { value: { type: 'number' }, children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 2 } } } } },
    good: [{ value: 1 }, { value: -0.5, children: [{ value: 1e3 }, { value: 2, children: [] }] }],
    bad: [{ children: [] }, { value: 1, children: [1] }, { value: 1, children: [{}, {}] }],
  },
  open: {
    schema: { type: 'object', properties: { kind: { const: 'x' } }, required: ['kind'], additionalProperties: { type: 'integer' } },
    good: [{ kind: 'x' }, { kind: 'x', kin: 1, kinder: 2 }, { kind: 'x', '': 7 }],
    bad: [{ kin: 1 }, { kind: 'y' }, { kind: 'x', a: 'b' }],
  },
  union: {
    schema: { anyOf: [{ type: 'string', pattern: '^[a-z]{2}-\\d+$' }, { type: 'array', prefixItems: [{ type: 'boolean' }, { type: 'null' }], items: false, minItems: 1 }, { type: 'object', additionalProperties: false }] },
    good: ['ab-1', 'zz-0042', [true], [false, null], {}],
    bad: ['ab-', 'AB-1', 'xab-1', [], [true, null, 1], { a: 1 }, null],
  },
  merged: {
    schema: { allOf: [{ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }, { properties: { b: { type: 'string', format: 'date' } }, required: ['b'] }] },
    good: [{ a: 1, b: '2024-05-17' }],
    bad: [{ a: 1 }, { a: 1, b: '2024-13-17' }, { a: 'x', b: '2024-05-17' }],
  },
  anything: { schema: {}, good: [1, 'a', null, [1, { a: [] }], { b: true }], bad: [] },
};

for (const [name, { schema, good, bad }] of Object.entries(SCHEMAS)) {
  test(`schema "${name}": valid values pass, compact and indented; invalid ones do not, as another validator finds`, () => {
    const validate = new Ajv2020({ strict: false, formats }).compile(schema);
    const spec: ConstraintSpec = { type: 'json_schema', schema };
    for (const value of good) {
      expect(validate(value), JSON.stringify(value)).toBe(true);
      for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) expect(allows(spec, text), text).toBe(true);
    }
    for (const value of bad) expect([validate(value), allows(spec, JSON.stringify(value))], JSON.stringify(value)).toEqual([false, false]);
  });

  test(`schema "${name}": 40 texts drawn at random are JSON that another validator accepts`, () => {
    const validate = new Ajv2020({ strict: false, formats }).compile(schema);
    const spec: ConstraintSpec = { type: 'json_schema', schema };
    for (let seed = 1; seed <= 40; seed++) {
      const text = draw(spec, seed);
      expect(validate(JSON.parse(text)), `seed ${seed}: ${text}`).toBe(true);
    }
  });
}

test('json is one object, whatever is in it; 40 drawn at random parse', () => {
  const spec = { type: 'json' } as const;
  for (const text of ['{}', '{"a": [1, -2.5e3, "x\\n\\u00e9", {"b": null}]}', '{\n  "a": true\n}']) expect(allows(spec, text), text).toBe(true);
  for (const text of ['', '[]', '"a"', '{"a"}', '{"a": 01}', '{"a": 1,}', '{} x', '{"a\n": 1}']) expect(allows(spec, text), text).toBe(false);
  for (let seed = 1; seed <= 40; seed++) expect(JSON.parse(draw(spec, seed, 30))).toBeTypeOf('object');
});

test.each([
  ['\\d{3}-\\d{4}', ['555-1234'], ['555-123', '5555-1234', 'a55-1234']],
  ['(yes|no)( please)?', ['yes', 'no please'], ['maybe', 'yesno', '']],
  ['[^a-c\\s]+', ['xyz', '北京', 'é😀'], ['a', 'x y', '']],
  ['(?:ab)*c?', ['', 'ab', 'ababc', 'c'], ['a', 'cc']],
  ['.\\u00e9\\x41\\n', ['xéA\n', '京éA\n'], ['\néA\n']],
] as const)('pattern %s is what JavaScript takes it for', (pattern, good, bad) => {
  const whole = new RegExp(`^(?:${pattern})$`, 'u');
  const spec: ConstraintSpec = { type: 'regex', pattern };
  for (const text of good) expect([whole.test(text), allows(spec, text)], text).toEqual([true, true]);
  for (const text of bad) expect([whole.test(text), allows(spec, text)], text).toEqual([false, false]);
  for (let seed = 1; seed <= 20; seed++) expect(draw(spec, seed, 8)).toMatch(whole);
});

test('a choice is one of its texts and nothing else', () => {
  const spec = { type: 'choice', choices: ['positive', 'negative', '正面'] } as const;
  expect(new Set(Array.from({ length: 60 }, (_, seed) => draw(spec, seed)))).toEqual(new Set(spec.choices));
});

const accepts = (start: Position, text: string): boolean => {
  let at: Position | null = start;
  for (const byte of new TextEncoder().encode(text)) at = at?.next(byte) ?? null;
  return at?.complete === true;
};

test('whole numbers and numbers within bounds: 3,000 random cases against comparison', () => {
  const random = new Random(5);
  const number = (): number => Math.floor((random.uniform() - 0.4) * 10 ** (1 + random.below(4)));
  for (let i = 0; i < 150; i++) {
    const [a, b] = [number(), number()];
    const [low, high] = [Math.min(a, b), Math.max(a, b) + 1];
    const exclusive = random.uniform() < 0.3;
    const bounds = exclusive ? { exclusiveMinimum: low - 1, exclusiveMaximum: high + 1 } : { minimum: low, maximum: high };
    const whole = new Grammar(integerWithin(bounds)).start;
    const real = new Grammar(numberWithin(bounds)).start;
    const [from, to] = exclusive ? [low - 1, high + 1] : [low, high];
    for (const value of [low, high, low - 1, high + 1, ...Array.from({ length: 8 }, () => low + Math.floor(random.uniform() * (high - low + 1)))]) {
      expect(accepts(whole, String(value)), `${value} in ${JSON.stringify(bounds)}`).toBe(value >= low && value <= high);
      for (const near of [value, value + 0.25, value - 0.5]) {
        const inside = exclusive ? near > from && near < to : near >= from && near <= to;
        expect(accepts(real, String(near)), `${near} in ${JSON.stringify(bounds)}`).toBe(inside);
      }
    }
  }
});

test('a text that ends in the middle of a character, or of a token, goes on from there', () => {
  const state = compile({ type: 'choice', choices: ['京都'] }).start();
  const first = [...new TextEncoder().encode('京')][0] ?? 0;
  const token = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).find((id) => id !== END() && tokenizer.tokenBytes(id).length === 1 && tokenizer.tokenBytes(id)[0] === first) ?? 0;
  const clone = state.clone();
  state.accept(token);
  expect(state.complete).toBe(false);
  feed(clone, '京都');
  expect([state.complete, clone.complete]).toEqual([false, true]);
  expect(() => clone.accept(token)).toThrow('not allowed here');
});

test.each([
  [{ not: {} }, 'at #: "not" cannot be enforced'],
  [{ type: 'object', properties: { a: { type: 'text' } } }, 'at #/properties/a: the type "text" is not known'],
  [{ type: 'array', items: { multipleOf: 2 } }, 'at #/items: "multipleOf" cannot be enforced'],
  [{ $ref: 'https://example.com/x' }, 'references within the schema'],
  [{ $ref: '#/$defs/none' }, 'there is nothing there'],
  [{ type: 'string', pattern: '(?=a)b' }, 'look-around'],
  [{ type: 'string', pattern: '(a)\\1' }, '\\1'],
  [{ type: 'integer', minimum: 3, maximum: 2 }, 'no whole number from 3 to 2'],
  [{ type: 'string', maxLength: 1_000_000 }, 'over 200,000 states'],
  [{ allOf: [{ $ref: '#' }] }, 'refer to themselves'],
  [{ allOf: [{ properties: { a: {} }, additionalProperties: false }, { properties: { b: {} } }] }, 'another has "b"'],
  [{ type: 'object', required: ['a'], additionalProperties: false }, '"a" is required'],
])('%j is refused, naming the place and the reason', (schema, message) => {
  expect(() => compile({ type: 'json_schema', schema })).toThrow(ConstraintError);
  expect(() => compile({ type: 'json_schema', schema })).toThrow(message);
});
