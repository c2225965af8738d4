/**
 * Tokenizers inside GGUF files: the keys under `tokenizer.`, to and from what tokenizer.json says. The files name how text is split into
 * words (`tokenizer.ggml.pre`) and leave the pattern to llama.cpp (src/llama-vocab.cpp); the names that Parley has the pattern for are in
 * gguf-patterns.ts.
 */
import type { GgufMetadata, GgufValue } from '@parley/gguf';
import { TokenizerError, TokenizerFormatError } from './errors.ts';
import { describe } from './fields.ts';
import { preTokenizerOf, splitOf, splitNamed } from './gguf-patterns.ts';
import { Tokenizer } from './tokenizer.ts';

/** Values of `tokenizer.ggml.token_type`. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * The tokenizer of a GGUF file, from its metadata as plain data (`plainMetadata` of @parley/gguf).
 * @throws TokenizerFormatError naming the key that is malformed, or that asks for what Parley does not do.
 */
export function tokenizerFromGguf(metadata: Readonly<Record<string, unknown>>): Tokenizer {
  const keys = new Keys(metadata);
  const model = keys.text('tokenizer.ggml.model');
  if (model === undefined) throw new TokenizerFormatError('tokenizer.ggml.model', 'is missing: the file has no tokenizer; use one that was converted with it');
  if (model !== 'gpt2') keys.refuse('tokenizer.ggml.model', 'Parley reads gpt2, which is byte-level BPE: use the model\'s folder from Hugging Face instead');
  return byteLevel(keys);
}

function byteLevel(keys: Keys): Tokenizer {
  const tokens = keys.list('tokenizer.ggml.tokens', 'string') ?? keys.refuse('tokenizer.ggml.tokens', 'it has to be a list of tokens');
  const merges = keys.list('tokenizer.ggml.merges', 'string') ?? keys.refuse('tokenizer.ggml.merges', 'byte-level BPE needs its merges: convert the model again');
  const types = keys.list('tokenizer.ggml.token_type', 'number') ?? tokens.map(() => NORMAL);
  if (types.length !== tokens.length) {
    throw new TokenizerFormatError('tokenizer.ggml.token_type', `has ${types.length} entries for ${tokens.length} tokens: the file is damaged`);
  }
  // llama.cpp's default is for files from before they named their splitting.
  const name = keys.text('tokenizer.ggml.pre') ?? 'default';
  const split = splitNamed(name);
  if (split === undefined) {
    throw new TokenizerFormatError('tokenizer.ggml.pre', `is ${JSON.stringify(name)}, a way of splitting text that Parley does not have: use the model's folder from Hugging Face instead`);
  }

  const merged = new Set<string>();
  for (const merge of merges) {
    const [left = '', right = ''] = merge.split(' ');
    merged.add(left).add(right).add(left + right);
  }
  const vocabulary: [string, number][] = [];
  const added: object[] = [];
  tokens.forEach((content, id) => {
    const type = types[id];
    if (type === NORMAL || merged.has(content)) vocabulary.push([content, id]);
    // Unused ids fill the table up to a round number: no text is theirs.
    if (type === NORMAL || type === UNUSED || content === '') return;
    added.push({ id, content, special: type !== USER_DEFINED, normalized: false });
  });
  const roles = Object.fromEntries(['bos', 'eos', 'unknown', 'padding'].map((role) => [role, keys.token(`tokenizer.ggml.${role}_token_id`, tokens)]));
  const ends = [
    [roles['bos'], keys.boolean('tokenizer.ggml.add_bos_token') ?? split.addBos ?? false],
    [roles['eos'], keys.boolean('tokenizer.ggml.add_eos_token') ?? false],
  ] as const;
  const template = keys.text('tokenizer.chat_template');
  return Tokenizer.fromJSON(
    {
      version: '1.0',
      added_tokens: added,
      normalizer: split.normalizer === undefined ? null : { type: split.normalizer },
      pre_tokenizer: preTokenizerOf(split),
      post_processor: postProcessor(ends, tokens),
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: Object.fromEntries(vocabulary), merges, ignore_merges: split.ignoreMerges ?? false },
    },
    {
      ...(roles['bos'] !== undefined && { bos_token: roles['bos'] }),
      ...(roles['eos'] !== undefined && { eos_token: roles['eos'] }),
      ...(roles['padding'] !== undefined && { pad_token: roles['padding'] }),
      ...(roles['unknown'] !== undefined && { unk_token: roles['unknown'] }),
      ...(template !== undefined && { chat_template: template }),
    },
  );
}

/** A `post_processor` with the tokens before and after the text; null for none. */
function postProcessor([before, after]: readonly (readonly [token: string | undefined, wanted: boolean])[], tokens: readonly string[]): object | null {
  const wanted = (end: readonly [token: string | undefined, wanted: boolean] | undefined): string[] => (end?.[1] && end[0] !== undefined ? [end[0]] : []);
  const [first, last] = [wanted(before), wanted(after)];
  if (first.length + last.length === 0) return null;
  const special = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
  return {
    type: 'TemplateProcessing',
    single: [...first.map(special), { Sequence: { id: 'A', type_id: 0 } }, ...last.map(special)],
    pair: [],
    special_tokens: Object.fromEntries([...first, ...last].map((id) => [id, { id, ids: [tokens.indexOf(id)], tokens: [id] }])),
  };
}

