/**
 * Translates the regular expressions of tokenizer.json into JavaScript's. Hugging Face runs them in Oniguruma (Ruby
 * syntax, UTF-8); the same characters can mean something else here, so every construct is parsed: what has an exact
 * counterpart is rewritten to it, everything else is refused by name. Nothing is passed through on trust.
 *
 * Differences that matter: `\s` is Unicode's White_Space; `.` excludes only `\n`; `^` and `$` are always at lines;
 * `++`, `*+`, `?+` and `(?>…)` never give back (written here as a lookahead that captures, and a reference to it);
 * `(?i:…)` is spelled out as sets of letters, since not every runtime has modifiers; `{n,m}+` is possessive in PCRE but
 * not in Ruby's syntax, and is refused.
 */
import { TokenizerFormatError } from './errors.ts';

const WHITE_SPACE = String.raw`\p{White_Space}`;
/** Escapes with the same meaning inside and outside of a set. */
const CONTROL_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['n', 0x0a], ['r', 0x0d], ['t', 0x09], ['f', 0x0c], ['a', 0x07], ['e', 0x1b],
]);
/** General categories by their one- and two-letter names; the long names and the scripts are tried in JavaScript. */
const GENERAL_CATEGORY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfson]?)$/;

/** A sticky, Unicode-aware JavaScript expression that matches exactly what `pattern` does in Hugging Face's tokenizers. */
export function translatePattern(pattern: string, field = 'pattern'): RegExp {
  const source = new Translator(pattern, field).translate();
  try {
    return new RegExp(source, 'gu');
  } catch (cause) {
    throw new TokenizerFormatError(field, `the regular expression ${JSON.stringify(pattern)} cannot be compiled`, { cause });
  }
}

/** One character as a literal of a `u` expression, in or out of a set. */
const literal = (codePoint: number): string =>
  /^[0-9A-Za-z ]$/.test(String.fromCodePoint(codePoint)) ? String.fromCodePoint(codePoint) : `\\u{${codePoint.toString(16)}}`;

class Translator {
  readonly #pattern: string;
  readonly #characters: readonly string[];
  readonly #field: string;
  #at = 0;
  #captures = 0;

  constructor(pattern: string, field: string) {
    this.#pattern = pattern;
    this.#characters = Array.from(pattern);
    this.#field = field;
  }

  translate(): string {
    const source = this.#alternatives(false);
    if (this.#at < this.#characters.length) this.#refuse('an unmatched `)`');
    return source;
  }

  #peek(offset = 0): string {
    return this.#characters[this.#at + offset] ?? '';
  }

