import { expect, test } from 'vitest';
import { Decontaminator, type EvaluationItem } from './decontaminate.ts';
import { DigestSet } from './digest-set.ts';
import type { Document } from './document.ts';
import { keyOf, permute } from './permutation.ts';

const text = (content: string): Document => ({ kind: 'text', text: content, path: 'x', line: 1 });
const chat = (...contents: string[]): Document => ({
  kind: 'conversation', path: 'x', line: 1, messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' as const : 'assistant' as const, content })),
});
const with_ = (items: readonly EvaluationItem[], options = {}): Decontaminator => {
  const decontaminator = new Decontaminator(options);
  for (const item of items) decontaminator.add(item);
  return decontaminator;
};
const drops = (decontaminator: Decontaminator, document: Document): boolean => 'drop' in decontaminator.screen(document);

let step = 0;
const below = (n: number): number => keyOf(29, step++) % n;
const words = (n: number): string[] => Array.from({ length: n }, () => (permute(below(5000), 5000, 3) + 50_000).toString(36));
const hanzi = (n: number): string[] => Array.from({ length: n }, () => String.fromCharCode(0x4e00 + below(6000)));

test.each([['English', words, ' '], ['Chinese', hanzi, '']] as const)(
  'long %s items: copies in longer documents, passages of them and copies with every 40th word changed are found; other texts are not',
  (_, write, space) => {
    const items = Array.from({ length: 60 }, () => write(20 + below(300)));
    const decontaminator = with_(items.map((item, i) => ({ set: i % 2 === 0 ? 'even' : 'odd', texts: [item.join(space)] })));
    for (const item of items) {
      const around = [...write(400), ...item, ...write(400)];
      expect(drops(decontaminator, text(around.join(space)))).toBe(true);
      expect(drops(decontaminator, text(item.join(space).toUpperCase().replaceAll(' ', ', ')))).toBe(true);
      expect(drops(decontaminator, chat('What is it?', around.join(space)))).toBe(true);
    }
    for (const item of items.filter(({ length }) => length >= 60)) {
      expect(drops(decontaminator, text(item.slice(10, 40).join(space)))).toBe(true);
      expect(drops(decontaminator, text(item.map((word, at) => (at % 40 === 39 ? write(1)[0] : word)).join(space)))).toBe(true);
    }
    // A quotation of a tenth is no copy.
    for (const item of items.filter(({ length }) => length >= 200)) {
      expect(drops(decontaminator, text([...write(300), ...item.slice(0, 20), ...write(300)].join(space)))).toBe(false);
    }
    for (let i = 0; i < 300; i++) expect(drops(decontaminator, text(write(50 + below(500)).join(space)))).toBe(false);
    const [even, odd] = decontaminator.report;
    expect(even).toMatchObject({ set: 'even', items: 30, tooShort: 0, found: 30, cut: 0 });
    expect(odd).toMatchObject({ set: 'odd', items: 30, found: 30 });
  },
);

/** The definition: every run of 13 words as a string. */
function slowContains(item: readonly string[], document: readonly string[], share: number): boolean {
  const runs = (all: readonly string[]): string[] => Array.from({ length: Math.max(0, all.length - 12) }, (_, i) => all.slice(i, i + 13).join(' '));
  const [of, within] = [new Set(runs(item)), runs(document)];
  const both = new Set(within.filter((run) => of.has(run))).size;
  return both > 0 && both >= share * Math.min(runs(item).length, within.length);
}

test('fast and slow agree on 600 pairs of texts with parts in common, at shares from 0.02 to 1', () => {
  let agreed = 0;
  for (let i = 0; i < 600; i++) {
    const item = words(13 + below(60));
    const from = below(item.length);
    const document = [...words(below(40)), ...item.slice(from, from + 5 + below(60)), ...words(13 + below(40))];
    const share = [0.02, 0.1, 0.25, 0.5, 0.9, 1][i % 6] ?? 0.5;
    const slow = slowContains(item, document, share);
    expect(drops(with_([{ set: 'x', texts: [item.join(' ')] }], { share }), text(document.join(' ')))).toBe(slow);
    if (slow) agreed++;
  }
  expect(agreed).toBeGreaterThan(60);
  expect(agreed).toBeLessThan(540);
});

test.each([
  [text('Who wrote the first English dictionary?'), true], [text('Question: who wrote the first english dictionary\nAnswer: Cawdrey'), true],
  [chat('Who wrote the first English dictionary?', 'Robert Cawdrey.'), true], [chat('Tell me: Who wrote the first English dictionary?', 'Robert Cawdrey.'), true],
  [chat('What does "Who wrote the first English dictionary?" mean?', 'It asks for a name.'), true],
  [text('I asked him who wrote the first English dictionary and he did not know.'), false], [text('Who wrote the first German dictionary?'), false],
])('a short item is found where it stands by itself: %#', (document, found) => {
  expect(drops(with_([{ set: 'x', texts: ['Who wrote the first English dictionary?'] }]), document)).toBe(found);
});

