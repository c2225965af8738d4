import { Random } from '@parley/engine';
import { type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, test } from 'vitest';
import { compileConstraint, type Constraint, type ConstraintState } from './constraint.ts';
import { ConstraintError } from './errors.ts';
import type { TagsSpec } from './tags.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const text = ['<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>', 'It is <b>sunny</b>, I call it <tool', '[CALLS][{"name": "add", "arguments": {"a": 1}}]'];
  tokenizer = await trainTokenizer(Array.from({ length: 8 }, () => text).flat(), { vocabSize: 360, specialTokens: ['<end>', '[CALLS]', '<think>'], pattern: 'gpt4' });
});
const id = (token: string): number => tokenizer.tokenToId(token) ?? -1;

const weather = { type: 'object', properties: { city: { type: 'string', pattern: '^[a-z北京]{1,6}$' }, unit: { enum: ['C', 'F'] } }, required: ['city'], additionalProperties: false };
const add = { type: 'object', properties: { a: { $ref: '#/$defs/number' }, b: { $ref: '#/$defs/number' } }, required: ['a', 'b'], additionalProperties: false, $defs: { number: { type: 'integer', minimum: -9, maximum: 99 } } };
// The same names inside: each schema's rules are its own.
const other = { type: 'object', properties: { a: { $ref: '#/$defs/number' } }, required: ['a'], additionalProperties: false, $defs: { number: { enum: ['one'] } } };
const schemas = { weather, add, other } as const;

const spec: TagsSpec = {
  type: 'tags', trigger: '<tool_call>', at: 'anywhere', open: '', separator: '\n', close: '', least: 0, most: 3,
  tags: Object.entries(schemas).map(([name, schema]) => ({ name, begin: `<tool_call>\n{"name": "${name}", "arguments": `, schema, end: '}\n</tool_call>' })),
};
const atStart: TagsSpec = { ...spec, trigger: '{"name"', at: 'start', most: 1, tags: spec.tags.map((tag) => ({ ...tag, begin: `{"name": "${tag.name}", "parameters": `, end: '}' })) };
const listed: TagsSpec = { ...spec, trigger: '[CALLS]', open: '[CALLS][', separator: ', ', close: ']', tags: spec.tags.map((tag) => ({ ...tag, begin: `{"name": "${tag.name}", "arguments": `, end: '}' })) };

const compiled = new Map<object, Constraint>();
function start(of: TagsSpec): ConstraintState {
  const constraint = compiled.get(of) ?? compileConstraint(of, tokenizer, { ending: [id('<end>')] });
  compiled.set(of, constraint);
  return constraint.start();
}
const free = (state: ConstraintState): number[] => {
  const logits = new Float32Array(tokenizer.vocabSize);
  state.allow(logits);
  return [...logits.keys()].filter((token) => logits[token] !== -Infinity);
};

/** Feeds tokens; where it had to stop, the state there. */
function feed(of: TagsSpec, tokens: readonly number[]): { state: ConstraintState; fed: number } {
  const state = start(of);
  for (const [i, token] of tokens.entries()) {
    if (!free(state).includes(token)) return { state, fed: i };
    state.accept(token);
  }
  return { state, fed: tokens.length };
}
const allows = (of: TagsSpec, text: string, special: 'text' | 'parse' = 'text'): boolean => {
  const tokens = tokenizer.encode(text, { addSpecialTokens: false, special });
  const { state, fed } = feed(of, tokens);
  return fed === tokens.length && state.complete;
};

const CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": -2}}\n</tool_call>';

test.each([
  ['any text', 'It is <b>sunny</b>. {"name": 1} 北京 <tool_cal', true],
  ['a call', CALL, true],
  ['text, then two calls', `Let me see.\n${CALL}\n${CALL}`, true],
  ['what looks like the beginning before it', `<tool_<tool_call${CALL}`, true],
  ['a call of nothing known', CALL.replace('add', 'sub'), false],
  ['arguments of another function', CALL.replace('add', 'weather'), false],
  ['a call without its end', CALL.slice(0, -3), false],
  ['text after a call', `${CALL} there`, false],
  ['a trigger alone', 'then <tool_call>', false],
])('%s', (_, text, allowed) => {
  expect(allows(spec, text)).toBe(allowed);
});

test('with least 1 the answer is calls from its first token; there are no more of them than most', () => {
  const must: TagsSpec = { ...spec, least: 1, most: 1 };
  expect(free(start(must)).every((token) => '<tool_call>\n'.startsWith(tokenizer.decode([token])))).toBe(true);
  expect([allows(must, CALL), allows(must, `x${CALL}`), allows(must, `${CALL}\n${CALL}`), allows(must, '')]).toEqual([true, false, false, false]);
  expect([1, 2, 3, 4].map((count) => allows(spec, Array.from({ length: count }, () => CALL).join('\n')))).toEqual([true, true, true, false]);
});

