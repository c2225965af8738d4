/**
 * An answer's text as it comes, told apart into what is said and which functions are called with what: a pure state machine. The
 * constraint has made sure that calls are well formed; an answer that its length cut off may end anywhere.
 */
import type { CallForm } from '@parley/tokenizer';

export type Piece =
  | { readonly type: 'text'; readonly text: string }
  /** A call begins. `call` counts an answer's calls from 0. */
  | { readonly type: 'call'; readonly call: number; readonly name: string }
  /** The next part of its arguments' JSON. */
  | { readonly type: 'arguments'; readonly call: number; readonly text: string };

type Mode =
  | 'text'
  /** The trigger has come: which function it is, is being told. */
  | 'begin' | 'arguments' | 'end'
  /** Text that no call can follow. */
  | 'rest';

export class CallParser {
  readonly #form: CallForm;
  readonly #names: readonly string[];
  #mode: Mode = 'text';
  #held = '';
  #call = -1;
  #value = new JsonEnd();

  constructor(form: CallForm, names: readonly string[]) {
    this.#form = form;
    this.#names = names;
  }

  /** Calls that have begun. */
  get calls(): number {
    return this.#call + 1;
  }

  push(text: string): Piece[] {
    this.#held += text;
    const pieces: Piece[] = [];
    while (this.#step(pieces));
    return pieces;
  }

  /** The answer has ended: what was held back is text after all. Of a call without its name nothing is told. */
  flush(): Piece[] {
    const text = this.#mode === 'text' ? this.#take(this.#held.length) : '';
    return text === '' ? [] : [{ type: 'text', text }];
  }

  /** Answers whether there may be more to do at once. */
  #step(pieces: Piece[]): boolean {
    switch (this.#mode) {
      case 'text': {
        const { at, length } = this.#trigger();
        if (at === 'none') this.#mode = 'rest';
        if (at === 'found') this.#mode = 'begin';
        const text = this.#take(length);
        // White space before calls is the form's, not the answer's.
        const said = at === 'found' ? text.trimEnd() : text;
        if (said !== '') pieces.push({ type: 'text', text: said });
        return at !== 'waiting';
      }
      case 'begin': {
        const before = this.#call < 0 ? this.#form.open : this.#form.separator;
        const begins = this.#names.map((name) => before + this.#form.begin(name));
        const which = begins.findIndex((begin) => this.#held.startsWith(begin));
        if (which >= 0) {
          this.#take(begins[which]?.length ?? 0);
          this.#call++;
          this.#mode = 'arguments';
          this.#value = new JsonEnd();
          pieces.push({ type: 'call', call: this.#call, name: this.#names[which] ?? '' });
          return true;
        }
        if (begins.some((begin) => begin.startsWith(this.#held))) return false;
        // Not a call: text that happens to begin like one, or what closes the last one.
        if (this.#call >= 0) this.#held = '';
        this.#mode = 'rest';
        return true;
      }
      case 'arguments': {
        const text = this.#take(this.#value.take(this.#held));
        if (text !== '') pieces.push({ type: 'arguments', call: this.#call, text });
        if (this.#value.whole) this.#mode = 'end';
        return this.#value.whole;
      }
      case 'end': {
        const { end } = this.#form;
        if (this.#held.length < end.length) return false;
        this.#take(end.length);
        this.#mode = 'begin';
        return this.#held !== '';
      }
      case 'rest': {
        const text = this.#take(this.#held.length);
        if (text !== '' && this.#call < 0) pieces.push({ type: 'text', text });
        return false;
      }
      default: return this.#mode satisfies never;
    }
  }

  /** Whether calls have begun in what is held, and how much of it is certainly text. */
  #trigger(): { at: 'found' | 'none' | 'waiting'; length: number } {
    const { trigger, at } = this.#form;
    const held = this.#held;
    if (at === 'start') {
      if (held.startsWith(trigger)) return { at: 'found', length: 0 };
      return trigger.startsWith(held) ? { at: 'waiting', length: 0 } : { at: 'none', length: 0 };
    }
    const found = held.indexOf(trigger);
    if (found >= 0) return { at: 'found', length: found };
    let open = Math.min(trigger.length - 1, held.length);
    while (open > 0 && !held.endsWith(trigger.slice(0, open))) open--;
    return { at: 'waiting', length: held.slice(0, held.length - open).trimEnd().length };
  }

  #take(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }
}

/** Where a JSON value ends, given text that is one. */
class JsonEnd {
  whole = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #isScalar = false;

  /** How many of a text's UTF-16 units belong to the value. */
  take(text: string): number {
    for (let i = 0; i < text.length; i++) {
      if (this.whole) return i;
      const character = text[i] ?? '';
      if (this.#isScalar && !/[\w.+-]/.test(character)) {
        this.whole = true;
        return i;
      }
      this.#read(character);
    }
    return text.length;
  }

  #read(character: string): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') {
        this.#inString = false;
        this.whole = this.#depth === 0;
      }
      return;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth++;
    else if (character === '}' || character === ']') this.whole = --this.#depth === 0;
    else if (this.#depth === 0 && /\S/.test(character)) this.#isScalar = true;
  }
}
