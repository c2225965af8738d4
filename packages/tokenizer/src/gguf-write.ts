/** A tokenizer as the keys of a GGUF file, from which llama.cpp makes the same ids. */
import type { GgufMetadata, GgufValue } from '@parley/gguf';
import { TokenizerError } from './errors.ts';
import { TOKEN_TYPES } from './gguf.ts';
import { splitOf } from './gguf-patterns.ts';
import { scoresOfMerges, SPACE, spacePrefixOf } from './gguf-pieces.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What is read of a tokenizer.json. */
interface Json {
  readonly normalizer: { readonly type?: string; readonly lowercase?: boolean } | null;
  readonly pre_tokenizer: { readonly type?: string } | null;
  readonly model: {
    readonly type?: string;
    readonly merges?: readonly (string | readonly string[])[];
    readonly ignore_merges?: boolean;
    readonly byte_fallback?: boolean;
    readonly unk_token?: string | null;
    readonly continuing_subword_prefix?: string | null;
  };
}

type Entry = readonly [key: string, value: GgufValue];

/**
 * The keys of a GGUF file for a tokenizer, with tokens for each of the `vocabSize` rows of the model's embeddings.
 * @throws TokenizerError when llama.cpp has no kind of tokenizer that splits text as this one does, or the model has too few rows.
 */
export function tokenizerToGguf(tokenizer: Tokenizer, options: { readonly vocabSize?: number } = {}): GgufMetadata {
  const { vocabSize = tokenizer.vocabSize } = options;
  if (vocabSize < tokenizer.vocabSize) {
    throw new TokenizerError(`the tokenizer has ${tokenizer.vocabSize} tokens and the model ${vocabSize}: they do not belong together`);
  }
  const json = tokenizer.toJSON() as Json;
  const { model } = json;
  const { tokens, types } = table(tokenizer, vocabSize);
  const kind = model.type === 'WordPiece' ? wordPiece(json, { tokens, types })
    : model.type === 'BPE' && model.byte_fallback === true ? sentencePiece(json, { tokens, types })
    : model.type === 'BPE' ? byteLevel(tokenizer, json, { tokens, types })
    : refuse(`llama.cpp reads byte-level BPE, SentencePiece's BPE and WordPiece, and this tokenizer is of type ${model.type ?? 'none'}`);
  const unknown = model.unk_token === undefined || model.unk_token === null ? undefined : tokenizer.tokenToId(model.unk_token);
  return new Map<string, GgufValue>([
    ...kind,
    ...id('bos', tokenizer.bosTokenId), ...id('eos', tokenizer.eosTokenId), ...id('padding', tokenizer.padTokenId), ...id('unknown', unknown),
    ...id('mask', tokenizer.maskTokenId),
    ...boundaries(tokenizer),
    ...(tokenizer.chatTemplate === undefined ? [] : [['tokenizer.chat_template', text(tokenizer.chatTemplate)] as const]),
  ]);
}

