import { expect, test } from 'vitest';
import { highlight } from './highlight.ts';

const kinds = (code: string, language: string): string => highlight(code, language).filter(({ kind }) => kind !== 'plain').map(({ kind, text }) => `${kind}:${text}`).join(' ');

test.each([
  ['ts', 'const x = f(1); // hi', 'keyword:const name:f number:1 comment:// hi'],
  ['python', 'def f(a): # hi\n  return "x"', 'keyword:def name:f comment:# hi keyword:return string:"x"'],
  ['sql', 'SELECT a FROM t -- x', 'keyword:SELECT keyword:FROM comment:-- x'],
  ['json', '{"a": true}', 'string:"a" keyword:true'],
  ['rust', '&\'a str \'c\'', 'keyword:str string:\'c\''],
  ['bash', 'echo $#x # c', 'keyword:echo comment:# c'],
])('%s', (language, code, expected) => {
  expect(kinds(code, language)).toBe(expected);
});

test('the pieces add up to the code, whatever it is', () => {
  const pieces = ['"', '\'', '`', '/*', '*/', '//', '#', '--', '\\', '\n', 'if', '中文', '😀', '1.5e3', '<!--', '"""', ' ', '{', 'x('];
  let seed = 3;
  for (let round = 0; round < 100; round++) {
    let code = '';
    for (let count = 0; count < 30; count++) code += pieces[(seed = (seed * 1103515245 + 12345) % 2147483648) % pieces.length] ?? '';
    for (const language of ['ts', 'python', 'rust', 'sql', 'html', 'yaml', 'bash', 'nothing known']) {
      expect(highlight(code, language).map(({ text }) => text).join('')).toBe(code);
    }
  }
});
