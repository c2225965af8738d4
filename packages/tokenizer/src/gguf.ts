/**
 * Tokenizers inside GGUF files, read: the keys under `tokenizer.` to what tokenizer.json says. Three kinds are there: `gpt2`, byte-level
 * BPE; `llama`, SentencePiece's BPE, whose merges follow from the pieces' scores; `bert`, WordPiece. Of byte-level ones the files name how
 * text is split into words (`tokenizer.ggml.pre`) and leave the pattern to llama.cpp (src/llama-vocab.cpp); the names that Parley has the
 * pattern for are in gguf-patterns.ts.
 */
import { TokenizerFormatError } from './errors.ts';
import { describe } from './fields.ts';
import { preTokenizerOf, splitNamed } from './gguf-patterns.ts';
import { mergesOfScores, SPACE, spaceDecoder, spaceNormalizer } from './gguf-pieces.ts';
import { Tokenizer } from './tokenizer.ts';

/** Values of `tokenizer.ggml.token_type`. */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What the kinds have in common. */
interface Parts {
  readonly keys: Keys;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

/**
 * The tokenizer of a GGUF file, from its metadata as plain data (`plainMetadata` of @parley/gguf).
 * @throws TokenizerFormatError naming the key that is malformed, or that asks for what Parley does not do.
 */
export function tokenizerFromGguf(metadata: Readonly<Record<string, unknown>>): Tokenizer {
  const keys = new Keys(metadata);
  const kind = keys.text('tokenizer.ggml.model');
  if (kind === undefined) throw new TokenizerFormatError('tokenizer.ggml.model', 'is missing: the file has no tokenizer; use one that was converted with it');
  const tokens = keys.list('tokenizer.ggml.tokens', 'string') ?? keys.refuse('tokenizer.ggml.tokens', 'it has to be a list of tokens');
  const types = keys.listFor('tokenizer.ggml.token_type', tokens) ?? tokens.map(() => TOKEN_TYPES.normal);
  const parts: Parts = { keys, tokens, types };
  switch (kind) {
    case 'gpt2':
      return byteLevel(parts);
    case 'llama':
      return sentencePiece(parts);
    case 'bert':
      return wordPiece(parts);
    default:
      return keys.refuse('tokenizer.ggml.model', 'Parley reads gpt2 (byte-level BPE), llama (SentencePiece) and bert (WordPiece): use the model\'s folder from Hugging Face instead');
  }
}

function byteLevel({ keys, tokens, types }: Parts): Tokenizer {
  const merges = keys.list('tokenizer.ggml.merges', 'string') ?? keys.refuse('tokenizer.ggml.merges', 'byte-level BPE needs its merges: convert the model again');
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
  const vocabulary = tokens.flatMap((content, id): [string, number][] => (types[id] === TOKEN_TYPES.normal || merged.has(content) ? [[content, id]] : []));
  return assemble({ keys, tokens, types }, {
    normalizer: split.normalizer === undefined ? null : { type: split.normalizer },
    pre_tokenizer: preTokenizerOf(split),
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(vocabulary), merges, ignore_merges: split.ignoreMerges ?? false },
  }, { addBos: split.addBos ?? false, addEos: false });
}

function sentencePiece({ keys, tokens, types }: Parts): Tokenizer {
  const scores = keys.listFor('tokenizer.ggml.scores', tokens) ?? keys.refuse('tokenizer.ggml.scores', 'SentencePiece needs the scores of its pieces: convert the model again');
  const vocabulary = new Map(tokens.flatMap((content, id): [string, number][] => (types[id] === TOKEN_TYPES.unused ? [] : [[content, id]])));
  const pieces = tokens.filter((_, id) => types[id] === TOKEN_TYPES.normal);
  const hasPrefix = keys.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  const unknown = keys.token('tokenizer.ggml.unknown_token_id', tokens) ?? tokens[types.indexOf(TOKEN_TYPES.unknown)];
  return assemble({ keys, tokens, types }, {
    normalizer: spaceNormalizer(hasPrefix),
    pre_tokenizer: null,
    decoder: spaceDecoder(hasPrefix),
    model: {
      type: 'BPE', unk_token: unknown ?? null, fuse_unk: true, byte_fallback: true, vocab: Object.fromEntries(vocabulary),
      merges: mergesOfScores(pieces, (piece) => scores[vocabulary.get(piece) ?? -1] ?? 0),
    },
  }, { addBos: true, addEos: false });
}