/** The keys of a file's metadata, checked for their types. */
class Keys {
  readonly #metadata: Readonly<Record<string, unknown>>;

  constructor(metadata: Readonly<Record<string, unknown>>) {
    this.#metadata = metadata;
  }

  refuse(key: string, remedy: string): never {
    throw new TokenizerFormatError(key, `is ${describe(this.#metadata[key])}: ${remedy}`);
  }

  text(key: string): string | undefined {
    const value = this.#metadata[key];
    if (value !== undefined && typeof value !== 'string') this.refuse(key, 'it has to be a text');
    return value as string | undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#metadata[key];
    if (value !== undefined && typeof value !== 'boolean') this.refuse(key, 'it has to be true or false');
    return value as boolean | undefined;
  }

  list<Type extends 'string' | 'number'>(key: string, type: Type): readonly (Type extends 'string' ? string : number)[] | undefined {
    const value = this.#metadata[key];
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === type)) this.refuse(key, `it has to be a list of ${type}s`);
    return value as (Type extends 'string' ? string : number)[];
  }

  /** The token with the id that a key gives. */
  token(key: string, tokens: readonly string[]): string | undefined {
    const id = this.#metadata[key];
    if (id === undefined) return undefined;
    return (typeof id === 'number' ? tokens[id] : undefined) ?? this.refuse(key, `there are ${tokens.length} tokens; the file is damaged`);
  }
}

/**
 * The keys of a GGUF file for a byte-level tokenizer, with tokens for each of the `vocabSize` rows of the model's embeddings.
 * @throws TokenizerError when llama.cpp has no way of splitting text as this tokenizer does, or the model has too few rows.
 */
export function tokenizerToGguf(tokenizer: Tokenizer, options: { readonly vocabSize?: number } = {}): GgufMetadata {
  const { vocabSize = tokenizer.vocabSize } = options;
  if (vocabSize < tokenizer.vocabSize) {
    throw new TokenizerError(`the tokenizer has ${tokenizer.vocabSize} tokens and the model ${vocabSize}: they do not belong together`);
  }
  const json = tokenizer.toJSON() as { pre_tokenizer: unknown; normalizer: { type?: string } | null; model: { merges: readonly (string | readonly string[])[]; ignore_merges: boolean } };
  const name = splitOf(json.pre_tokenizer, mergesReachAll(tokenizer) ? null : json.model.ignore_merges);
  const form = json.normalizer?.type;
  if (name === undefined || (form !== undefined && form !== splitNamed(name)?.normalizer)) {
    throw new TokenizerError(
      'llama.cpp knows ways of splitting text by name, and has none for this tokenizer\'s normalizer and pre_tokenizer: export the model as safetensors',
    );
  }
  const added = new Map(tokenizer.addedTokens.map(({ id, special }) => [id, special ? CONTROL : USER_DEFINED]));
  const tokens = Array.from({ length: vocabSize }, (_, id) => tokenizer.idToToken(id) ?? `[PAD${id}]`);
  const types = tokens.map((_, id) => (tokenizer.idToToken(id) === undefined ? UNUSED : (added.get(id) ?? NORMAL)));
  const id = (role: string, value: number | undefined): [string, GgufValue][] =>
    value === undefined ? [] : [[`tokenizer.ggml.${role}_token_id`, { type: 'u32', value }]];
  const bare = tokenizer.encode('a', { addSpecialTokens: false });
  const whole = tokenizer.encode('a');
  const before = whole.indexOf(bare[0] ?? -1);
  const boundary = (what: string, found: readonly number[], token: number | undefined): [string, GgufValue] => {
    if (found.length > 1 || (found.length === 1 && found[0] !== token)) {
      throw new TokenizerError(`the tokenizer puts ${found.length} tokens ${what} the text, and GGUF can only say one, its own: export the model as safetensors`);
    }
    return [`tokenizer.ggml.add_${what === 'before' ? 'bos' : 'eos'}_token`, { type: 'bool', value: found.length === 1 }];
  };
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: name }],
    ['tokenizer.ggml.tokens', { type: 'array', items: 'string', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', items: 'i32', value: types }],
    ['tokenizer.ggml.merges', { type: 'array', items: 'string', value: json.model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))) }],
    ...id('bos', tokenizer.bosTokenId), ...id('eos', tokenizer.eosTokenId), ...id('padding', tokenizer.padTokenId),
    boundary('before', whole.slice(0, before), tokenizer.bosTokenId),
    boundary('after', whole.slice(before + bare.length), tokenizer.eosTokenId),
    ...(tokenizer.chatTemplate === undefined ? [] : [['tokenizer.chat_template', { type: 'string', value: tokenizer.chatTemplate }] as [string, GgufValue]]),
  ]);
}

/**
 * Whether every token comes out of its own text by merges alone. Then it makes no difference whether a word that is a token is taken as a
 * whole first, which llama.cpp does for Llama 3's splitting and not for the same splitting under its other names.
 */
function mergesReachAll(tokenizer: Tokenizer): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const added = new Set(tokenizer.addedTokens.map(({ id }) => id));
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (tokenizer.idToToken(id) === undefined || added.has(id)) continue;
    let text: string;
    try {
      text = decoder.decode(tokenizer.tokenBytes(id));
    } catch {
      continue; // a part of a character is no word
    }
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    if (ids.length !== 1) return false;
  }
  return true;
}
