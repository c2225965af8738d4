import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { StopMatcher } from './stop-strings.ts';

/** By definition, on the whole text: the first end of any stop string, the longest that ends there. */
function byDefinition(text: string, stops: readonly string[]): { text: string; stopped: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop)).toSorted((a, b) => b.length - a.length)[0];
    if (complete !== undefined) return { text: text.slice(0, end - complete.length), stopped: complete };
  }
  return { text, stopped: null };
}

function inPieces(text: string, stops: readonly string[], random: Random): { text: string; stopped: string | null; pieces: string[] } {
  const matcher = new StopMatcher(stops);
  const pieces: string[] = [];
  let at = 0;
  let stopped: string | null = null;
  while (at < text.length && stopped === null) {
    const length = random.below(5);
    const step = matcher.push(text.slice(at, at + length));
    pieces.push(step.text);
    stopped = step.stopped;
    at += length;
  }
  if (stopped === null) pieces.push(matcher.flush());
  return { text: pieces.join(''), stopped, pieces };
}

const word = (random: Random, alphabet: string, longest: number): string =>
  Array.from({ length: 1 + random.below(longest) }, () => alphabet[random.below(alphabet.length)]).join('');

for (const seed of [1, 2]) {
  test(`whatever the pieces, the text ends where the definition says (seed ${seed}, 3,000 cases)`, () => {
    const random = new Random(seed);
    for (let i = 0; i < 3000; i++) {
      // Two letters and short words make overlaps and stops within stops common.
      const alphabet = seed % 2 === 0 ? 'ab' : 'ab\n🙂';
      const stops = Array.from({ length: 1 + random.below(3) }, () => word(random, alphabet, 4));
      const text = word(random, alphabet, 24);
      const found = inPieces(text, stops, random);
      const wanted = byDefinition(text, stops);
      expect({ text, stops, passed: found.text, stopped: found.stopped }).toEqual({ text, stops, passed: wanted.text, stopped: wanted.stopped });
    }
  });

  test(`what is passed on never holds a stop string, nor a beginning of one that the text completes (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let i = 0; i < 2000; i++) {
      const stops = [word(random, 'ab', 4), word(random, 'abc', 5)];
      const text = word(random, 'abc', 30);
      const { pieces } = inPieces(text, stops, random);
      const passed = pieces.join('');
      const fault = stops.some((stop) => passed.includes(stop)) || !text.startsWith(passed);
      expect({ text, stops, pieces, fault }).toMatchObject({ fault: false });
    }
  });
}

test('text is held back only while it could still become a stop string', () => {
  const matcher = new StopMatcher(['\nUser:']);
  expect(matcher.push('Hello')).toEqual({ text: 'Hello', stopped: null });
  expect(matcher.push(' there\nUs')).toEqual({ text: ' there', stopped: null });
  expect(matcher.push('ually')).toEqual({ text: '\nUsually', stopped: null });
  expect(matcher.push('.\nUser')).toEqual({ text: '.', stopped: null });
  expect(matcher.push(': hi')).toEqual({ text: '', stopped: '\nUser:' });
  expect(matcher.push('more')).toEqual({ text: '', stopped: '\nUser:' });
  expect(matcher.flush()).toBe('');
});

test('without stop strings every piece passes at once', () => {
  const matcher = new StopMatcher([]);
  expect(matcher.push('a')).toEqual({ text: 'a', stopped: null });
  expect(matcher.flush()).toBe('');
});
