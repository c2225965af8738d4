/**
 * A tokenizer: what a Hugging Face tokenizer.json and tokenizer_config.json describe, with the same ids.
 *
 * Text becomes ids in the steps of Hugging Face's tokenizers: added tokens are found, the rest is normalized, split into
 * words and given to the model (text-model.ts), whichever it is. Lone surrogates become U+FFFD, as everywhere UTF-16 becomes UTF-8.
 * Over 400 lines, as reading, writing, encoding and decoding share one table of added tokens.
 */
import { type AddedToken, addedTokenJSON, AddedTokenMatcher, parseAddedToken } from './added-tokens.ts';
import { ChatTemplate, checkMessages, StandIns, type ChatMessage, type ChatOptions, type EncodedConversation, type ToolCall, type ToolDefinition } from './chat.ts';
import { parseTokenizerConfig, type TokenizerConfig } from './config.ts';
import { Utf8Decoder } from './decoder.ts';
import { ChatTemplateError, TokenizerError, TokenizerFormatError } from './errors.ts';
import { describe, Fields } from './fields.ts';
import { HIGHEST_ID } from './model.ts';
import { type Normalizer, parseNormalizer } from './normalizer.ts';
import { parsePostProcessor, type PostProcessor } from './post-processor.ts';
import { parseTextModel } from './parse-text-model.ts';
import type { TextModel } from './text-model.ts';
import { type CallForm, callFormOf } from './tool-calls.ts';

export interface EncodeOptions {
  /** Puts around the text what the tokenizer's `post_processor` says, like a token at its beginning. Default true. */
  addSpecialTokens?: boolean;
  /**
   * What a special token's string in the text is. `text` (the default) takes it for text, so that nothing a user writes
   * acts as markup; `parse` takes it for the token, which is for text one has written oneself. Added tokens that are not
   * special are found either way.
   */
  special?: 'parse' | 'text';
}

export interface DecodeOptions {
  /** Leaves special tokens out. Default false. */
  skipSpecialTokens?: boolean;
}

/** Decodes token by token; what it gives, end to end, is what `decode` gives at once. */
export interface StreamingDecoder {
  /** The characters that are complete with this token: possibly none, never half of one. */
  push(id: number): string;
  /** The end: U+FFFD for a character that was left unfinished. */
  flush(): string;
}

const BLANK = 0x20;
const NO_BYTES = new Uint8Array(0);

/** The parts of a tokenizer.json that are kept as they were read. */
interface Kept {
  version: unknown;
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
}

export class Tokenizer {
  /** One more than the highest id: the rows a model's embedding needs. */
  readonly vocabSize: number;
  /** Special tokens and their ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** All tokens outside the merges, by id. */
  readonly addedTokens: readonly Readonly<AddedToken>[];
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** What stands for a hidden word, in models that fill them in (BERT). */
  readonly maskTokenId: number | undefined;
  /** The longest input the model was made for, in tokens, where the configuration says. Nothing here truncates to it. */
  readonly modelMaxLength: number | undefined;
  /** The Jinja template, undefined for a model that does not chat. */
  readonly chatTemplate: string | undefined;

  readonly #kept: Kept;
  readonly #config: TokenizerConfig;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #tokens: readonly (string | undefined)[];
  readonly #specialIds: ReadonlySet<number>;
  readonly #normalizer: Normalizer | undefined;
  readonly #postProcessor: PostProcessor;
  readonly #text: TextModel;
  /** Added tokens to look for before and after the normalizer, and of each those that are not special. */
  readonly #matchers: Readonly<Record<'parse' | 'text', { before: AddedTokenMatcher; after: AddedTokenMatcher }>>;
  readonly #chat: ChatTemplate | undefined;
  /** The bytes of every token, as they are asked for. */
  readonly #bytes: (Uint8Array | undefined)[] = [];

  /**
   * @param tokenizerJson a parsed tokenizer.json.
   * @param config a parsed tokenizer_config.json.
   * @throws TokenizerFormatError naming the field that is malformed, or that asks for what Parley does not do.
   */
  static fromJSON(tokenizerJson: unknown, config?: unknown): Tokenizer {
    return new Tokenizer(tokenizerJson, config);
  }

