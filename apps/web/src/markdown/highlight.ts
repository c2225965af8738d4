/**
 * Colours for code: comments, strings, numbers, keywords, and names that are called. One scanner with a table of languages, about as right
 * as a reader needs and never wrong about the text: the pieces always add up to the code.
 */

export type PieceKind = 'plain' | 'keyword' | 'string' | 'number' | 'comment' | 'name';

export interface Piece {
  readonly kind: PieceKind;
  readonly text: string;
}

interface Language {
  readonly keywords: ReadonlySet<string>;
  readonly comments: readonly RegExp[];
  readonly strings: readonly RegExp[];
  /** SQL writes its words in any case. */
  readonly anyCase?: boolean;
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '));
const SLASHES = /\/\/[^\n]*/y;
const STARS = /\/\*[\s\S]*?(?:\*\/|$)/y;
const HASH = /#[^\n]*/y;
const DASHES = /--[^\n]*/y;
const DOUBLE = /"(?:\\[\s\S]|[^"\\\n])*"?/y;
const SINGLE = /'(?:\\[\s\S]|[^'\\\n])*'?/y;
const BACKTICK = /`(?:\\[\s\S]|[^`\\])*`?/y;
const TRIPLE = /("""|''')[\s\S]*?(?:\1|$)/y;

const C_LIKE = { comments: [SLASHES, STARS], strings: [DOUBLE, SINGLE] };
const script: Language = {
  comments: [SLASHES, STARS], strings: [DOUBLE, SINGLE, BACKTICK],
  keywords: words('abstract as async await break case catch class const continue declare default delete do else enum export extends false finally for from function get if implements import in instanceof interface keyof let namespace new null of private protected public readonly return satisfies set static super switch this throw true try type typeof undefined using var void while with yield'),
};
const python: Language = {
  comments: [HASH], strings: [TRIPLE, DOUBLE, SINGLE],
  keywords: words('False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return self try while with yield'),
};
const c: Language = {
  ...C_LIKE,
  keywords: words('alignas auto bool break case catch char class concept const constexpr continue default define delete do double else endif enum explicit extern false float for friend if ifdef ifndef include inline int long namespace new noexcept nullptr operator override private protected public return short signed sizeof static struct switch template this throw true try typedef typename union unsigned using virtual void volatile while'),
};
const java: Language = {
  ...C_LIKE,
  keywords: words('abstract as base bool boolean break byte case catch char class const continue data default do double else enum extends false final finally float for foreach fun if implements import in instanceof int interface internal is let long namespace new null object out override package private protected public readonly record return sealed short static string struct super switch this throw throws true try val var virtual void when where while yield'),
};
const go: Language = {
  comments: [SLASHES, STARS], strings: [DOUBLE, SINGLE, BACKTICK],
  keywords: words('any bool break byte case chan const continue default defer else error fallthrough false float64 for func go goto if import int interface iota len make map nil package range return rune select string struct switch true type uint8 var'),
};
const rust: Language = {
  // A quote is a lifetime's as often as a character's.
  comments: [SLASHES, STARS], strings: [DOUBLE, /'(?:\\[^\n]+?|[^'\\\n])'/y],
  keywords: words('as async await bool break const continue crate dyn else enum extern f32 f64 false fn for i32 i64 if impl in let loop match mod move mut pub ref return self Self static str String struct super trait true type u32 u64 u8 unsafe use usize where while'),
};
const shell: Language = {
  comments: [/#(?<=(?:^|\s)#)[^\n]*/y], strings: [DOUBLE, SINGLE],
  keywords: words('case cd do done echo elif else esac exit export fi for function if in local npm npx pip python python3 node return set source sudo then unset until while'),
};
const sql: Language = {
  comments: [DASHES, STARS], strings: [SINGLE, DOUBLE], anyCase: true,
  keywords: words('add all alter and as asc avg begin between by case commit count create cross default delete desc distinct drop else end exists false foreign from full group having in index inner insert into is join key left like limit max min not null offset on or order outer primary references returning right rollback select set sum table then true union unique update values view when where with'),
};
const css: Language = { comments: [STARS], strings: [DOUBLE, SINGLE], keywords: words('important media supports layer import keyframes container from to auto none inherit initial var calc') };
const markup: Language = { comments: [/<!--[\s\S]*?(?:-->|$)/y], strings: [DOUBLE, /'[^'\n<]*'/y], keywords: words('') };
const data: Language = { comments: [HASH], strings: [DOUBLE, SINGLE], keywords: words('true false null yes no on off') };
const json: Language = { comments: [SLASHES, STARS], strings: [DOUBLE], keywords: words('true false null') };

const LANGUAGES: Readonly<Record<string, Language>> = {
  js: script, javascript: script, jsx: script, mjs: script, ts: script, typescript: script, tsx: script, python, py: python, c, h: c, cpp: c, 'c++': c, cc: c, hpp: c, cuda: c,
  java, kotlin: java, kt: java, csharp: java, cs: java, scala: java, dart: java, swift: java, php: java, go, golang: go, rust, rs: rust, bash: shell, sh: shell, shell, zsh: shell,
  console: shell, sql, css, scss: css, less: css, html: markup, xml: markup, svg: markup, vue: markup, json, jsonc: json, json5: json, yaml: data, yml: data, toml: data, ini: data,
  ruby: python, rb: python, r: python,
};

const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
const NUMBER = /(?:0[xX][\da-fA-F_]+|0[bB][01_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)[a-zA-Z%]*/y;
/** Longer than this is shown without colours: nobody reads it by them, and it is coloured again at every frame while it is written. */
const LIMIT = 30_000;

export function highlight(code: string, name: string | undefined): readonly Piece[] {
  const language = name === undefined ? undefined : LANGUAGES[name.toLowerCase()];
  if (language === undefined || code.length > LIMIT) return [{ kind: 'plain', text: code }];
  const pieces: { kind: PieceKind; text: string }[] = [];
  const add = (kind: PieceKind, text: string): void => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += text;
    else pieces.push({ kind, text });
  };
  const match = (expression: RegExp, at: number): string | undefined => {
    expression.lastIndex = at;
    const found = expression.exec(code)?.[0];
    return found === '' ? undefined : found;
  };
  for (let at = 0; at < code.length;) {
    const first = <T>(list: readonly T[], find: (each: T) => string | undefined): string | undefined => {
      for (const each of list) {
        const found = find(each);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const comment = first(language.comments, (each) => match(each, at));
    const string = comment === undefined ? first(language.strings, (each) => match(each, at)) : undefined;
    const word = comment === undefined && string === undefined ? match(WORD, at) : undefined;
    const number = comment === undefined && string === undefined && word === undefined ? match(NUMBER, at) : undefined;
    const text = comment ?? string ?? word ?? number ?? code.slice(at, at + 1);
    if (comment !== undefined) add('comment', text);
    else if (string !== undefined) add('string', text);
    else if (number !== undefined) add('number', text);
    else if (word !== undefined) add(kindOfWord(language, text, code, at), text);
    else add('plain', text);
    at += text.length;
  }
  return pieces;
}

function kindOfWord(language: Language, word: string, code: string, at: number): PieceKind {
  if (language.keywords.has(language.anyCase === true ? word.toLowerCase() : word)) return 'keyword';
  if (language === markup) return /[</]/.test(code[at - 1] ?? '') ? 'keyword' : 'plain';
  if (language === data || language === css) return code[at + word.length] === ':' ? 'name' : 'plain';
  return code[at + word.length] === '(' ? 'name' : 'plain';
}
