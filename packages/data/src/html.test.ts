import { expect, test } from 'vitest';
import { decodeEntities } from './entities.ts';
import { pageText, stripTags } from './html.ts';

const PAGE = `<!doctype html><html><head><title>Bread &amp; Co</title><style>p > a { color: red }</style>
<script>if (a < b) document.write("<p>never</p>");</script></head><body>
<header><a href="/">Home</a> <a href="/shop">Shop</a></header>
<nav><ul><li><a href="/a">All recipes</a></li><li><a href="/b">About us</a></li></ul></nav>
<div class="body"><h1><a href="#">Rye   bread</a></h1>
<p>Rye bread keeps for a <b>week</b>,<br>and is better on
the second day.</p>
<ul><li>500&nbsp;g rye flour</li><li>a little <a href="/salt">salt</a></li></ul>
<pre>knead  10 min
rest    8 h</pre>
<table><tr><th>Step</th><th>Time</th></tr><tr><td>Bake</td><td>1 h</td></tr></table>
<p><a href="/1">Wheat bread</a> <a href="/2">Spelt bread</a> <a href="/3">Corn bread</a></p></div>
<!-- <p>a comment</p> --><footer>© 2024 Bread &amp; Co</footer></body></html>`;

test('a page becomes its main text: no navigation, scripts, footers or blocks of links, lists and tables in lines', () => {
  expect(pageText(PAGE)).toBe(
    'Rye bread\n\nRye bread keeps for a week,\nand is better on the second day.\n\n- 500\u00a0g rye flour\n- a little salt\n\n' +
    'knead  10 min\nrest    8 h\n\nStep | Time\nBake | 1 h');
});

test('<main> and <article> are taken where they say enough, all of the body where not', () => {
  const long = 'This sentence is part of the article, and there is another one after it. '.repeat(4);
  expect(pageText(`<body><div>Menu text of some length</div><article><p>${long}</p></article><div>Other news</div></body>`)).toBe(long.trim());
  expect(pageText('<body><main></main><p>All of it.</p></body>')).toBe('All of it.');
  expect(pageText('<nav><p>Never closed, but the only text')).toBe('Never closed, but the only text');
  expect(pageText('')).toBe('');
});

test('tags go, what only looks like one stays', () => {
  expect(stripTags('<p>One<br/>two &lt;three&gt; <a href="x>y">four</a></p><!-- five --><script>six()</script>')).toBe('\nOne\ntwo <three> four\n');
  for (const text of ['a < b and c > d', 'List<String> xs', 'if (x<y && z>w)', 'I <3 you', 'AT&T &unknown; R&D']) expect(stripTags(text)).toBe(text);
});

test('character references: named, decimal, hexadecimal, accented, and Windows-1252 numbers as HTML has them', () => {
  expect(decodeEntities('&eacute;&Uuml;&ccedil;&#233;&#xE9;&#128512;&#146;&hellip;&amp;lt;')).toBe('éÜçéé😀’…&lt;');
  expect(decodeEntities('&#0; &#xD800; &bogus; & &;')).toBe('&#0; &#xD800; &bogus; & &;');
});

test('a hundred thousand unclosed tags and quotes are read in seconds, not in the hours of a quadratic pattern', () => {
  const started = performance.now();
  for (const piece of ['<div ', '<a href="', '<', '&', '<!--', '<nav>', '<p><a>x']) pageText(piece.repeat(100_000));
  expect(performance.now() - started).toBeLessThan(30_000);
});