interface Table {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

const text = (value: string): GgufValue => ({ type: 'string', value });
const strings = (value: readonly string[]): GgufValue => ({ type: 'array', items: 'string', value });
const id = (role: string, value: number | undefined): Entry[] => (value === undefined ? [] : [[`tokenizer.ggml.${role}_token_id`, { type: 'u32', value }]]);

function refuse(message: string): never {
  throw new TokenizerError(`${message}: export the model as safetensors`);
}

function table(tokenizer: Tokenizer, vocabSize: number): Table {
  const added = new Map(tokenizer.addedTokens.map(({ id: added_, special }) => [added_, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined]));
  const known = Array.from({ length: vocabSize }, (_, i) => tokenizer.idToToken(i));
  return {
    tokens: known.map((token, i) => token ?? `[PAD${i}]`),
    types: known.map((token, i) => (token === undefined ? TOKEN_TYPES.unused : (added.get(i) ?? TOKEN_TYPES.normal))),
  };
}

const lists = (kind: string, pre: string, { tokens, types }: Table): Entry[] => [
  ['tokenizer.ggml.model', text(kind)], ['tokenizer.ggml.pre', text(pre)], ['tokenizer.ggml.tokens', strings(tokens)],
  ['tokenizer.ggml.token_type', { type: 'array', items: 'i32', value: types }],
];

function byteLevel(tokenizer: Tokenizer, { normalizer, pre_tokenizer: preTokenizer, model }: Json, all: Table): Entry[] {
  const name = splitOf({ preTokenizer, normalizer: normalizer?.type, ignoreMerges: mergesReachAll(tokenizer) ? null : (model.ignore_merges ?? false) });
  if (name === undefined) {
    return refuse('llama.cpp knows ways of splitting text by name, and has none for this tokenizer\'s normalizer and pre_tokenizer');
  }
  const merges = (model.merges ?? []).map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return [...lists('gpt2', name, all), ['tokenizer.ggml.merges', strings(merges)]];
}

/**
 * Whether every token comes out of its own text by merges alone. Then it makes no difference whether a word that is a token is taken as a
 * whole first, which llama.cpp does for Llama 3's splitting and not for the same splitting under its other names.
 */
function mergesReachAll(tokenizer: Tokenizer): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const added = new Set(tokenizer.addedTokens.map((token) => token.id));
  for (let token = 0; token < tokenizer.vocabSize; token++) {
    if (tokenizer.idToToken(token) === undefined || added.has(token)) continue;
    let word: string;
    try {
      word = decoder.decode(tokenizer.tokenBytes(token));
    } catch {
      continue; // a part of a character is no word
    }
    if (tokenizer.encode(word, { addSpecialTokens: false }).length !== 1) return false;
  }
  return true;
}

function sentencePiece({ normalizer, pre_tokenizer: preTokenizer, model }: Json, { tokens, types }: Table): Entry[] {
  const prefix = spacePrefixOf({ normalizer, preTokenizer });
  if (prefix === undefined) refuse('llama.cpp treats blanks as SentencePiece does, and this tokenizer\'s normalizer and pre_tokenizer do otherwise');
  const merges = (model.merges ?? []).map((merge) => (typeof merge === 'string' ? merge.split(' ') : merge));
  const told = types.map((type, i) => {
    if (tokens[i] === model.unk_token) return TOKEN_TYPES.unknown;
    return type === TOKEN_TYPES.normal && /^<0x[0-9A-F]{2}>$/.test(tokens[i] ?? '') ? TOKEN_TYPES.byte : type;
  });
  return [
    ...lists('llama', 'default', { tokens, types: told }),
    ['tokenizer.ggml.scores', { type: 'array', items: 'f32', value: scoresOfMerges(tokens, merges) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: prefix }],
  ];
}

function wordPiece({ normalizer, model }: Json, { tokens, types }: Table): Entry[] {
  if (normalizer?.type !== 'BertNormalizer' || normalizer.lowercase === false || model.continuing_subword_prefix !== '##') {
    refuse('llama.cpp\'s WordPiece lowers the case of all text, and this tokenizer does otherwise');
  }
  const written = tokens.map((token, i) => (types[i] !== TOKEN_TYPES.normal ? token : token.startsWith('##') ? token.slice(2) : SPACE + token));
  return lists('bert', 'default', { tokens: written, types });
}

/** What stands before and after every text. WordPiece's have roles of their own, the last in the format's spelling. */
function boundaries(tokenizer: Tokenizer): Entry[] {
  const bare = tokenizer.encode('a', { addSpecialTokens: false });
  const whole = tokenizer.encode('a');
  const at = whole.findIndex((_, i) => bare.every((token, j) => whole[i + j] === token));
  const [before, after] = [whole.slice(0, at), whole.slice(at + bare.length)];
  if (at < 0 || before.length > 1 || after.length > 1) {
    refuse(`the tokenizer makes ${whole.length} tokens of a text that is ${bare.length}, and GGUF has room for one before and one behind`);
  }
  const flag = (name: string, value: boolean): Entry => [`tokenizer.ggml.add_${name}_token`, { type: 'bool', value }];
  const entries = [flag('bos', before.length === 1), flag('eos', after.length === 1)];
  if (before[0] !== undefined && before[0] !== tokenizer.bosTokenId) entries.push(...id('cls', before[0]));
  if (after[0] !== undefined && after[0] !== tokenizer.eosTokenId) entries.push(...id('seperator', after[0]));
  return entries;
}
