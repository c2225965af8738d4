import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { Markdown } from './markdown.tsx';

const drawn = (text: string, growing = false): string => renderToStaticMarkup(<Markdown text={text} growing={growing} />);

test.each([
  ['[x](javascript:alert(1))'], ['[x](JaVaScRiPt:alert(1))'], ['[x](java\nscript:alert(1))'], ['[x](data:text/html,<script>1</script>)'], ['[x](vbscript:x)'],
  ['<javascript:alert(1)>'], ['![x](javascript:alert(1))'], ['[x](  javascript:alert(1))'], ['[x]: javascript:alert(1)\n\n[x]'], ['[x](file:///etc/passwd)'],
  ['[x](&#106;avascript:alert(1))'],
])('%j leads nowhere', (text) => {
  expect(drawn(text)).not.toMatch(/href=/);
});

test.each([['<img src=x onerror=alert(1)>'], ['<script>alert(1)</script>'], ['a <b onclick="x">b</b>'], ['<svg/onload=alert(1)>'], ['| <i>x</i> |\n|---|\n| <u>y</u> |']])(
  '%j is text, not markup', (text) => {
    const html = drawn(text);
    expect(html).not.toMatch(/<(?:img|script|b|svg|i|u)[ />]/);
    expect(html).toContain('&lt;');
  },
);

test('links that are let through open elsewhere and tell nothing', () => {
  expect(drawn('[a](https://example.org/x?y=1&z=2)')).toContain('href="https://example.org/x?y=1&amp;z=2" target="_blank" rel="noopener noreferrer nofollow"');
});

test('pictures are links: nothing is fetched from where a model says', () => {
  const html = drawn('![a cat](https://example.org/cat.png)');
  expect(html).not.toContain('<img');
  expect(html).toContain('>a cat</a>');
});

test('headings begin under the page\'s, whatever level they were written at', () => {
  expect(drawn('# A\n\n## B')).toContain('<h2 class="heading-1">A</h2><h3 class="heading-2">B</h3>');
  expect(drawn('### A\n\n#### B')).toContain('<h2 class="heading-3">A</h2><h3 class="heading-4">B</h3>');
});

test('lists, tasks, tables with alignment, quotations, rules', () => {
  expect(drawn('3. a\n4. b')).toContain('<ol start="3">');
  expect(drawn('- [x] done\n- [ ] not')).toMatch(/<li class="task">.*checkbox.*checked/);
  expect(drawn('| a |\n|--:|\n| 1 |')).toContain('<td class="align-right">1</td>');
  expect(drawn('> q')).toContain('<blockquote><p>q</p></blockquote>');
  expect(drawn('a\n\n---\n\nb')).toContain('<hr/>');
});

test('lines end where they were ended; entities are characters; code is as it was written', () => {
  expect(drawn('床前明月光\n疑是地上霜')).toContain('床前明月光<br/>疑是地上霜');
  expect(drawn('a &amp; b &#20013; &nope;')).toContain('a &amp; b 中 &amp;nope;');
  expect(drawn('`&amp; <b>`')).toContain('<code>&amp;amp; &lt;b&gt;</code>');
});

test('a mark that is open at the end of a growing text is drawn as if closed', () => {
  expect(drawn('so **bo', true)).toContain('<strong>bo</strong>');
  expect(drawn('so **bo')).toContain('**bo');
});
