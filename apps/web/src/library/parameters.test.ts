import { talkParameters } from '@parley/protocol';
import { expect, test } from 'vitest';
import { NUMBERS, readNumber, readStops, soundParameters, STOP_LIMIT, withParameter, writeStops } from './parameters.ts';

const allowed = (name: string, value: unknown): boolean => talkParameters.safeParse({ [name]: value }).success;

test.each(NUMBERS)('$name is read exactly where the server takes it', (spec) => {
  const step = spec.whole === true ? 1 : 1e-6;
  const values = [spec.min - step, spec.min, spec.min + step, 0.5, 1, spec.max, spec.max + step, 1e9, -3, 2.5].filter((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER);
  for (const value of values) {
    const reading = readNumber(spec, value.toFixed(6).replace(/\.?0+$/, ''));
    expect([spec.name, value, reading.fault === undefined]).toEqual([spec.name, value, allowed(spec.name, Number(value.toFixed(6)))]);
  }
});

test('every number that the server takes can be set here', () => {
  const known = [...NUMBERS.map(({ name }) => name), 'system', 'stop'];
  expect(known.toSorted()).toEqual(Object.keys(talkParameters.shape).toSorted());
});

test.each(NUMBERS.filter(({ slider }) => slider !== undefined))('the slider of $name reaches only what is allowed, and its neutral value', ({ name, slider, neutral }) => {
  expect([slider?.min, slider?.max, neutral].every((value) => allowed(name, value))).toBe(true);
  expect(neutral >= (slider?.min ?? 0) && neutral <= (slider?.max ?? 0)).toBe(true);
});

test('numbers are read as people write them, and faults are named', () => {
  const [temperature] = NUMBERS;
  const topK = NUMBERS.find(({ name }) => name === 'top_k');
  if (temperature === undefined || topK === undefined) throw new Error('missing');
  expect(readNumber(temperature, ' 0,7 ')).toEqual({ value: 0.7 });
  expect(readNumber(temperature, '０．７')).toEqual({ value: 0.7 });
  expect(readNumber(temperature, '.5')).toEqual({ value: 0.5 });
  expect(readNumber(temperature, '')).toEqual({});
  expect(readNumber(temperature, 'warm')).toEqual({ fault: 'number' });
  expect(readNumber(temperature, '1e3')).toEqual({ fault: 'number' });
  expect(readNumber(temperature, '2.1')).toEqual({ fault: 'large' });
  expect(readNumber(temperature, '-1')).toEqual({ fault: 'small' });
  expect(readNumber(topK, '1.5')).toEqual({ fault: 'whole' });
});

test('stops survive being written and read, whatever is in them', () => {
  for (const stops of [['\n\n', 'END'], ['\\n', '\t', 'a\\'], ['  spaces ']]) expect(readStops(writeStops(stops))).toEqual(stops);
  expect(readStops('a\n\nb\na')).toEqual(['a', 'b']);
});

test('what was kept is taken over as far as the server would take it', () => {
  const sound = soundParameters({ temperature: 0.5, top_p: 7, top_k: 'x', seed: 1.5, stop: ['a', '', 3, 'b', 'c', 'd', 'e'], system: '  ', unknown: 1 });
  expect(sound).toEqual({ temperature: 0.5, stop: ['a', 'b', 'c', 'd'] });
  expect(talkParameters.safeParse(sound).success).toBe(true);
  expect(sound.stop).toHaveLength(STOP_LIMIT);
  expect([null, 'x', []].map(soundParameters)).toEqual([{}, {}, {}]);
});

test('a parameter is set and left to the model again', () => {
  expect(withParameter({ seed: 1 }, 'temperature', 0)).toEqual({ seed: 1, temperature: 0 });
  expect(withParameter({ seed: 1, temperature: 0 }, 'seed', undefined)).toEqual({ temperature: 0 });
});
