import { beforeAll, describe, expect, test } from 'vitest';
import { TokenizerError, TokenizerFormatError } from './errors.ts';
import { nastyText, numbers } from './testing/corpus.ts';
import { publishedTokenizer } from './testing/published.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainTokenizer } from './train.ts';

interface TokenizerFile {
  [field: string]: unknown;
  added_tokens: Record<string, unknown>[];
  model: { [field: string]: unknown; vocab: Record<string, number>; merges: unknown[] };
}

let tokenizer: Tokenizer;
let file: TokenizerFile;
beforeAll(async () => {
  tokenizer = await trainTokenizer(Array.from({ length: 20 }, (_, i) => nastyText(i, 3000)), { vocabSize: 600 });
  file = JSON.parse(JSON.stringify(tokenizer)) as TokenizerFile;
});

describe('long and nasty inputs', () => {
  let gpt2: Tokenizer;
  beforeAll(async () => {
    gpt2 = await publishedTokenizer('r50k_base');
  });

  test('a million letters a: halves as they merge, in no time that is quadratic', () => {
    const ids = gpt2.encode('a'.repeat(1_000_000));
    expect(gpt2.decode(ids)).toBe('a'.repeat(1_000_000));
    // GPT-2 has tokens for aa and aaaa, so runs are of four.
    expect(new Set(ids)).toEqual(new Set(gpt2.encode('a'.repeat(64))));
  });

  test('a megabyte of letters at random, of Chinese without a space, of spaces and of emoji comes back', () => {
    const below = numbers(4);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    for (const text of [
      Array.from({ length: 1_000_000 }, () => letters[below(52)]).join(''),
      Array.from({ length: 300_000 }, () => String.fromCharCode(0x4e00 + below(0x5000))).join(''),
      ' '.repeat(1_000_000),
      '👩‍👩‍👧‍👦'.repeat(20_000),
    ]) {
      expect(gpt2.decode(gpt2.encode(text)) === text).toBe(true);
    }
  });

  test('one long word is encoded as its definition says: the same ids, cached, alone and inside a text', () => {
    const below = numbers(8);
    for (const length of [20, 60, 64, 65, 66, 90, 300]) {
      const word = Array.from({ length }, () => String.fromCharCode(97 + below(6))).join('');
      const ids = gpt2.encode(word);
      expect(gpt2.encode(word)).toEqual(ids);
      expect(gpt2.encode(`${word}\n${word}`)).toEqual([...ids, 198, ...ids]);
    }
  });

  test('the cache fills and empties without changing ids: 70,000 different words, twice', async () => {
    const text = Array.from({ length: 70_000 }, (_, i) => ` ${i.toString(26).replaceAll(/\d/g, 'é')}x`).join('');
    const first = gpt2.encode(text);
    expect(gpt2.decode(first) === text).toBe(true);
    const fresh = await publishedTokenizer('r50k_base');
    const half = text.indexOf(' ', text.length / 2);
    expect([...fresh.encode(text.slice(0, half)), ...fresh.encode(text.slice(half))].join() === first.join()).toBe(true);
    expect(gpt2.encode(text).join() === first.join()).toBe(true);
  });
});

