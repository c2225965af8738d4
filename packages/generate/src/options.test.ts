import { expect, test } from 'vitest';
import { OptionError } from './errors.ts';
import { type GenerateOptions, OPTION_NAMES, resolveOptions } from './options.ts';

test('nothing asked is greedy decoding with every restraint off', () => {
  expect(resolveOptions()).toMatchObject({
    sample: false, temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0,
    noRepeatNgramSize: 0, numReturnSequences: 1, numBeams: 1, maxNewTokens: null, maxLength: null, contextOverflow: 'error',
  });
});

test('a sampling parameter implies sampling; temperature 0 is greedy, whatever stands beside it', () => {
  for (const options of [{ temperature: 0.7 }, { topK: 5 }, { topP: 0.9 }, { minP: 0.1 }, { doSample: true }]) {
    expect({ options, sample: resolveOptions(options).sample }).toEqual({ options, sample: true });
  }
  for (const options of [{}, { temperature: 0 }, { temperature: 0, topP: 0.9 }, { doSample: true, temperature: 0 }, { doSample: false }]) {
    expect({ options, sample: resolveOptions(options).sample }).toEqual({ options, sample: false });
  }
});

const REFUSED: readonly [GenerateOptions, string][] = [
  [{ maxNewTokens: 0 }, 'maxNewTokens is 0: it has to be a whole number from 1'],
  [{ maxLength: 1.5 }, 'maxLength is 1.5: it has to be a whole number from 1'],
  [{ temperature: -1 }, 'temperature is -1: it has to be a number from 0'],
  [{ temperature: NaN }, 'temperature is NaN: it has to be a number from 0'],
  [{ topP: 0 }, 'topP is 0: it has to be a number above 0, up to 1'],
  [{ topP: 1.1 }, 'topP is 1.1: it has to be a number above 0, up to 1'],
  [{ topK: -1 }, 'topK is -1: it has to be a whole number from 0'],
  [{ minP: 2 }, 'minP is 2: it has to be a number from 0 to 1'],
  [{ repetitionPenalty: 0 }, 'repetitionPenalty is 0: it has to be a number above 0'],
  [{ presencePenalty: 3 }, 'presencePenalty is 3: it has to be a number from -2 to 2'],
  [{ frequencyPenalty: -2.5 }, 'frequencyPenalty is -2.5: it has to be a number from -2 to 2'],
  [{ noRepeatNgramSize: -1 }, 'noRepeatNgramSize is -1'],
  [{ logitBias: { 3: NaN } }, 'logitBias is {"3":null}: it has to be token ids with finite numbers or -Infinity'],
  [{ logitBias: { [-1]: 2 } }, 'logitBias'],
  [{ numReturnSequences: 2 }, 'numReturnSequences is 2, but without drawing at random they would all be the same'],
  [{ numReturnSequences: 3, numBeams: 2 }, 'numReturnSequences is 3, but numBeams is 2'],
  [{ lengthPenalty: 2 }, 'lengthPenalty is 2, but it is about beam search: pass numBeams of 2 or more'],
  [{ earlyStopping: true }, 'earlyStopping is true, but it is about beam search'],
  [{ numBeams: 2, contextOverflow: 'slide' }, 'contextOverflow is "slide", but beam search cannot slide'],
  [{ keepTokens: 3 }, "keepTokens is 3, but it is about sliding: pass contextOverflow: 'slide'"],
  [{ doSample: false, topP: 0.9 }, 'topP is 0.9, but doSample is false'],
  [{ stopStrings: '' }, 'stopStrings is "": it has to be a text or a list of texts, none of them empty'],
  [{ stopStrings: ['a', ''] }, 'stopStrings is ["a",""]'],
  [{ stopStrings: '\ud83d' }, 'stopStrings'],
  [{ stopTokens: [1, -2] }, 'stopTokens is [1,-2]: it has to be a token id or a list of token ids'],
  [{ seed: 0.5 }, 'seed is 0.5: it has to be a whole number'],
  [{ seed: [1, 2, 3, 4], doSample: true, numReturnSequences: 2 }, 'numReturnSequences is 2, but seed is the state of one sequence'],
  [{ logProbabilities: 101 }, 'logProbabilities is 101: it has to be a whole number from 0 to 100'],
  [{ contextOverflow: 'cut' as 'stop' }, 'contextOverflow is "cut": it has to be "error", "stop" or "slide"'],
  [{ conversationOverflow: 'x' as 'error' }, 'conversationOverflow is "x"'],
  [{ signal: 3 as unknown as AbortSignal }, 'signal is 3: it has to be an AbortSignal'],
];

test.each(REFUSED)('%j is refused with its name, value and range', (options, message) => {
  expect(() => resolveOptions(options)).toThrow(OptionError);
  expect(() => resolveOptions(options)).toThrow(message);
});

test('an unknown name is refused with the nearest known one', () => {
  const known = { maxNewToken: 'maxNewTokens', max_new_tokens: 'maxNewTokens', temprature: 'temperature', topp: 'topP', stopString: 'stopStrings' };
  for (const [wrong, right] of Object.entries(known)) {
    expect(() => resolveOptions({ [wrong]: 1 })).toThrow(`the option ${wrong} is not known: did you mean ${right}?`);
  }
  expect(() => resolveOptions({ somethingElseAltogether: 1 } as GenerateOptions)).toThrow('see the list of options');
});

test('an option that is undefined counts as absent', () => {
  const absent = Object.fromEntries(OPTION_NAMES.map((name) => [name, undefined]));
  expect(resolveOptions(absent)).toEqual(resolveOptions());
});

test('messages use the names the caller uses', () => {
  const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  expect(() => resolveOptions({ numReturnSequences: 3, numBeams: 2 }, snake)).toThrow('num_return_sequences is 3, but num_beams is 2');
});
