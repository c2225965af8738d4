import { callFormOf } from '@parley/tokenizer';
import { describe, expect, test } from 'vitest';
import { TEMPLATES } from '../testing/forms.ts';
import { CallParser, type Piece } from './call-parser.ts';

const NAMES = ['add', 'weather', 'add_all'];

/** Adjacent pieces of one kind as one. */
function joined(pieces: readonly Piece[]): Piece[] {
  const whole: Piece[] = [];
  for (const piece of pieces) {
    const last = whole.at(-1);
    if (last !== undefined && last.type !== 'call' && piece.type === last.type) whole[whole.length - 1] = { ...last, text: last.text + piece.text };
    else whole.push(piece);
  }
  return whole;
}

/** A generator of whole numbers under a bound (Lehmer). */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => (state = (state * 48271) % 0x7fffffff) % bound;
}

describe.each(Object.entries(TEMPLATES))('%s', (_, template) => {
  const { form } = callFormOf(`{{ tools }}${template}`);
  const write = (calls: readonly (readonly [string, string])[]): string =>
    form.open + calls.map(([name, json]) => form.begin(name) + json + form.end).join(form.separator) + form.close;
  const calls = [['add_all', '{"a": [1, {"b": "}]\\"<tool_call>[TOOL_CALLS]"}]}'], ['weather', '{}']].slice(0, form.several ? 2 : 1) as [string, string][];
  const before = form.at === 'anywhere' ? 'Let me <tool_ see. [TOOL {"name" \n' : '';
  const expected: Piece[] = [
    ...(before === '' ? [] : [{ type: 'text', text: before.trimEnd() } as const]),
    ...calls.flatMap(([name, text], call): Piece[] => [{ type: 'call', call, name }, { type: 'arguments', call, text }]),
  ];

  test('text and calls come apart the same however the answer is cut, 300 cuts', () => {
    const text = before + write(calls);
    for (let seed = 1; seed <= 300; seed++) {
      const below = numbers(seed);
      const parser = new CallParser(form, NAMES);
      const pieces: Piece[] = [];
      for (let at = 0; at < text.length;) {
        const to = at + 1 + below(seed % 20 + 1);
        pieces.push(...parser.push(text.slice(at, to)));
        at = to;
      }
      pieces.push(...parser.flush());
      expect(joined(pieces), `seed ${seed}`).toEqual(expected);
    }
  });

  test('an answer that is cut off anywhere tells a beginning of the same', () => {
    const text = before + write(calls);
    const told = (pieces: readonly Piece[]): string => joined(pieces).map((piece) => (piece.type === 'call' ? `\u0000${piece.name}\u0001` : piece.text)).join('');
    for (let length = 0; length <= text.length; length++) {
      const parser = new CallParser(form, NAMES);
      const streamed = parser.push(text.slice(0, length));
      expect(told(expected).startsWith(told(streamed)), text.slice(0, length)).toBe(true);
    }
  });

  test('text without calls is all text', () => {
    for (const text of ['', 'Hello.', ' a \n', form.trigger.slice(0, -1), `x ${form.trigger.slice(0, 3)}`]) {
      const parser = new CallParser(form, NAMES);
      expect(joined([...parser.push(text), ...parser.flush()])).toEqual(text === '' ? [] : [{ type: 'text', text }]);
      expect(parser.calls).toBe(0);
    }
  });
});