describe('decoding', () => {
  test.each([1, 2, 3])('any ids, token by token, give what they give at once, in whole characters, seed %i', (seed) => {
    const below = numbers(seed);
    for (let round = 0; round < 300; round++) {
      const ids = Array.from({ length: below(40) }, () => below(tokenizer.vocabSize));
      for (const skipSpecialTokens of [false, true]) {
        const decoder = tokenizer.createDecoder({ skipSpecialTokens });
        const pieces = [...ids.map((id) => decoder.push(id)), decoder.flush()];
        expect(pieces.join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      }
    }
  });

  test('a character of several tokens appears with its last', () => {
    const ids = tokenizer.encode('𪚥');
    expect(ids.length).toBeGreaterThan(1);
    const decoder = tokenizer.createDecoder();
    const pieces = ids.map((id) => decoder.push(id));
    expect(pieces.slice(0, -1).join('')).toBe('');
    expect(pieces.at(-1)).toBe('𪚥');
  });

  test('an id that no token has is an error that names it, special or not', () => {
    for (const id of [-1, 600, 0.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(TokenizerError);
      expect(() => tokenizer.createDecoder().push(id)).toThrow(`${id} is not the id of a token`);
    }
  });

  test('special tokens are left out when asked for, and a byte order mark is kept', () => {
    const ids = tokenizer.encode('\ufeffa<|im_end|>b', { special: 'parse' });
    expect(tokenizer.decode(ids)).toBe('\ufeffa<|im_end|>b');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('\ufeffab');
  });
});

describe('special tokens', () => {
  test('are text unless parsing is asked for', () => {
    const text = 'a<|im_end|>b<|endoftext|>';
    const special = new Set(tokenizer.specialTokens.values());
    expect(tokenizer.encode(text).some((id) => special.has(id))).toBe(false);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.encode(text, { special: 'parse' }).filter((id) => special.has(id))).toEqual([
      tokenizer.tokenToId('<|im_end|>'), tokenizer.tokenToId('<|endoftext|>'),
    ]);
  });

  test('the token of a name and the name of a token', () => {
    for (let id = 0; id < tokenizer.vocabSize; id++) expect(tokenizer.tokenToId(tokenizer.idToToken(id) ?? '')).toBe(id);
    expect(tokenizer.tokenToId('no such token')).toBeUndefined();
    expect(tokenizer.idToToken(tokenizer.vocabSize)).toBeUndefined();
  });
});

describe('tokenizer.json', () => {
  /** The file with something changed in it. */
  const changed = (change: (file: TokenizerFile) => void): TokenizerFile => {
    const copy = structuredClone(file);
    change(copy);
    return copy;
  };

  test('written and read again gives the same ids and the same file', () => {
    const again = Tokenizer.fromJSON(structuredClone(file), tokenizer.configToJSON());
    expect(JSON.parse(JSON.stringify(again))).toEqual(file);
    expect(again.configToJSON()).toEqual(tokenizer.configToJSON());
    const text = nastyText(50, 20_000);
    expect(again.encode(text)).toEqual(tokenizer.encode(text));
  });

  test('merges are read as "a b" and as ["a", "b"]', () => {
    const pairs = changed(({ model }) => (model.merges = (model.merges as string[]).map((merge) => merge.split(' '))));
    const text = nastyText(51, 5000);
    expect(Tokenizer.fromJSON(pairs).encode(text)).toEqual(tokenizer.encode(text));
  });

  test.each<[string, (file: TokenizerFile) => void, string]>([
    ['an unknown field', (f) => (f['surprise'] = { a: 1 }), 'surprise: is a field Parley does not know, with the value {"a":1}'],
    ['another normalizer', (f) => (f['normalizer'] = { type: 'Nmt' }), 'normalizer.type: is "Nmt": Parley knows NFC'],
    ['a normalizer in a sequence', (f) => (f['normalizer'] = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Prepend', prepend: 7 }] }), 'normalizer.normalizers[1].prepend: is 7'],
    ['no pre-tokenizer', (f) => (f['pre_tokenizer'] = null), 'pre_tokenizer: is absent'],
    ['the pre-tokenizer of another kind of model', (f) => (f['pre_tokenizer'] = { type: 'Metaspace', replacement: '▁' }), 'pre_tokenizer.type: is "Metaspace"'],
    ['a pre-tokenizer without bytes', (f) => (f['pre_tokenizer'] = { type: 'Digits', individual_digits: true }), 'has no ByteLevel'],
    ['an unknown option of it', (f) => (f['pre_tokenizer'] = { type: 'ByteLevel', add_prefix_space: false, extra: 1 }), 'pre_tokenizer.extra'],
    ['a pattern that cannot be translated', (f) => (f['pre_tokenizer'] = { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: '\\w+' }, behavior: 'Isolated', invert: false }, { type: 'ByteLevel' }] }), 'pre_tokenizer.pretokenizers[0].pattern.Regex: the regular expression "\\\\w+" has the escape `\\w`'],
    ['another behavior', (f) => (f['pre_tokenizer'] = { type: 'Split', pattern: { String: 'a' }, behavior: 'Sideways', invert: false }), 'behavior: is "Sideways"'],
    ['another post-processor', (f) => (f['post_processor'] = { type: 'Padding' }), 'post_processor.type: is "Padding"'],
    ['a post-processor without its token', (f) => (f['post_processor'] = { type: 'BertProcessing', sep: ['a', 1], cls: 'b' }), 'post_processor.cls: is "b": expected a list'],
    ['a template with an unknown token', (f) => (f['post_processor'] = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'x', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [], special_tokens: {} }), 'post_processor.single[0]: names "x"'],
    ['another decoder', (f) => (f['decoder'] = { type: 'Metaspace' }), 'decoder.type'],
    ['no decoder', (f) => (f['decoder'] = null), 'decoder: is null'],
    ['another model', (f) => (f.model['type'] = 'WordLevel'), 'model.type: is "WordLevel": Parley reads BPE, Unigram and WordPiece'],
    ['dropout', (f) => (f.model['dropout'] = 0.1), 'model.dropout: is 0.1'],
    ['byte fallback', (f) => (f.model['byte_fallback'] = true), 'model.byte_fallback: is true'],
    ['a subword prefix', (f) => (f.model['continuing_subword_prefix'] = '##'), 'model.continuing_subword_prefix'],
    ['an unknown unk_token', (f) => (f.model['unk_token'] = '<unk>'), 'model.unk_token: is "<unk>", which is not in the vocabulary'],
    ['a merge of a token that is not there', (f) => f.model.merges.push('zzz q'), 'needs the token "zzz"'],
    ['a merge of three', (f) => (f.model.merges[3] = 'a b c'), 'model.merges[3]: is "a b c"'],
    ['a merge that is a number', (f) => (f.model.merges[0] = 7), 'model.merges[0]: is 7'],
    ['an id that is no number', (f) => (f.model.vocab['!'] = -1), 'model.vocab["!"]: is -1'],
    ['one id for two tokens', (f) => (f.model.vocab['!'] = 1), 'model.vocab: gives the id 1 to both'],
    ['an added token with a taken id', (f) => f.added_tokens.push({ id: 0, content: '<x>', special: true }), 'added_tokens[3]: gives "<x>" the id 0, but that is the id of "!"'],
    ['an added token with another id than the vocabulary\'s', (f) => f.added_tokens.push({ id: 999, content: '!', special: true }), 'but it has the id 0'],
    ['an added token far beyond the vocabulary', (f) => f.added_tokens.push({ id: 2 ** 40, content: '<x>', special: true }), 'added_tokens[3].id: is 1099511627776'],
    ['parts within parts without end', (f) => {
      let inner: object = { type: 'NFC' };
      for (let depth = 0; depth < 5_000; depth++) inner = { type: 'Sequence', normalizers: [inner] };
      f['normalizer'] = inner;
    }, 'lies deeper than any tokenizer goes'],
    ['an empty added token', (f) => f.added_tokens.push({ id: 999, content: '', special: true }), 'added_tokens[3].content: is empty'],
    ['an unknown property of an added token', (f) => f.added_tokens.push({ id: 999, content: 'x', fuzzy: true }), 'added_tokens[3].fuzzy'],
    ['no model', (f) => delete (f as Record<string, unknown>)['model'], 'model: is absent: expected an object'],
  ])('refuses %s, naming the field', (_, change, message) => {
    expect(() => Tokenizer.fromJSON(changed(change))).toThrow(TokenizerFormatError);
    expect(() => Tokenizer.fromJSON(changed(change))).toThrow(message);
  });

  test.each([[null], ['text'], [[]], [7]])('refuses %j for a file', (value) => {
    expect(() => Tokenizer.fromJSON(value)).toThrow(TokenizerFormatError);
  });

  test('a byte without a token is an error when it is met, and nothing else is lost by it', () => {
    const withoutA = changed(({ model }) => {
      model.merges = [];
      delete model.vocab['a'];
    });
    const partial = Tokenizer.fromJSON(withoutA);
    expect(() => partial.encode('banana')).toThrow('byte 0x61 of "banana" has no token in this vocabulary');
    expect(() => partial.encode('banana')).toThrow(TokenizerError);
    expect(partial.decode(partial.encode('bnn'))).toBe('bnn');
  });
});

