/**
 * Grammars over bytes, and the machine that follows one. An expression is compiled to a recursive transition network (Woods,
 * 1970): states joined by sets of bytes, and calls of rules that return to where they came from. Following it is following all
 * its paths at once; sets of paths that were met before are recognized, so that a walk becomes a walk through a table.
 */
import { ConstraintError } from './errors.ts';

export type Expression =
  | { readonly kind: 'bytes'; readonly ranges: readonly (readonly [low: number, high: number])[] }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly least: number; readonly most: number }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'symbol'; readonly token: number }
  | { readonly kind: 'tagged'; readonly part: Expression }
  | { readonly kind: 'text'; readonly mark: Mark; readonly at: 'anywhere' | 'start'; readonly upTo: 'mark' | 'end' };

/** A text that opens something, and the special token that is written the same, where there is one. */
export interface Mark {
  readonly text: string;
  readonly token?: number | undefined;
}

export const bytes = (...ranges: readonly (readonly [number, number])[]): Expression => ({ kind: 'bytes', ranges });
export const sequence = (...parts: readonly Expression[]): Expression => ({ kind: 'sequence', parts });
/** Of no options: what nothing matches. */
export const choice = (...options: readonly Expression[]): Expression => ({ kind: 'choice', options });
export const repeat = (part: Expression, least: number, most = Infinity): Expression => ({ kind: 'repeat', part, least, most });
export const optional = (part: Expression): Expression => repeat(part, 0, 1);
export const rule = (name: string): Expression => ({ kind: 'rule', name });
/** A text's UTF-8. */
export const literal = (text: string): Expression => sequence(...Array.from(new TextEncoder().encode(text), (byte) => bytes([byte, byte])));
export const nothing = sequence();
/** A special token, which is read as one symbol beyond the bytes. */
export const symbol = (token: number): Expression => ({ kind: 'symbol', token });
/** The same texts; positions within say so (`Position.tagged`). */
export const tagged = (part: Expression): Expression => ({ kind: 'tagged', part });
/** Any text, special tokens too, up to and with the first `mark`. */
export const textUntil = (mark: Mark): Expression => ({ kind: 'text', mark, at: 'anywhere', upTo: 'mark' });
/** Any text that has no `mark` in it, or (`start`) that does not begin with it. */
export const textWithout = (mark: Mark, at: 'anywhere' | 'start'): Expression => ({ kind: 'text', mark, at, upTo: 'end' });

/** Where special tokens begin among the symbols that a grammar reads. */
export const SYMBOLS = 256;

/** How deep rules may nest, as a JSON text's brackets do. More would be a model going in circles. */
const MOST_DEPTH = 200;
/** States of one grammar. A schema that says {"maxLength": 100000} asks for as many. */
const MOST_STATES = 200_000;

interface State {
  /** By a byte in low…high to another state. */
  readonly moves: { readonly low: number; readonly high: number; readonly to: number }[];
  /** Without reading. */
  readonly jumps: number[];
  /** Into a rule, to go on at `to` after it. */
  readonly calls: { readonly rule: string; readonly to: number }[];
  /** The last state of a rule. */
  isEnd: boolean;
  readonly isTagged: boolean;
}

/** A path: where it stands, and where it goes on after each rule it is in. Equal paths are one object. */
interface Path {
  readonly state: number;
  readonly after: Path | null;
  readonly id: number;
  /** Rules it is in. */
  readonly depth: number;
  /** It stands in a `tagged` part, or in a rule that was called from one. */
  readonly isTagged: boolean;
}

/** All paths that the bytes so far allow. Belongs to its grammar; equal sets are one object. */
export interface Position {
  /** What has been read is whole. */
  readonly complete: boolean;
  /** All that can follow is within `tagged` parts. */
  readonly tagged: boolean;
  /** After one more byte, or SYMBOLS + a special token; null where the grammar has no such thing. */
  next(symbol: number): Position | null;
}

export class Grammar {
  readonly start: Position;
  readonly #rules: ReadonlyMap<string, Expression>;
  readonly #entries = new Map<string, number>();
  readonly #states: State[] = [];
  readonly #paths = new Map<string, Path>();
  readonly #positions = new Map<string, Position>();
  #inTagged = false;

