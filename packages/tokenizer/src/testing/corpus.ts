/**
 * Nasty text for tests, from a seed: many scripts, emoji, code, white space of every kind, controls, marks, numbers and
 * code points at random, put together at random so that everything meets everything.
 */

/** SplitMix32: a seed's numbers in 0…bound−1. */
export function numbers(seed: number): (bound: number) => number {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) % bound;
  };
}

const SENTENCES: readonly string[] = [
  "The quick brown fox didn't jump; it'll wait, they've said — I'm sure we'd agree that's what you're after.",
  "IT'S OK, WE'LL SEE, THEY'VE GONE, I'M HERE, YOU'RE LATE, HE'D KNOW, DON'T. 'S 'T 'Re 've'm 'LL'd ''s '’s ’s",
  'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich; naïve café, façade, Ångström, İstanbul, ſtraße.',
  'Съешь же ещё этих мягких французских булок, да выпей чаю. Ελληνικά: Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.',
  '人之初，性本善。性相近，习相远。「苟不教」，性乃迁……教之道，贵以专！㐀㐁𠀀𠀁𪚥',
  'いろはにほへと ちりぬるを、カタカナ・ﾊﾝｶｸ。한국어 텍스트는 이렇게 생겼습니다. ㄱㄴㄷ 각',
  'हिन्दी में लिखा हुआ पाठ, क्षत्रिय। ไทยไม่มีช่องว่างระหว่างคำ မြန်မာ ខ្មែរ தமிழ் বাংলা',
  'نص عربي من اليمين إلى اليسار، مع أرقام ١٢٣٤٥ وتشكيلٌ. עברית עם ניקוד: שָׁלוֹם. فارسی ۱۲۳',
  '👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇫🇷🇩🇪 ❤️ 1️⃣ 🧑🏿‍🚀🙂🙃 ☃︎ ☃️ 🫠𝒜𝓑𝕮 𝟘𝟙𝟚 ①②③ ½¾ Ⅷ ² ³ ١ 一二三',
  'function f(x: number): string {\n\tif (x >= 10_000) { return `${x.toFixed(2)}…`; }\n    // TODO: \\n\n\treturn "x" + x;\n}\n',
  'def f(self, *args, **kwargs):\r\n        return {k: v for k, v in zip(args, range(1234567890))}\r\n\r\n\r\n',
  '<div class="a  b">&nbsp;</div>\n\n\n<!-- comment -->\n{"key": [1, 2.5, -3e10, null, true], "ключ": "значение"}',
  'https://example.com/path?q=a%20b&x=1#frag user@example.com C:\\Users\\me\\file.txt 192.168.0.1 2024-02-29T23:59:60Z',
  '<|endoftext|> <|im_end|> <|fim_prefix|> <s>[INST] </s> <pad> ### Assistant:',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ===========================  ......... !!!!??!!',
  '3.14159265358979 1,234,567.89 0x1F600 1e-9 007 12 345 6789 12345678901234567890 v1.2.3-rc.4 100% $5 €10 £3',
];
const SPACES: readonly string[] = [
  ' ', ' ', '  ', '   ', '\n', '\n\n', '\t', '\t\t', '\r\n', '\r', ' \n ', '\n  \n', '\u00a0', '\u2003', '\u3000', '\u2028', '\u000b', '\u000c',
  '\u1680', '\u202f', '\u205f', '     \n', '\n     ', ' \u00a0 ', '\u200b', '\u200d', '\u2060', '\u180e', '\u0000', '\u0007', '\u001c', '\u007f',
];
/** The two characters on which JavaScript's `\s` and Unicode's White_Space differ. */
export const DISPUTED_SPACES = ['\u0085', '\ufeff'] as const;
const MARKS: readonly string[] = ['\u0301', '\u0308', '\u20dd', '\ufe0f', '\u0338', '\u064b', '\u093f', '\u3099', '\u{1d165}', '\u{e0100}'];

/** A text of about `length` code units. Lone surrogates only when asked for. */
export function nastyText(seed: number, length: number, { surrogates = false, disputed = false } = {}): string {
  const below = numbers(seed);
  const pick = (list: readonly string[]): string => list[below(list.length)] ?? '';
  let text = '';
  while (text.length < length) {
    const kind = below(12);
    if (kind < 4) {
      const sentence = pick(SENTENCES);
      const start = below(sentence.length);
      text += sentence.slice(start, start + 1 + below(60)).toWellFormed().replaceAll('\ufffd', '');
    } else if (kind < 6) text += pick(SPACES);
    else if (kind === 6) text += pick(MARKS);
    else if (kind === 7) text += String(below(2 ** 31)).slice(0, 1 + below(10));
    else if (kind === 8) text += String.fromCodePoint(below(0x250));
    else if (kind === 9) text += codePoint(below, surrogates);
    else if (kind === 10) text += pick(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'Re", "'LL", "'", ' ', "'\u017f"]);
    else text += disputed ? pick(DISPUTED_SPACES) : pick(SENTENCES).slice(0, 12).toWellFormed();
  }
  return disputed ? text : text.replaceAll(/[\u0085\ufeff]/g, '');
}

/** Any code point, those people use more often than the rest. */
function codePoint(below: (bound: number) => number, surrogates: boolean): string {
  const bound = [0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000][below(6)] ?? 0x80;
  const point = below(bound);
  if (!surrogates && point >= 0xd800 && point < 0xe000) return '\ufffd';
  return point > 0xffff ? String.fromCodePoint(point) : String.fromCharCode(point);
}