describe('tokenizer_config.json', () => {
  test('tokens stand as strings or objects; what is not read is kept', () => {
    const config = {
      bos_token: '<|endoftext|>', eos_token: { __type: 'AddedToken', content: '<|im_end|>', lstrip: false }, pad_token: null,
      model_max_length: 1e30, chat_template: [{ name: 'tool_use', template: 'x' }, { name: 'default', template: 'hello' }], made_up: [1],
    };
    const read = Tokenizer.fromJSON(file, config);
    expect([read.bosTokenId, read.eosTokenId, read.padTokenId]).toEqual([597, 599, undefined]);
    expect(read.modelMaxLength).toBeUndefined();
    expect(read.chatTemplate).toBe('hello');
    expect(read.configToJSON()).toMatchObject(config);
    expect(Tokenizer.fromJSON(file, { model_max_length: 1024 }).modelMaxLength).toBe(1024);
  });

  test('tokens that only added_tokens_decoder has are added; contradictions are refused', () => {
    const added = { '700': { content: '<new>', special: true, lstrip: false, rstrip: false, single_word: false, normalized: false } };
    const read = Tokenizer.fromJSON(file, { added_tokens_decoder: added });
    expect(read.encode('<new>', { special: 'parse' })).toEqual([700]);
    expect(read.vocabSize).toBe(701);
    expect(read.decode([700])).toBe('<new>');
    expect(() => read.decode([650])).toThrow('650 is not the id of a token');
    expect(() => Tokenizer.fromJSON(file, { added_tokens_decoder: { '5': { content: '<new>' } } })).toThrow('added_tokens_decoder["5"]: gives "<new>" the id 5');
  });

  test.each([
    [{ eos_token: '<nope>' }, 'eos_token: is "<nope>", which is not in the vocabulary'],
    [{ eos_token: 5 }, 'eos_token: is 5'],
    [{ chat_template: 5 }, 'chat_template: is 5'],
    [{ chat_template: [{ name: 'rag', template: '' }] }, 'named "default"'],
    [{ model_max_length: 'long' }, 'model_max_length: is "long"'],
    [[], 'tokenizer_config: is a list of 0'],
  ])('refuses %j', (config, message) => {
    expect(() => Tokenizer.fromJSON(file, config)).toThrow(message);
  });
});
