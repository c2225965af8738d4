import { OptionError } from '@parley/generate';
import { expect, test } from 'vitest';
import { readDefaults, readOptions } from './options.ts';

test('nothing asked: transformers\' pipeline defaults, ending where the context does', () => {
  expect(readOptions({}, {})).toEqual({ maxNewTokens: 256, doSample: true, temperature: 0.7, topK: 50, contextOverflow: 'stop' });
});

test('every option has its Hugging Face name', () => {
  const options = {
    max_new_tokens: 5, min_new_tokens: 1, min_length: 2, max_length: 40, do_sample: true, temperature: 0.5, top_k: 5, top_p: 0.9, min_p: 0.1,
    repetition_penalty: 1.1, presence_penalty: 0.1, frequency_penalty: 0.2, no_repeat_ngram_size: 3, logit_bias: { 3: 1 },
    num_return_sequences: 2, num_beams: 2, length_penalty: 0.5, early_stopping: true, stop_strings: ['x'], stop_token_ids: [1], eos_token_id: 2,
    seed: 7, logprobs: 3, context_overflow: 'stop', conversation_overflow: 'drop-oldest', skip_special_tokens: false,
  };
  expect(readOptions(options, {})).toEqual({
    maxNewTokens: 5, minNewTokens: 1, minLength: 2, maxLength: 40, doSample: true, temperature: 0.5, topK: 5, topP: 0.9, minP: 0.1,
    repetitionPenalty: 1.1, presencePenalty: 0.1, frequencyPenalty: 0.2, noRepeatNgramSize: 3, logitBias: { 3: 1 },
    numReturnSequences: 2, numBeams: 2, lengthPenalty: 0.5, earlyStopping: true, stopStrings: ['x'], stopTokens: [1], eosTokenId: 2,
    seed: 7, logProbabilities: 3, contextOverflow: 'stop', conversationOverflow: 'drop-oldest', skipSpecialTokens: false,
  });
});

test('the caller goes before the model, the model before the pipeline', () => {
  const model = readDefaults({ temperature: 0.3, top_p: 0.8, max_new_tokens: 100, do_sample: true });
  expect(readOptions({}, model)).toMatchObject({ temperature: 0.3, topP: 0.8, maxNewTokens: 100, contextOverflow: 'stop' });
  expect(readOptions({ temperature: 1.5, max_new_tokens: 9 }, model)).toMatchObject({ temperature: 1.5, topP: 0.8, maxNewTokens: 9 });
  // A length that was asked for must fit; asking for a total length takes the default of new tokens away.
  expect(readOptions({ max_new_tokens: 9 }, model)).not.toHaveProperty('contextOverflow');
  expect(readOptions({ max_length: 30 }, model)).not.toHaveProperty('maxNewTokens');
  expect(readOptions({}, readDefaults({ max_length: 77 }))).toMatchObject({ maxLength: 77, contextOverflow: 'stop' });
});

test('defaults without effect under the caller\'s choice are dropped; a contradiction of the caller\'s own is refused', () => {
  const model = readDefaults({ do_sample: true, temperature: 0.3, top_p: 0.8, top_k: 20 });
  expect(readOptions({ do_sample: false, max_new_tokens: 3 }, model)).toEqual({ doSample: false, maxNewTokens: 3 });
  expect(readOptions({ temperature: 0, max_new_tokens: 3 }, model)).toEqual({ doSample: true, temperature: 0, maxNewTokens: 3 });
  expect(readOptions({ num_beams: 4 }, {})).toEqual({ numBeams: 4, maxNewTokens: 256, contextOverflow: 'stop' });
  expect(readOptions({ num_beams: 1 }, readDefaults({ num_beams: 4, length_penalty: 2 }))).not.toHaveProperty('lengthPenalty');
  expect(() => readOptions({ do_sample: false, top_p: 0.5 }, {})).toThrow('top_p is 0.5, but do_sample is false');
  expect(() => readOptions({ length_penalty: 2 }, {})).toThrow('length_penalty is 2, but it is about beam search: pass num_beams');
});

test('wrong names and values are refused under the names the caller used', () => {
  expect(() => readOptions({ max_new_token: 3 }, {})).toThrow('the option max_new_token is not known: did you mean max_new_tokens?');
  expect(() => readOptions({ maxNewTokens: 3 }, {})).toThrow('did you mean max_new_tokens?');
  expect(() => readOptions({ typical_p: 0.3 }, {})).toThrow(OptionError);
  expect(() => readOptions({ top_p: 3 }, {})).toThrow('top_p is 3: it has to be a number above 0, up to 1');
  expect(() => readOptions({ return_full_tex: true }, {}, ['return_full_text'])).toThrow('did you mean return_full_text?');
});

test('a generation_config.json is honoured or refused, never half', () => {
  expect(readDefaults({ use_cache: true, cache_implementation: 'hybrid', temperature: 1, do_sample: false, typical_p: null }))
    .toEqual({ temperature: 1, doSample: false });
  expect(() => readDefaults({ penalty_alpha: 0.6 })).toThrow(/generation_config\.json: the option penalty_alpha is not known/);
  expect(() => readDefaults({ temperature: 'hot' })).toThrow(/generation_config\.json: temperature is "hot"/);
});