test('a pair is found where one side stands by itself and the other occurs; one side alone, or a pair of others, is not it', () => {
  const pairs = with_([{ set: 'pairs', texts: ['Hi.', '嗨。'] }, { set: 'pairs', texts: ['I like tea.', '我喜欢茶。'] }]);
  expect(drops(pairs, chat('Translate into Chinese: I like tea.', '我喜欢茶。'))).toBe(true);
  expect(drops(pairs, chat('我喜欢茶。用英语怎么说？', 'I like tea.'))).toBe(true);
  expect(drops(pairs, text('hi\n嗨'))).toBe(true);
  expect(drops(pairs, chat('Hi.', 'I like tea.'))).toBe(false);
  expect(drops(pairs, chat('我喜欢茶。', '我也是。'))).toBe(false);
  expect(drops(pairs, chat('Translate into Chinese: I like coffee.', '我喜欢咖啡。'))).toBe(false);
});

test('what is too short to be told from anything else is counted, not looked for', () => {
  const decontaminator = with_([{ set: 'x', texts: ['How are you?'] }, { set: 'x', texts: ['你好吗'] }, { set: 'x', texts: ['…'] }, { set: 'x', texts: ['请问现在几点钟了'] }]);
  expect(drops(decontaminator, chat('How are you?', 'Fine.'))).toBe(false);
  expect(drops(decontaminator, chat('请问现在几点钟了？', '三点。'))).toBe(true);
  expect(decontaminator.report).toEqual([{ set: 'x', items: 4, tooShort: 3, found: 1, dropped: 1, cut: 0 }]);
});

test('a phrase that eight items share finds none of the later ones, and the runs of their own still do', () => {
  const phrase = words(20);
  const own = Array.from({ length: 30 }, () => words(40));
  const decontaminator = with_(own.map((rest, i) => ({ set: String(i), texts: [[...phrase, ...rest].join(' ')] })));
  expect(drops(decontaminator, text([...words(100), ...phrase, ...words(100)].join(' ')))).toBe(false);
  for (const [i, rest] of own.entries()) {
    expect(drops(decontaminator, text([...words(50), ...rest].join(' ')))).toBe(true);
    expect(decontaminator.report[i]?.found).toBe(1);
  }
});

test('with cut, the lines with items go and the rest stays; a conversation, or a text with little left, is dropped', () => {
  const item = words(40).join(' ');
  const [before, after] = [words(60).join(' '), words(60).join(' ')];
  const decontaminator = with_([{ set: 'x', texts: [item] }, { set: 'x', texts: ['Who wrote the first English dictionary?'] }], { cut: true });
  expect(decontaminator.screen(text(`${before}\n\n${item}\n\n${after}`))).toMatchObject({ keep: { text: `${before}\n\n${after}` }, cut: true });
  expect(decontaminator.screen(text(`${before}\nQ: Who wrote the first English dictionary?\n${after}`))).toMatchObject({ keep: { text: `${before}\n${after}` }, cut: true });
  expect(drops(decontaminator, text(`short\n\n${item}`))).toBe(true);
  expect(drops(decontaminator, chat(before, `${item}\n${after}`))).toBe(true);
  expect(decontaminator.screen(text(before))).toEqual({ keep: text(before), cut: false });
  expect(decontaminator.report).toEqual([{ set: 'x', items: 2, tooShort: 0, found: 2, dropped: 2, cut: 2 }]);
});

test('memory: at most 43 bytes a run of an item, and a fixed 60 kB', () => {
  const decontaminator = with_(Array.from({ length: 200 }, (_, i) => ({ set: 'x', texts: [words(100 + i).join(' ')] })));
  const runs = Array.from({ length: 200 }, (_, i) => 88 + i).reduce((sum, count) => sum + count, 0);
  expect(decontaminator.bytes).toBeLessThanOrEqual(43 * runs + 60_000);
});

test('a set of digests knows what was added, as a Set of strings does', () => {
  const set = new DigestSet();
  const slow = new Set<string>();
  for (let i = 0; i < 8000; i++) {
    const digest = Buffer.alloc(32);
    for (let at = 0; at < 12; at += 4) digest.writeUInt32LE(keyOf(31, below(3000), at), at);
    if (i === 0) digest.fill(0);
    const key = digest.toString('latin1', 0, 12);
    expect(set.add(digest)).toBe(!slow.has(key));
    slow.add(key);
  }
  expect(set.size).toBe(slow.size);
});