  private constructor(tokenizerJson: unknown, configJson: unknown) {
    const fields = new Fields(tokenizerJson, '');
    // What a tokenizer was last used with, and what transformers sets aside too unless it is asked to truncate or pad.
    fields.skip('truncation', 'padding');
    this.#kept = {
      version: fields.get('version') ?? '1.0',
      normalizer: fields.get('normalizer') ?? null,
      pre_tokenizer: fields.get('pre_tokenizer') ?? null,
      post_processor: fields.get('post_processor') ?? null,
      decoder: fields.get('decoder') ?? null,
    };
    this.#config = parseTokenizerConfig(configJson);
    this.#normalizer = parseNormalizer(this.#kept.normalizer);
    this.#postProcessor = parsePostProcessor(this.#kept.post_processor);
    const model = parseTextModel({ model: fields.get('model'), preTokenizer: this.#kept.pre_tokenizer, decoder: this.#kept.decoder });
    const inFile = (fields.get('added_tokens') ?? null) === null ? [] : fields.array('added_tokens');
    fields.finish();

    const ids = new Map(model.vocabulary);
    const tokens: (string | undefined)[] = [];
    for (const [token, id] of ids) {
      if (tokens[id] !== undefined) {
        throw new TokenizerFormatError('model.vocab', `gives the id ${id} to both ${JSON.stringify(tokens[id])} and ${JSON.stringify(token)}`);
      }
      tokens[id] = token;
    }
    const added = new Map<string, AddedToken>();
    const add = (token: AddedToken, path: string): void => {
      const known = ids.get(token.content);
      const holder = tokens[token.id];
      if ((known !== undefined && known !== token.id) || (holder !== undefined && holder !== token.content)) {
        throw new TokenizerFormatError(
          path,
          `gives ${JSON.stringify(token.content)} the id ${token.id}, but ` +
            (known !== undefined && known !== token.id ? `it has the id ${known}` : `that is the id of ${JSON.stringify(holder)}`),
        );
      }
      ids.set(token.content, token.id);
      tokens[token.id] = token.content;
      added.set(token.content, token);
    };
    inFile.forEach((value, i) => add(parseAddedToken(value, `added_tokens[${i}]`), `added_tokens[${i}]`));
    // transformers adds what only the configuration has.
    const inConfig = this.#config.raw['added_tokens_decoder'] ?? {};
    for (const [id, value] of new Fields(inConfig, 'added_tokens_decoder').entries()) {
      const path = `added_tokens_decoder[${JSON.stringify(id)}]`;
      const token = parseAddedToken(value, path, parseId(id, path));
      if (added.get(token.content)?.id !== token.id) add(token, path);
    }

    this.#ids = ids;
    this.#tokens = tokens;
    this.vocabSize = tokens.length;
    this.addedTokens = [...added.values()].sort((a, b) => a.id - b.id);
    const special = this.addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ content, id }) => [content, id]));
    this.#specialIds = new Set(this.specialTokens.values());
    for (const id of [...this.#postProcessor.before, ...this.#postProcessor.after]) {
      if (tokens[id] === undefined) throw new TokenizerFormatError('post_processor', `puts the id ${id} in, which no token has`);
    }
    this.#text = model.finish((token) => ids.get(token));
    this.#matchers = { parse: this.#createMatchers(this.addedTokens), text: this.#createMatchers(this.addedTokens.filter((token) => !token.special)) };

    this.bosTokenId = this.#roleId('bos_token', this.#config.bosToken);
    this.eosTokenId = this.#roleId('eos_token', this.#config.eosToken);
    this.padTokenId = this.#roleId('pad_token', this.#config.padToken);
    this.maskTokenId = this.#roleId('mask_token', this.#config.maskToken);
    this.modelMaxLength = this.#config.modelMaxLength;
    this.chatTemplate = this.#config.chatTemplate;
    if (this.chatTemplate !== undefined) {
      const { bosToken, eosToken, padToken, unkToken } = this.#config;
      const variables = { bos_token: bosToken, eos_token: eosToken, pad_token: padToken, unk_token: unkToken };
      this.#chat = new ChatTemplate(
        this.chatTemplate,
        Object.fromEntries(Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined)),
      );
    }
  }

  /** The tokenizer.json, for `JSON.stringify`. */
  toJSON(): object {
    const { version, normalizer, pre_tokenizer, post_processor, decoder } = this.#kept;
    return {
      version,
      truncation: null,
      padding: null,
      added_tokens: this.addedTokens.map(addedTokenJSON),
      normalizer,
      pre_tokenizer,
      post_processor,
      decoder,
      model: this.#text.json(),
    };
  }

  /** The tokenizer_config.json: all that was read, with a class that `transformers` can load it by. */
  configToJSON(): Record<string, unknown> {
    return { tokenizer_class: 'PreTrainedTokenizerFast', ...this.#config.raw };
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  /** The token as tokenizer.json writes it: `Ġthe` or `▁the` for ` the`, `##ing` for what continues a word. */
  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** The bytes a token stands for inside a text; at its beginning some lose the space that marks a word (see `decode`). Not to be changed. */
  tokenBytes(id: number): Uint8Array {
    return (this.#bytes[id] ??= this.#bytesAt(id, false));
  }

  #bytesAt(id: number, first: boolean): Uint8Array {
    const token = this.#tokens[id];
    if (token === undefined) {
      throw new TokenizerError(`${id} is not the id of a token: ids of this vocabulary are whole numbers from 0 to ${this.vocabSize - 1}`);
    }
    return this.#text.decoder.bytes(token, { first, isText: !this.#text.vocabulary.has(token) });
  }

  /** Gives the bytes of token after token, of which those at the beginning may be fewer. */
  #pieces(skipSpecialTokens: boolean): (id: number) => Uint8Array {
    const { dependsOnPlace, blanksDropped } = this.#text.decoder;
    let first = true;
    let blanks = blanksDropped;
    return (id) => {
      const inside = this.tokenBytes(id); // also checks the id
      if (skipSpecialTokens && this.#specialIds.has(id)) return NO_BYTES;
      let bytes = first && dependsOnPlace ? this.#bytesAt(id, true) : inside;
      first = false;
      while (blanks > 0 && bytes.length > 0) {
        if (bytes[0] !== BLANK) {
          blanks = 0;
        } else {
          bytes = bytes.subarray(1);
          blanks--;
        }
      }
      return bytes;
    };
  }

  /** @throws TokenizerError for a byte that the vocabulary has no token for; none in vocabularies with all 256. */
  encode(text: string, { addSpecialTokens = true, special = 'text' }: EncodeOptions = {}): number[] {
    const ids: number[] = addSpecialTokens ? [...this.#postProcessor.before] : [];
    this.#append(ids, text.toWellFormed(), this.#matchers[special]);
    if (addSpecialTokens) ids.push(...this.#postProcessor.after);
    return ids;
  }

  /** @throws TokenizerError for an id that no token has. */
  decode(ids: Iterable<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    let bytes = new Uint8Array(1024);
    let length = 0;
    const bytesOf = this.#pieces(skipSpecialTokens);
    for (const id of ids) {
      const token = bytesOf(id);
      if (length + token.length > bytes.length) {
        const grown = new Uint8Array((length + token.length) * 2);
        grown.set(bytes);
        bytes = grown;
      }
      bytes.set(token, length);
      length += token.length;
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, length));
  }

  createDecoder({ skipSpecialTokens = false }: DecodeOptions = {}): StreamingDecoder {
    const utf8 = new Utf8Decoder();
    const bytesOf = this.#pieces(skipSpecialTokens);
    return { push: (id) => utf8.push(bytesOf(id)), flush: () => utf8.flush() };
  }

  /** The conversation as text, by the chat template. For people to read: `encodeChat` is what keeps messages apart. */
  renderChat(messages: readonly ChatMessage[], options: ChatOptions): string {
    checkMessages(messages);
    return this.#requireChat().render(messages, options);
  }

  /**
   * The ids of a conversation: those of `renderChat` with its special tokens parsed, except that special tokens inside a
   * message's content are text. Nothing a message contains can end its turn or begin another.
   */
  encodeChat(messages: readonly ChatMessage[], options: ChatOptions): number[] {
    const { guarded, tools, standIns } = this.#guard(messages, options.tools);
    const ids: number[] = [];
    this.#append(ids, this.#requireChat().render(guarded, { ...options, tools }), this.#matchers.parse, standIns);
    return ids;
  }

  /**
   * The ids of a whole conversation, and which of them the assistant says. The beginning of each answer is a boundary
   * between tokens, as it is when the answer is generated after its prompt.
   * @throws ChatTemplateError when the template writes the beginning of a conversation differently once it goes on: what
   * the assistant says cannot be told apart then.
   */
  encodeConversation(messages: readonly ChatMessage[]): EncodedConversation {
    const chat = this.#requireChat();
    const { guarded, standIns } = this.#guard(messages);
    const whole = chat.render(guarded, { addGenerationPrompt: false });
    const ids: number[] = [];
    const mask: boolean[] = [];
    let done = 0;
    const take = (to: number, spoken: boolean): void => {
      const first = ids.length;
      this.#append(ids, whole.slice(done, to), this.#matchers.parse, standIns);
      const spokenTo = spoken ? this.#turnEnd(ids, first) : first;
      for (let i = first; i < ids.length; i++) mask.push(i < spokenTo);
      done = to;
    };
    guarded.forEach(({ role }, i) => {
      if (role !== 'assistant') return;
      const before = chat.render(guarded.slice(0, i), { addGenerationPrompt: true });
      const after = chat.render(guarded.slice(0, i + 1), { addGenerationPrompt: false });
      if (!whole.startsWith(after) || !after.startsWith(before)) {
        throw new ChatTemplateError(
          `the chat template is not stable: the conversation up to message ${i} (assistant) is written differently ` +
            `${whole.startsWith(after) ? 'with and without that answer' : 'once it goes on'}, so the assistant's words cannot be found in it. ` +
            'Use a template that only appends, like ChatML',
        );
      }
      take(before.length, false);
      take(after.length, true);
    });
    take(whole.length, false);
    return { ids, mask };
  }

  /** Where the assistant's words from `first` on end: after its last special token, when only white space follows that. */
  #turnEnd(ids: readonly number[], first: number): number {
    const last = ids.findLastIndex((id) => this.#specialIds.has(id));
    return last >= first && this.decode(ids.slice(last + 1)).trim() === '' ? last + 1 : ids.length;
  }

  /** The messages with the special tokens in their content made harmless. */
  #guard(messages: readonly ChatMessage[], tools: readonly ToolDefinition[] = []): { guarded: ChatMessage[]; tools: ToolDefinition[]; standIns: StandIns } {
    checkMessages(messages);
    const specials = [...this.specialTokens.keys()];
    const matcher = new AddedTokenMatcher(this.addedTokens.filter((token) => token.special));
    const taken: string[] = [this.chatTemplate ?? '', ...specials];
    mapTexts([messages, tools], (text) => {
      taken.push(text);
      return text;
    });
    const standIns = new StandIns(specials, matcher, taken);
    const protect = (text: string): string => standIns.protect(text);
    const guarded = messages.map(({ role, content, toolCalls, toolCallId, name }): ChatMessage => ({
      role, content: protect(content),
      ...(toolCalls && { toolCalls: toolCalls.map((call): ToolCall => ({ id: protect(call.id), name: protect(call.name), arguments: mapTexts(call.arguments, protect) })) }),
      ...(toolCallId !== undefined && { toolCallId: protect(toolCallId) }), ...(name !== undefined && { name: protect(name) }),
    }));
    const described = tools.map(({ type, function: { name, description, parameters } }): ToolDefinition => ({
      type, function: {
        name: protect(name), ...(description !== undefined && { description: protect(description) }),
        ...(parameters !== undefined && { parameters: mapTexts(parameters, protect) }),
      },
    }));
    return { guarded, tools: described, standIns };
  }

  /** How the model writes calls of functions, by its chat template. */
  get callForm(): CallForm {
    return this.#chat?.callForm ?? callFormOf().form;
  }

  #requireChat(): ChatTemplate {
    if (this.#chat === undefined) {
      throw new ChatTemplateError('this tokenizer has no chat_template: add one to its tokenizer_config.json, or use a model made for chatting');
    }
    return this.#chat;
  }

  /** Appends the ids of a well-formed text. `standIns` are put back after the added tokens have been found. */
  #append(ids: number[], text: string, { before, after }: { before: AddedTokenMatcher; after: AddedTokenMatcher }, standIns?: StandIns): void {
    const normalize = this.#normalizer ?? ((value) => value);
    eachSegment(before, text, ids, (raw, rawStart) => {
      const normalized = normalize(raw);
      eachSegment(after, normalized, ids, (piece, start) => {
        const restored = standIns?.restore(piece) ?? piece;
        // What a message contains was normalized with stand-ins in it; without them it is as if there had been none.
        const whole = restored === piece ? piece : normalize(piece === normalized ? (standIns?.restore(raw) ?? raw) : restored);
        this.#text.append(ids, whole, rawStart === 0 && start === 0);
      });
    });
  }

  #createMatchers(tokens: readonly AddedToken[]): { before: AddedTokenMatcher; after: AddedTokenMatcher } {
    return {
      before: new AddedTokenMatcher(tokens.filter((token) => !token.normalized)),
      after: new AddedTokenMatcher(tokens.filter((token) => token.normalized), ({ content }) => this.#normalizer?.(content) ?? content),
    };
  }

  #roleId(role: string, token: string | undefined): number | undefined {
    if (token === undefined) return undefined;
    const id = this.#ids.get(token);
    if (id === undefined) throw new TokenizerFormatError(role, `is ${describe(token)}, which is not in the vocabulary`);
    return id;
  }
}

/** JSON data with every text in it, names of fields too, as `change` has it. */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item: unknown) => mapTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [change(key), mapTexts(inner, change)]));
}

/** Pushes the ids of the added tokens in a text and calls `between` with what is between them, and where that begins. */
function eachSegment(matcher: AddedTokenMatcher, text: string, ids: number[], between: (piece: string, start: number) => void): void {
  if (matcher.empty) {
    if (text !== '') between(text, 0);
    return;
  }
  for (const { id, start, end } of matcher.segments(text)) {
    if (id >= 0) ids.push(id);
    else between(text.slice(start, end), start);
  }
}

function parseId(text: string, path: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || id > HIGHEST_ID) throw new TokenizerFormatError(path, `is not an id: expected a whole number from 0 to ${HIGHEST_ID}`);
  return id;
}
