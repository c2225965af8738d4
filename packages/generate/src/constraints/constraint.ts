/**
 * Answers that cannot be anything else: JSON, JSON of a schema, texts of a pattern, one of several. Before each token is chosen,
 * those that would leave the grammar are forbidden (Willard & Louf, 2023, by walking bytes rather than by indexing states).
 */
import type { Tokenizer } from '@parley/tokenizer';
import { utf8 } from './code-points.ts';
import { ConstraintError } from './errors.ts';
import { choice, type Expression, Grammar, literal, type Position, rule, SYMBOLS } from './grammar.ts';
import { jsonRules } from './json.ts';
import { type JsonSchema, schemaGrammar } from './json-schema.ts';
import { patternText } from './regular-expression.ts';
import { tagsGrammar, type TagsSpec } from './tags.ts';
import { type TokenTrie, tokenTrie } from './token-trie.ts';

/**
 * Plain data: it crosses threads and HTTP. `json`: one object, as OpenAI's json_object. `regex`: the whole text matches. `tags`: text
 * that is free until it opens a tag.
 */
export type ConstraintSpec =
  | { readonly type: 'json' }
  | { readonly type: 'json_schema'; readonly schema: JsonSchema }
  | { readonly type: 'regex'; readonly pattern: string }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | TagsSpec;

/** A compiled constraint; many sequences may follow it, each with a state of its own. */
export interface Constraint {
  start(): ConstraintState;
}

export interface ConstraintState {
  /** Makes −Infinity the logits (vocabulary) of all tokens that cannot follow; the ending ones where the text is not whole. */
  allow(logits: Float32Array): void;
  /** Goes on after a token. Throws ConstraintError for one that `allow` forbids. */
  accept(token: number): void;
  /** The text so far is whole. */
  readonly complete: boolean;
  /** Inside tags: what follows is not text for people, and stop strings do not count in it. */
  readonly tagged: boolean;
  clone(): ConstraintState;
}

/** Bit sets of tokens kept at most, each an eighth of the vocabulary in bytes. */
const MOST_MASKS = 2048;

/** `ending`: tokens that end the text, allowed where it is whole. Throws ConstraintError. */
export function compileConstraint(spec: ConstraintSpec, tokenizer: Tokenizer, options: { ending: Iterable<number> }): Constraint {
  const ending = [...options.ending];
  const special = new Map([...tokenizer.specialTokens].filter(([, token]) => !ending.includes(token)));
  const { root, rules } = grammarOf(spec, special);
  const grammar = new Grammar(root, rules);
  const symbols = new Set(special.values());
  const masks = new Masks(tokenTrie(tokenizer), symbols);
  return { start: () => new GrammarState({ grammar, masks, tokenizer, ending, symbols }, grammar.start) };
}

function grammarOf(spec: ConstraintSpec, specialTokens: ReadonlyMap<string, number>): { root: Expression; rules?: ReadonlyMap<string, Expression> } {
  switch (spec.type) {
    case 'json': return { root: rule('object'), rules: jsonRules };
    case 'json_schema': return schemaGrammar(spec.schema);
    case 'regex': return { root: patternText(spec.pattern, utf8, 'whole') };
    case 'choice':
      if (spec.choices.length === 0) throw new ConstraintError('there is nothing to choose from: name at least one text');
      return { root: choice(...spec.choices.map((text) => literal(text))) };
    case 'tags': return tagsGrammar(spec, specialTokens, (inner) => grammarOf(inner, specialTokens));
    default: return spec satisfies never;
  }
}

/** Tokens that may follow a position, found once for each. */
class Masks {
  readonly #trie: TokenTrie;
  readonly #symbols: ReadonlySet<number>;
  readonly #known = new Map<Position, Uint32Array>();

  /** `symbols`: special tokens, which a grammar may read as they are. */
  constructor(trie: TokenTrie, symbols: ReadonlySet<number>) {
    this.#trie = trie;
    this.#symbols = symbols;
  }

  at(position: Position): Uint32Array {
    let mask = this.#known.get(position);
    if (mask !== undefined) return mask;
    const bits = (mask = new Uint32Array(Math.ceil(this.#trie.size / 32)));
    const set = (token: number): void => void (bits[token >>> 5] = (bits[token >>> 5] ?? 0) | (1 << (token & 31)));
    this.#trie.walk(position, (at, byte) => at.next(byte), set);
    for (const token of this.#symbols) if (position.next(SYMBOLS + token) !== null) set(token);
    // The oldest makes room: positions come back soon or never.
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MOST_MASKS && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(position, mask);
    return mask;
  }
}

interface Parts {
  readonly grammar: Grammar;
  readonly masks: Masks;
  readonly tokenizer: Tokenizer;
  readonly ending: readonly number[];
  readonly symbols: ReadonlySet<number>;
}

class GrammarState implements ConstraintState {
  readonly #parts: Parts;
  #position: Position;
  #ended = false;

  constructor(parts: Parts, position: Position, ended = false) {
    this.#parts = parts;
    this.#position = position;
    this.#ended = ended;
  }

  get complete(): boolean {
    return this.#position.complete;
  }

  get tagged(): boolean {
    return this.#position.tagged;
  }

  allow(logits: Float32Array): void {
    const { masks, ending } = this.#parts;
    const kept = this.#position.complete ? ending.map((token) => [token, logits[token] ?? -Infinity] as const) : [];
    if (this.#ended) logits.fill(-Infinity);
    else {
      const mask = masks.at(this.#position);
      for (let token = 0; token < logits.length; token++) {
        if (((mask[token >>> 5] ?? 0) & (1 << (token & 31))) === 0) logits[token] = -Infinity;
      }
      for (const token of ending) logits[token] = -Infinity;
    }
    for (const [token, logit] of kept) if (token < logits.length) logits[token] = logit;
  }

  accept(token: number): void {
    const { tokenizer, ending, symbols } = this.#parts;
    if (ending.includes(token)) {
      if (!this.#position.complete) throw new ConstraintError(`token ${token} ends a text that is not whole yet`);
      this.#ended = true;
      return;
    }
    let position: Position | null = this.#position;
    for (const symbol of symbols.has(token) ? [SYMBOLS + token] : tokenizer.tokenBytes(token)) {
      position = position.next(symbol);
      if (position === null) throw new ConstraintError(`token ${token} (${JSON.stringify(tokenizer.decode([token]))}) is not allowed here`);
    }
    this.#position = position;
  }

  clone(): ConstraintState {
    return new GrammarState(this.#parts, this.#position, this.#ended);
  }
}
