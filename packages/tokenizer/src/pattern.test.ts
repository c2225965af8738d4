import { expect, test } from 'vitest';
import { TokenizerFormatError } from './errors.ts';
import { translatePattern } from './pattern.ts';

const find = (pattern: string, text: string): string[] => Array.from(text.matchAll(translatePattern(pattern)), ([match]) => match);

test.each([
  // White space as Unicode has it, and not as JavaScript's \s: U+0085 is, U+FEFF is not.
  [String.raw`\s+`, 'a\u0085\ufeff b', ['\u0085', ' ']],
  [String.raw`[^\s]+`, 'a\u0085\ufeffb', ['a', '\ufeffb']],
  [String.raw`\S+`, 'a\u0085\ufeffb', ['a', '\ufeffb']],
  [String.raw`\d+`, '12a٣²', ['12', '٣']],
  // Cases of letters: the long s is an s, the Kelvin sign a k.
  [`(?i:'s|'ll)`, "'s'S'ſ'Ll'lL's", ["'s", "'S", "'ſ", "'Ll", "'lL", "'s"]],
  [`(?i:[sk])x`, 'sxSxſxkxKx\u212ax', ['sx', 'Sx', 'ſx', 'kx', 'Kx', '\u212ax']],
  [`a(?i:b(?-i:c)d)e`, 'abcde aBcDe aBCde Abcde', ['abcde', 'aBcDe']],
  // What does not give back.
  ['a++b', 'aaab', ['aaab']],
  ['a++a', 'aaa', []],
  ['(?>a|ab)c', 'abc ac', ['ac']],
  ['(?:(?>a+)b)++c', 'aababc', ['aababc']],
  ['x?+x', 'x xx', ['xx']],
  [String.raw`[^\r\n\p{L}\p{N}]?+\p{L}++`, ' ab,cd', [' ab', ',cd']],
  // Lines, whatever the flags.
  ['^a', 'a\na b', ['a', 'a']],
  ['a$', 'ba\na', ['a', 'a']],
  [String.raw`\Aa|b\z`, 'aab\nb', ['a', 'b']],
  ['.+', 'a\r\u2028b\nc', ['a\r\u2028b', 'c']],
  // Properties, also scripts by their bare names.
  [String.raw`\p{Han}+`, 'ab漢字cd', ['漢字']],
  [String.raw`\p{Lu}\p{^Lu}`, 'aBcD', ['Bc']],
  [String.raw`\P{L}+`, 'ab12cd', ['12']],
  [String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}]+`, 'HelloWorld', ['Hello', 'World']],
  // Characters that JavaScript or Oniguruma would take for syntax.
  [String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\u0060{|}~]+`, 'a!"#[]\\^`~-b', ['!"#[]\\^`~-']],
  [String.raw`[一-龥ࠀ-一가-퟿]+`, 'ab漢字가나cd', ['漢字가나']],
  [String.raw`[😀-😂]{2}`, '😀😁😂', ['😀😁']],
  [String.raw`\x41\x{1F600}B`, 'A😀B', ['A😀B']],
  [String.raw`}]a`, '}]a', ['}]a']],
  ['a{2,3}?', 'aaaaa', ['aa', 'aa']],
  ['(a|b)c|(?=d)d|(?<=d)e|(?<!d)e', 'acdexe', ['ac', 'd', 'e', 'e']],
])('%s in %j', (pattern, text, expected) => {
  expect(find(pattern, text)).toEqual(expected);
});

test.each([
  [String.raw`\p{N}{1,3}+`, '{n,m}+'],
  ['a{2}?', '{n}?'],
  [String.raw`\w+`, '\\w'],
  [String.raw`\bfoo`, '\\b'],
  [String.raw`\h`, '\\h'],
  [String.raw`(a)\1`, '\\1'],
  ['(?<name>a)', '(?<'],
  ['(?i)a', '(?i'],
  ['(?x: a)', '(?x'],
  ['[[:alpha:]]', '['],
  ['[a-z&&[aeiou]]', 'intersection'],
  ['[]a]', ']'],
  ['[a', 'unclosed'],
  ['(a', 'unclosed'],
  ['a)', 'unmatched'],
  ['*a', 'nothing before'],
  ['a**', 'quantifier of a quantifier'],
  ['(?i:é)', 'é'],
  ['(?i:[a-z])', 'range'],
  [String.raw`(?i:\p{Lu})`, 'property inside'],
  [String.raw`\p{Nonsense}`, 'Nonsense'],
  ['[z-a]', 'high to low'],
  ['(*FAIL)', '(*'],
  ['a{x}', '{'],
])('%s is refused, naming %j', (pattern, named) => {
  expect(() => translatePattern(pattern, 'pre_tokenizer.pattern.Regex')).toThrow(TokenizerFormatError);
  expect(() => translatePattern(pattern, 'pre_tokenizer.pattern.Regex')).toThrow(named);
  expect(() => translatePattern(pattern, 'pre_tokenizer.pattern.Regex')).toThrow('pre_tokenizer.pattern.Regex');
});
