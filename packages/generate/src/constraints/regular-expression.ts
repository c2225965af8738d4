/**
 * JavaScript's regular expressions, the part that a machine without memory can follow: characters, classes, groups, alternatives,
 * quantifiers, and anchors at the ends. Back-references, look-around and word boundaries are refused.
 */
import { ANY, type CodePoints, codePoints, complement } from './code-points.ts';
import { ConstraintError } from './errors.ts';
import { choice, type Expression, nothing, repeat, sequence } from './grammar.ts';

export interface Pattern {
  /** The text begins (ends) where the pattern does. */
  readonly anchoredStart: boolean;
  readonly anchoredEnd: boolean;
  readonly expression: Expression;
}

const DIGITS: CodePoints = [[0x30, 0x39]];
const WORDS: CodePoints = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const SPACES = codePoints([[9, 13], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]]);
const LINE_ENDS: CodePoints = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]];
const CLASSES: Readonly<Record<string, CodePoints>> = {
  d: DIGITS, D: complement(DIGITS), w: WORDS, W: complement(WORDS), s: SPACES, S: complement(SPACES),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, v: 11, f: 12, 0: 0 };

/** `write` says how one of a set of characters looks in the text. Throws ConstraintError, naming the pattern and the place. */
export function parsePattern(source: string, write: (set: CodePoints) => Expression): Pattern {
  const characters = Array.from(source);
  let at = 0;
  const fail = (what: string): never => {
    throw new ConstraintError(`the pattern ${JSON.stringify(source)} has ${what} at character ${at + 1}, which cannot be enforced`);
  };
  const peek = (): string | undefined => characters[at];
  const take = (wanted: string): boolean => {
    if (characters[at] !== wanted) return false;
    at++;
    return true;
  };

  const hexadecimal = (digits: number): number => {
    const text = characters.slice(at, at + digits).join('');
    if (!/^[\da-f]+$/i.test(text) || text.length !== digits) fail(`an escape without ${digits} hexadecimal digits`);
    at += digits;
    return Number.parseInt(text, 16);
  };

  /** After a backslash. */
  const escape = (inClass: boolean): CodePoints => {
    const character = characters[at++] ?? fail('a backslash at its end');
    const known = CLASSES[character];
    if (known !== undefined) return known;
    const control = CONTROLS[character] ?? (inClass && character === 'b' ? 8 : undefined);
    if (control !== undefined) return [[control, control]];
    if (character === 'x') return point(hexadecimal(2));
    if (character === 'u') {
      if (!take('{')) return point(hexadecimal(4));
      const end = characters.indexOf('}', at);
      const value = hexadecimal(end < 0 ? 0 : end - at);
      at++;
      return point(value);
    }
    if (/[a-z0-9]/i.test(character)) fail(`\\${character}`);
    return point(character.codePointAt(0) ?? 0);
  };

  const characterClass = (): CodePoints => {
    const negated = take('^');
    const ranges: (readonly [number, number])[] = [];
    while (!take(']')) {
      const low = take('\\') ? escape(true) : point((characters[at++] ?? fail('a class without its end')).codePointAt(0) ?? 0);
      const single = low.length === 1 && low[0]?.[0] === low[0]?.[1] ? low[0] : undefined;
      if (single !== undefined && peek() === '-' && characters[at + 1] !== ']') {
        at++;
        const high = take('\\') ? escape(true) : point((characters[at++] ?? fail('a class without its end')).codePointAt(0) ?? 0);
        const last = high[0]?.[0] ?? 0;
        if (last < single[0]) fail('a range that runs backwards');
        ranges.push([single[0], last]);
      } else ranges.push(...low);
    }
    const set = codePoints(ranges);
    return negated ? complement(set) : set;
  };

  const atom = (): Expression => {
    const character = characters[at++] ?? fail('no end');
    switch (character) {
      case '.': return write(complement(LINE_ENDS));
      case '[': return write(characterClass());
      case '\\': return write(escape(false));
      case '(': {
        if (take('?')) {
          if (take('<') && /[A-Za-z_$]/.test(peek() ?? '')) at = characters.indexOf('>', at) + 1;
          else if (!take(':')) fail('look-around or a modifier');
        }
        const inner = alternatives();
        if (!take(')')) fail('a group without its end');
        return inner;
      }
      case '^': case '$': return fail(`an anchor (${character}) that is not at an end`);
      case '*': case '+': case '?': case '{': return fail(`a ${character} with nothing before it`);
      default: return write(point(character.codePointAt(0) ?? 0));
    }
  };

  const quantified = (): Expression => {
    const inner = atom();
    let result = inner;
    if (take('*')) result = repeat(inner, 0);
    else if (take('+')) result = repeat(inner, 1);
    else if (take('?')) result = repeat(inner, 0, 1);
    else if (peek() === '{') {
      const [whole = '', least = '', comma, most = ''] = /^\{(\d+)(,(\d*))?\}/.exec(characters.slice(at, at + 16).join('')) ?? [];
      if (whole === '') fail('a { that is no count');
      at += whole.length;
      result = repeat(inner, Number(least), comma === undefined ? Number(least) : comma === ',' ? Infinity : Number(most || comma.slice(1)));
    } else return result;
    take('?'); // Lazy or greedy, the texts are the same.
    return result;
  };

  const branch = (): Expression => {
    const parts: Expression[] = [];
    while (at < characters.length && peek() !== '|' && peek() !== ')' && !(peek() === '$' && at === characters.length - 1)) parts.push(quantified());
    return parts.length === 0 ? nothing : sequence(...parts);
  };

  const alternatives = (): Expression => {
    const options = [branch()];
    while (take('|')) options.push(branch());
    return options.length === 1 ? (options[0] as Expression) : choice(...options);
  };

  const anchoredStart = take('^');
  const expression = alternatives();
  const anchoredEnd = take('$');
  if (at < characters.length) fail(`${JSON.stringify(peek())} without a beginning`);
  // ^a|b$ anchors each alternative by itself, which these two flags cannot say.
  if ((anchoredStart || anchoredEnd) && expression.kind === 'choice' && topLevelBar(characters)) fail('anchors beside alternatives: put the alternatives in a group');
  return { anchoredStart, anchoredEnd, expression };
}

/** The texts that a pattern matches as a whole, or anywhere within them where it has no anchors. */
export function patternText(source: string, write: (set: CodePoints) => Expression, how: 'whole' | 'within'): Expression {
  const { anchoredStart, anchoredEnd, expression } = parsePattern(source, write);
  const rest = repeat(write(ANY), 0);
  const before = how === 'within' && !anchoredStart ? [rest] : [];
  const after = how === 'within' && !anchoredEnd ? [rest] : [];
  return sequence(...before, expression, ...after);
}

const point = (value: number): CodePoints => [[value, value]];

function topLevelBar(characters: readonly string[]): boolean {
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i];
    if (character === '\\') i++;
    else if (inClass) inClass = character !== ']';
    else if (character === '[') inClass = true;
    else if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === '|' && depth === 0) return true;
  }
  return false;
}