test('calls that are the whole answer or none of it', () => {
  const call = '{"name": "other", "parameters": {"a": "one"}}';
  for (const [text, allowed] of [[call, true], ['Well: ' + call, true], ['{"name', true], ['{"named": 1}', true], ['', true], ['{"name": "x"', false], [call + ' ', false], ['{"name"}', false]] as const) {
    expect(allows(atStart, text), text).toBe(allowed);
  }
});

test('a trigger that is a special token may be that token or its letters; other special tokens are text', () => {
  const call = '[CALLS][{"name": "other", "arguments": {"a": "one"}}, {"name": "other", "arguments": {"a": "one"}}]';
  for (const special of ['parse', 'text'] as const) {
    expect(allows(listed, call, special)).toBe(true);
    expect(allows(listed, `<think>no</think> yes${call}`, special)).toBe(true);
    expect(allows(listed, call.slice(0, -1), special)).toBe(false);
    expect(allows({ ...listed, least: 1 }, call, special)).toBe(true);
  }
  const opened = feed(listed, [id('[CALLS]')]).state;
  expect(free(opened).includes(id('<think>'))).toBe(false);
  expect(feed(atStart, [id('[CALLS]'), ...tokenizer.encode('{"name"!')]).state.complete).toBe(true);
});

test('free text is not narrowed: every token that is some text may follow, and the end; inside tags stop strings do not count', () => {
  const state = start(spec);
  const nothing = Array.from({ length: tokenizer.vocabSize }, (_, token) => token).filter((token) => tokenizer.tokenBytes(token).length === 0);
  for (const text of ['', 'Hello', ' <tool']) {
    for (const token of tokenizer.encode(text)) state.accept(token);
    expect(free(state)).toHaveLength(tokenizer.vocabSize - nothing.length);
    expect([state.complete, state.tagged]).toEqual([true, false]);
  }
  for (const token of tokenizer.encode('_call>')) state.accept(token);
  expect([state.complete, state.tagged]).toEqual([false, true]);
});

test('an answer in JSON, or calls', () => {
  const either: TagsSpec = { ...spec, text: { type: 'json_schema', schema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false } } };
  expect([allows(either, '{"ok": true}'), allows(either, CALL), allows(either, 'text'), allows(either, `{"ok": true}${CALL}`)]).toEqual([true, true, false, false]);
  expect(start(either).tagged).toBe(false);
});

test('60 drawn at random from each form: every call names a function and has arguments of its schema', () => {
  const validators = new Map(Object.entries(schemas).map(([name, schema]) => [name, new Ajv2020().compile(schema)]));
  let calls = 0;
  for (const of of [spec, atStart, listed]) {
    const must: TagsSpec = { ...of, least: 1 };
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const state = start(must);
      const tokens: number[] = [];
      for (let step = 0; ; step++) {
        const choices = free(state);
        if (choices.includes(id('<end>')) && (choices.length === 1 || random.uniform() < 0.5 || step > 200)) break;
        const rest = choices.filter((token) => token !== id('<end>'));
        const token = rest[random.below(rest.length)] ?? 0;
        state.accept(token);
        tokens.push(token);
        expect(step).toBeLessThan(600);
      }
      const text = tokenizer.decode(tokens);
      const found = [...text.matchAll(/"name": "(\w+)", "(?:arguments|parameters)": (\{[^}]*\})/g)];
      expect(found.length, text).toBeGreaterThan(0);
      for (const [, name = '', json = ''] of found) {
        expect(validators.get(name)?.(JSON.parse(json)), `seed ${seed}: ${text}`).toBe(true);
        calls++;
      }
    }
  }
  expect(calls).toBeGreaterThan(180);
});

test('what cannot be is refused by name', () => {
  const compile = (of: TagsSpec) => () => compileConstraint(of, tokenizer, { ending: [id('<end>')] });
  expect(compile({ ...spec, tags: [] })).toThrow('no tags to choose from');
  expect(compile({ ...spec, trigger: '<call>' })).toThrow('does not begin with the trigger "<call>"');
  const bad = { name: 'the function sub', begin: '<tool_call>', schema: { type: 'object', properties: { a: { multipleOf: 2 } } }, end: '' };
  expect(compile({ ...spec, tags: [bad] })).toThrow(ConstraintError);
  expect(compile({ ...spec, tags: [bad] })).toThrow('the function sub: the JSON schema at #/properties/a: "multipleOf" cannot be enforced');
});