  /** Throws ConstraintError where a rule is missing, calls itself before reading anything, or the whole is too large. */
  constructor(root: Expression, rules: ReadonlyMap<string, Expression> = new Map()) {
    this.#rules = rules;
    const first = this.#add();
    this.#state(this.#compile(root, first)).isEnd = true;
    this.start = this.#positionOf([this.#path(first, null)]);
  }

  #add(): number {
    if (this.#states.length >= MOST_STATES) {
      throw new ConstraintError(`the constraint needs over ${MOST_STATES.toLocaleString('en')} states: lower its lengths, counts or repetitions`);
    }
    return this.#states.push({ moves: [], jumps: [], calls: [], isEnd: false, isTagged: this.#inTagged }) - 1;
  }

  /** Every number that is passed is one `#add` gave. */
  #state(index: number): State {
    return this.#states[index] as State;
  }

  /** Lays an expression from a state on; returns the state it ends in. */
  #compile(expression: Expression, from: number): number {
    switch (expression.kind) {
      case 'bytes': {
        const to = this.#add();
        for (const [low, high] of expression.ranges) this.#state(from).moves.push({ low, high, to });
        return to;
      }
      case 'sequence': {
        let at = from;
        for (const part of expression.parts) at = this.#compile(part, at);
        return at;
      }
      case 'choice': {
        const to = this.#add();
        for (const option of expression.options) {
          const start = this.#add();
          this.#state(from).jumps.push(start);
          this.#state(this.#compile(option, start)).jumps.push(to);
        }
        return to;
      }
      case 'repeat': {
        const { part, least, most } = expression;
        let at = from;
        for (let i = 0; i < least; i++) at = this.#compile(part, at);
        if (most === Infinity) {
          const loop = this.#add();
          this.#state(at).jumps.push(loop);
          this.#state(this.#compile(part, loop)).jumps.push(loop);
          const to = this.#add();
          this.#state(loop).jumps.push(to);
          return to;
        }
        const to = this.#add();
        for (let i = least; i < most; i++) {
          this.#state(at).jumps.push(to);
          at = this.#compile(part, at);
        }
        this.#state(at).jumps.push(to);
        return to;
      }
      case 'rule': {
        const to = this.#add();
        this.#state(from).calls.push({ rule: expression.name, to });
        return to;
      }
      case 'symbol': {
        const to = this.#add();
        this.#state(from).moves.push({ low: SYMBOLS + expression.token, high: SYMBOLS + expression.token, to });
        return to;
      }
      case 'tagged': {
        const outside = this.#inTagged;
        this.#inTagged = true;
        const start = this.#add();
        this.#state(from).jumps.push(start);
        const end = this.#compile(expression.part, start);
        this.#inTagged = outside;
        return end;
      }
      case 'text': return this.#compileText(expression, from);
      default:
        return expression satisfies never;
    }
  }

  /**
   * Text and a mark: the automaton of Knuth, Morris and Pratt (1977) with a state for each beginning of the mark that the text ends
   * in. Every byte leads somewhere, so that of all texts only those with the mark are apart.
   */
  #compileText({ mark, at, upTo }: Extract<Expression, { kind: 'text' }>, from: number): number {
    const wanted = [...new TextEncoder().encode(mark.text)];
    const to = this.#add();
    const states = wanted.map(() => this.#add());
    // Where the mark counts at the start only, a text that has gone another way is free for good.
    const free = at === 'start' ? this.#add() : (states[0] ?? to);
    this.#state(from).jumps.push(states[0] ?? to);
    const failures = [0];
    for (let i = 1, length = 0; i < wanted.length; i++) {
      while (length > 0 && wanted[i] !== wanted[length]) length = failures[length - 1] ?? 0;
      if (wanted[i] === wanted[length]) length++;
      failures[i] = length;
    }
    const after = (state: number, byte: number): number => {
      if (at === 'start') return wanted[state] === byte ? state + 1 : -1;
      for (let matched = state; ; matched = failures[matched - 1] ?? 0) {
        if (wanted[matched] === byte) return matched + 1;
        if (matched === 0) return 0;
      }
    };
    const moves = (index: number, next: (byte: number) => number): void => {
      const target = (byte: number): number | undefined => {
        const reached = next(byte);
        return reached === wanted.length ? (upTo === 'mark' ? to : undefined) : reached < 0 ? free : states[reached];
      };
      const { moves: list, jumps } = this.#state(index);
      for (let low = 0, byte = 1; byte <= 256; byte++) {
        const same = target(low);
        if (byte < 256 && target(byte) === same) continue;
        if (same !== undefined) list.push({ low, high: byte - 1, to: same });
        low = byte;
      }
      // Special tokens belong to free text, and the mark's own is the mark.
      const own = mark.token === undefined || (at === 'start' && index === free) ? undefined : SYMBOLS + mark.token;
      if (own === undefined) list.push({ low: SYMBOLS, high: Infinity, to: free });
      else list.push({ low: SYMBOLS, high: own - 1, to: free }, { low: own + 1, high: Infinity, to: free });
      if (own !== undefined && upTo === 'mark') list.push({ low: own, high: own, to });
      if (upTo === 'end') jumps.push(to);
    };
    for (const [state, index] of states.entries()) moves(index, (byte) => after(state, byte));
    if (at === 'start') moves(free, () => -1);
    return to;
  }

  /** The first state of a rule; compiled when it is first called. */
  #entry(name: string): number {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const expression = this.#rules.get(name);
    if (expression === undefined) throw new ConstraintError(`the grammar has no rule "${name}"`);
    const start = this.#add();
    this.#entries.set(name, start);
    this.#state(this.#compile(expression, start)).isEnd = true;
    return start;
  }

  #path(state: number, after: Path | null): Path {
    const key = `${state} ${after?.id ?? -1}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      const isTagged = this.#state(state).isTagged || after?.isTagged === true;
      this.#paths.set(key, path = { state, after, id: this.#paths.size, depth: after === null ? 0 : after.depth + 1, isTagged });
    }
    return path;
  }

  /** The position of paths and all that is reached from them without reading. */
  #positionOf(paths: Iterable<Path>): Position {
    const reached = new Set<Path>();
    const open = [...paths];
    let complete = false;
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (reached.has(path)) continue;
      if (path.depth > MOST_DEPTH) throw new ConstraintError('a rule of the grammar calls itself before it reads anything, or nests deeper than 200');
      reached.add(path);
      const { jumps, calls, isEnd } = this.#state(path.state);
      for (const to of jumps) open.push(this.#path(to, path.after));
      for (const call of calls) open.push(this.#path(this.#entry(call.rule), this.#path(call.to, path.after)));
      if (isEnd && path.after === null) complete = true;
      else if (isEnd && path.after !== null) open.push(path.after);
    }
    const reading = [...reached].filter(({ state }) => this.#state(state).moves.length > 0).toSorted((a, b) => a.id - b.id);
    const key = `${complete} ${reading.map(({ id }) => id).join(' ')}`;
    let position = this.#positions.get(key);
    if (position === undefined) this.#positions.set(key, position = this.#makePosition(reading, complete));
    return position;
  }

  #makePosition(reading: readonly Path[], complete: boolean): Position {
    const known: (Position | null | undefined)[] = [];
    const symbols = new Map<number, Position | null>();
    return {
      complete, tagged: reading.every(({ isTagged }) => isTagged),
      next: (symbol) => {
        const before = symbol < SYMBOLS ? known[symbol] : symbols.get(symbol);
        if (before !== undefined) return before;
        const reached: Path[] = [];
        for (const { state, after } of reading) {
          for (const { low, high, to } of this.#state(state).moves) if (symbol >= low && symbol <= high) reached.push(this.#path(to, after));
        }
        const position = reached.length === 0 ? null : this.#positionOf(reached);
        if (symbol < SYMBOLS) known[symbol] = position;
        else symbols.set(symbol, position);
        return position;
      },
    };
  }
}