  #take(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#peek(i) !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  #refuse(what: string): never {
    throw new TokenizerFormatError(
      this.#field,
      `the regular expression ${JSON.stringify(this.#pattern)} has ${what} at character ${this.#at}, which Parley does not ` +
        'translate: rewrite the pattern without it',
    );
  }

  #alternatives(ignoreCase: boolean): string {
    let source = '';
    while (this.#at < this.#characters.length && this.#peek() !== ')') {
      source += this.#take('|') ? '|' : this.#quantified(ignoreCase);
    }
    return source;
  }

  #quantified(ignoreCase: boolean): string {
    const atom = this.#atom(ignoreCase);
    const counted = this.#quantifier();
    if (counted === '') return atom;
    // A quantifier takes the atom whole: what is longer than one element already stands in a group.
    let source = atom + counted;
    if (this.#peek() === '?') {
      if (counted.startsWith('{') && !counted.includes(',')) this.#refuse('`{n}?`, which means different things in different engines');
      this.#at++;
      source += '?';
    } else if (this.#peek() === '+') {
      if (counted.startsWith('{')) this.#refuse('`{n,m}+`, which means different things in different engines');
      this.#at++;
      source = this.#atomic(source);
    }
    if (/^[*+?]/.test(this.#peek())) this.#refuse('a quantifier of a quantifier');
    return source;
  }

  #quantifier(): string {
    const next = this.#peek();
    if (next === '*' || next === '+' || next === '?') {
      this.#at++;
      return next;
    }
    if (next !== '{') return '';
    const rest = this.#characters.slice(this.#at, this.#at + 24).join('');
    const match = /^\{(\d+)(,(\d*))?\}/.exec(rest);
    if (match === null) this.#refuse('a `{` that is not `{n}`, `{n,}` or `{n,m}`');
    this.#at += match[0].length;
    return match[0];
  }

  /** Matches as `source` does first, and does not give back: a lookahead is never entered twice. */
  #atomic(source: string): string {
    const name = `held${this.#captures++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  #atom(ignoreCase: boolean): string {
    const character = this.#peek();
    this.#at++;
    switch (character) {
      case '(':
        return this.#group(ignoreCase);
      case '[':
        return this.#set(ignoreCase);
      case '\\':
        return this.#escape(ignoreCase, false);
      case '.':
        return '[^\\n]';
      case '^':
        return '(?:(?<![^])|(?<=\\n)(?=[^]))';
      case '$':
        return '(?=\\n|(?![^]))';
      case '*':
      case '+':
      case '?':
      case '{':
        this.#at--;
        return this.#refuse(`a \`${character}\` with nothing before it`);
      default:
        return this.#letter(character.codePointAt(0) as number, ignoreCase, false);
    }
  }

  #group(ignoreCase: boolean): string {
    let open = '(?:';
    let inside = ignoreCase;
    let atomic = false;
    if (this.#take('?')) {
      if (this.#take(':')) open = '(?:';
      else if (this.#take('i:')) inside = true;
      else if (this.#take('-i:')) inside = false;
      else if (this.#take('>')) atomic = true;
      else if (this.#take('=')) open = '(?=';
      else if (this.#take('!')) open = '(?!';
      else if (this.#take('<=')) open = '(?<=';
      else if (this.#take('<!')) open = '(?<!';
      else this.#refuse(`the group \`(?${this.#peek()}\``);
    } else if (this.#peek() === '*') {
      this.#refuse('a verb `(*`');
    }
    const source = this.#alternatives(inside);
    if (!this.#take(')')) this.#refuse('an unclosed `(`');
    return atomic ? this.#atomic(source) : `${open}${source})`;
  }

  /** A literal letter, in every case when cases are ignored. */
  #letter(codePoint: number, ignoreCase: boolean, inSet: boolean): string {
    if (!ignoreCase) return literal(codePoint);
    const character = String.fromCodePoint(codePoint);
    if (codePoint > 0x7f && character.toLowerCase() !== character.toUpperCase()) {
      this.#refuse(`the letter ${JSON.stringify(character)} inside (?i:…)`);
    }
    const lower = character.toLowerCase();
    const upper = character.toUpperCase();
    if (lower === upper) return literal(codePoint);
    // Simple case folding: U+017F folds to s, U+212A to k.
    const cases = `${lower}${upper}${lower === 's' ? '\\u{17f}' : lower === 'k' ? '\\u{212a}' : ''}`;
    return inSet ? cases : `[${cases}]`;
  }

  #escape(ignoreCase: boolean, inSet: boolean): string {
    const character = this.#peek();
    this.#at++;
    switch (character) {
      case 's':
        return inSet ? WHITE_SPACE : `[${WHITE_SPACE}]`;
      case 'S':
        return String.raw`\P{White_Space}`;
      case 'd':
        return String.raw`\p{Nd}`;
      case 'D':
        return String.raw`\P{Nd}`;
      case 'p':
      case 'P':
        if (ignoreCase) this.#refuse('a property inside (?i:…)');
        return this.#property(character === 'P');
      case 'A':
      case 'z':
        if (inSet) this.#refuse(`\`\\${character}\` in a set`);
        return character === 'A' ? '(?<![^])' : '(?![^])';
      case 'x':
      case 'u':
        return this.#letter(this.#hexadecimal(character), ignoreCase, inSet);
      default: {
        const control = CONTROL_ESCAPES.get(character);
        if (control !== undefined) return literal(control);
        if (character === '' || /[0-9A-Za-z]/.test(character)) {
          this.#at--;
          this.#refuse(`the escape \`\\${character}\``);
        }
        return this.#letter(character.codePointAt(0) as number, ignoreCase, inSet);
      }
    }
  }

  #hexadecimal(kind: 'x' | 'u'): number {
    const rest = this.#characters.slice(this.#at, this.#at + 12).join('');
    const match = (kind === 'x' ? /^\{([0-9A-Fa-f]{1,6})\}|^([0-7][0-9A-Fa-f])/ : /^([0-9A-Fa-f]{4})/).exec(rest);
    const codePoint = match === null ? -1 : Number.parseInt(match[1] ?? match[2] ?? '', 16);
    if (match === null || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint < 0xe000)) this.#refuse(`the escape \`\\${kind}\``);
    this.#at += match[0].length;
    return codePoint;
  }

  #property(negated: boolean): string {
    const rest = this.#characters.slice(this.#at, this.#at + 64).join('');
    const match = /^\{(\^?)([A-Za-z_]+)\}/.exec(rest);
    if (match === null) this.#refuse('a property that is not `\\p{Name}`');
    const name = match[2] ?? '';
    const escape = negated !== (match[1] === '^') ? 'P' : 'p';
    const known = GENERAL_CATEGORY.test(name)
      ? name
      : [`General_Category=${name}`, `Script=${name}`].find((candidate) => compiles(`\\p{${candidate}}`));
    if (known === undefined) this.#refuse(`the property \`${name}\``);
    this.#at += match[0].length;
    return `\\${escape}{${known}}`;
  }

  #set(ignoreCase: boolean): string {
    let source = this.#take('^') ? '[^' : '[';
    if (this.#peek() === ']') this.#refuse('a set that begins with `]`');
    for (let first = true; !this.#take(']'); first = false) {
      const character = this.#peek();
      if (character === '') this.#refuse('an unclosed `[`');
      if (character === '[') this.#refuse('an unescaped `[` in a set');
      if (character === '&' && this.#peek(1) === '&') this.#refuse('an intersection of sets');
      if (character === '-' && !first && this.#peek(1) !== ']') this.#refuse('a `-` that is neither a range nor at an end of a set');
      const from = this.#setMember(ignoreCase);
      if (this.#peek() !== '-' || this.#peek(1) === ']') {
        source += from.source;
        continue;
      }
      this.#at++;
      if (this.#peek() === '[' || this.#peek() === '') this.#refuse('an open range');
      const to = this.#setMember(ignoreCase);
      if (from.codePoint === undefined || to.codePoint === undefined) this.#refuse('a range of more than characters');
      if (to.codePoint < from.codePoint) this.#refuse('a range from high to low');
      if (ignoreCase) this.#refuse('a range inside (?i:…)');
      source += `${literal(from.codePoint)}-${literal(to.codePoint)}`;
    }
    return `${source}]`;
  }

  /** One element of a set, with its code point where it is a single character. */
  #setMember(ignoreCase: boolean): { source: string; codePoint?: number } {
    const start = this.#at;
    const character = this.#peek();
    this.#at++;
    if (character !== '\\') {
      const codePoint = character.codePointAt(0) as number;
      return { source: this.#letter(codePoint, ignoreCase, true), codePoint };
    }
    const source = this.#escape(ignoreCase, true);
    if (/^[sSdDpP]$/.test(this.#characters[start + 1] ?? '')) return { source };
    const plain = /^\\u\{([0-9a-f]+)\}$/.exec(source);
    if (plain !== null) return { source, codePoint: Number.parseInt(plain[1] ?? '', 16) };
    return source.length === 1 ? { source, codePoint: source.codePointAt(0) as number } : { source };
  }
}

function compiles(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    return false;
  }
}