/** Pieces that begin a word have ▁ before them here, and those that continue one nothing; WordPiece writes the second with ##. */
function wordPiece({ keys, tokens, types }: Parts): Tokenizer {
  const written = tokens.map((token, id) => {
    if (types[id] !== TOKEN_TYPES.normal) return token;
    return token.startsWith(SPACE) ? token.slice(1) : `##${token}`;
  });
  const unknown = keys.token('tokenizer.ggml.unknown_token_id', written) ?? '[UNK]';
  return assemble({ keys, tokens: written, types }, {
    // As llama.cpp: it keeps nothing about case, and lowers it.
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece', unk_token: unknown, continuing_subword_prefix: '##', max_input_chars_per_word: 100,
      vocab: Object.fromEntries(written.flatMap((token, id): [string, number][] => (types[id] === TOKEN_TYPES.unused ? [] : [[token, id]]))),
    },
  }, { addBos: true, addEos: true });
}

/** A tokenizer from what its kind says in tokenizer.json, the added tokens, the roles and the chat template. `defaults`: where the file does not say. */
function assemble({ keys, tokens, types }: Parts, json: object, defaults: { addBos: boolean; addEos: boolean }): Tokenizer {
  const added: object[] = [];
  tokens.forEach((content, id) => {
    const type = types[id];
    // Unused ids fill the table up to a round number: no text is theirs.
    if (content === '' || (type !== TOKEN_TYPES.control && type !== TOKEN_TYPES.userDefined && type !== TOKEN_TYPES.unknown)) return;
    added.push({ id, content, special: type !== TOKEN_TYPES.userDefined, normalized: false });
  });
  const role = (name: string): string | undefined => keys.token(`tokenizer.ggml.${name}_token_id`, tokens);
  // The second is the format's own spelling.
  const [bos, eos, first, last] = [role('bos'), role('eos'), role('cls'), role('seperator')];
  const [unknown, padding, mask] = [role('unknown'), role('padding'), role('mask')];
  const template = keys.text('tokenizer.chat_template');
  return Tokenizer.fromJSON(
    {
      version: '1.0',
      added_tokens: added,
      post_processor: postProcessor(tokens, {
        before: (keys.boolean('tokenizer.ggml.add_bos_token') ?? defaults.addBos) ? (first ?? bos) : undefined,
        after: (keys.boolean('tokenizer.ggml.add_eos_token') ?? defaults.addEos) ? (last ?? eos) : undefined,
      }),
      ...json,
    },
    {
      ...(bos !== undefined && { bos_token: bos }), ...(eos !== undefined && { eos_token: eos }), ...(padding !== undefined && { pad_token: padding }),
      ...(unknown !== undefined && { unk_token: unknown }), ...(mask !== undefined && { mask_token: mask }),
      ...(template !== undefined && { chat_template: template }),
    },
  );
}

/** A `post_processor` with the tokens before and after the text; null for none. */
function postProcessor(tokens: readonly string[], { before, after }: { before: string | undefined; after: string | undefined }): object | null {
  if (before === undefined && after === undefined) return null;
  const special = (id: string | undefined): object[] => (id === undefined ? [] : [{ SpecialToken: { id, type_id: 0 } }]);
  const named = [before, after].filter((id) => id !== undefined);
  return {
    type: 'TemplateProcessing',
    single: [...special(before), { Sequence: { id: 'A', type_id: 0 } }, ...special(after)],
    pair: [],
    special_tokens: Object.fromEntries(named.map((id) => [id, { id, ids: [tokens.indexOf(id)], tokens: [id] }])),
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

  /** A number for each token. */
  listFor(key: string, tokens: readonly string[]): readonly number[] | undefined {
    const list = this.list(key, 'number');
    if (list !== undefined && list.length !== tokens.length) {
      throw new TokenizerFormatError(key, `has ${list.length} entries for ${tokens.length} tokens: the file is damaged`);
    }
    return list;
  }

  /** The token with the id that a key gives. */
  token(key: string, tokens: readonly string[]): string | undefined {
    const id = this.#metadata[key];
    if (id === undefined) return undefined;
    return (typeof id === 'number' ? tokens[id] : undefined) ?? this.refuse(key, `there are ${tokens.length} tokens; the file is damaged`);
  }
}
