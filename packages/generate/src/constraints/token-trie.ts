/** A vocabulary as a tree of bytes: tokens that begin alike are tried together. */
import type { Tokenizer } from '@parley/tokenizer';

export class TokenTrie {
  /** By node and byte: the child's number, 0 where there is none. */
  readonly #children: Int32Array[] = [];
  readonly #used: number[][] = [];
  /** Tokens that end at each node. */
  readonly #tokens: number[][] = [];
  readonly size: number;

  /** Special tokens are left out: they are no text. */
  constructor(tokenizer: Pick<Tokenizer, 'vocabSize' | 'specialTokens' | 'tokenBytes' | 'idToToken'>) {
    this.size = tokenizer.vocabSize;
    this.#add();
    const special = new Set(tokenizer.specialTokens.values());
    for (let token = 0; token < tokenizer.vocabSize; token++) {
      if (special.has(token) || tokenizer.idToToken(token) === undefined) continue;
      const bytes = tokenizer.tokenBytes(token);
      if (bytes.length === 0) continue;
      let node = 0;
      for (const byte of bytes) node = this.#child(node, byte);
      this.#tokens[node]?.push(token);
    }
  }

  /** Calls `found` for every token whose bytes `step` follows all the way from `start`; `step` answers null where it cannot. */
  walk<State>(start: State, step: (state: State, byte: number) => State | null, found: (token: number) => void): void {
    const open: (readonly [node: number, state: State])[] = [[0, start]];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [node, state] = next;
      for (const byte of this.#used[node] ?? []) {
        const reached = step(state, byte);
        if (reached === null) continue;
        const child = this.#children[node]?.[byte] ?? 0;
        for (const token of this.#tokens[child] ?? []) found(token);
        if ((this.#used[child]?.length ?? 0) > 0) open.push([child, reached]);
      }
    }
  }

  #add(): number {
    this.#children.push(new Int32Array(0));
    this.#used.push([]);
    return this.#tokens.push([]) - 1;
  }

  #child(node: number, byte: number): number {
    let children = this.#children[node];
    if (children === undefined || children.length === 0) this.#children[node] = children = new Int32Array(256);
    const known = children[byte] ?? 0;
    if (known !== 0) return known;
    const made = this.#add();
    children[byte] = made;
    this.#used[node]?.push(byte);
    return made;
  }
}

const tries = new WeakMap<object, TokenTrie>();

/** The tree of a tokenizer, made once. */
export function tokenTrie(tokenizer: Tokenizer): TokenTrie {
  let trie = tries.get(tokenizer);
  if (trie === undefined) tries.set(tokenizer, trie = new TokenTrie(tokenizer));
  return trie;
}
