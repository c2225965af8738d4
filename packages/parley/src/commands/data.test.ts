import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inspection } from '@parley/data';
import { inspectSource, QUALITY_RULES } from '@parley/data';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viewInspections } from '../data-view.ts';
import { displayWidth } from '../display-width.ts';

const CLI = new URL('../cli.ts', import.meta.url).pathname;
const NANO = new URL('../../../../models/parley-nano', import.meta.url).pathname;

function parley(...args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, 'data', ...args], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const SENTENCES = 'The railway came to the valley in 1871, and with it came people who had never seen a mountain. They built a hotel, two '
  + 'churches and a school, and within ten years the village had become a town of three thousand. Not everyone was happy about that, and some left.';

let folder: string;
let pages: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-data-'));
  pages = join(folder, 'pages.csv');
  const rows = [`<p>${SENTENCES}</p>`, SENTENCES, '它在一八七一年通到了山谷，随之而来的是许多从未见过高山的人们。', 'Too short.', ...[1, 2, 3].map((i) => `${SENTENCES} And so it was in year ${i}.`)];
  await writeFile(pages, `text\n${rows.map((row) => `"${row}"`).join('\n')}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

test('inspect shows counts, languages, lengths, and an example of all that was dropped or changed', async () => {
  const { status, stdout } = await parley('inspect', pages, '--clean', 'html,whitespace', '--quality', 'default', '--languages', 'en', '--samples', '1');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^pages {2}4 documents of 7 \(57\.1%\)/);
  expect(stdout).toMatch(/languages +en 100%/);
  expect(stdout).toMatch(/other language +1 +14\.3% .*\n +pages\.csv:4 \(zh-Hans\) 它在/);
  expect(stdout).toMatch(/few words +1 +14\.3% {3}low: words.*\n +pages\.csv:5 \(2, the limit is 50\) Too short\./);
  expect(stdout).toMatch(/duplicate +1 /);
  expect(stdout).toMatch(/html +1 +25\.0%.*\n +− <p>The railway.*\n +\+ ⏎The railway/);
  expect(stdout).toMatch(/sample 1 of 1\n {4}│ The railway/);
});

test('inspect screens as preparation does: near-duplicates dropped, personal data masked', async () => {
  const letters = join(folder, 'letters.jsonl');
  await writeFile(letters, [`${SENTENCES} Write to anna.k@posteo.de.`, `${SENTENCES} Write to anna.k@posteo.de!`].map((text) => JSON.stringify({ text })).join('\n'));
  const { stdout } = await parley('inspect', letters, '--near-duplicates', '--mask-personal-data', '--samples', '2');
  expect(stdout).toMatch(/near duplicate +1 +50\.0% {3}nearly the same as an earlier one\n +letters\.jsonl:2 \(\d+% like one of this source\)/);
  expect(stdout).toMatch(/masked +e-mail 1, in 1 document\n/);
  expect(stdout).not.toMatch(/│.*anna\.k@/);
});

test('the same as JSON, and another seed shows another sample', async () => {
  const { stdout } = await parley('inspect', pages, '--json', '--samples', '1', '--seed', '7');
  const [inspection] = JSON.parse(stdout) as [Inspection];
  expect(inspection).toMatchObject({ name: 'pages', read: 7, documents: 7, languages: { en: 6, 'zh-Hans': 1 }, dropped: {}, examples: { dropped: {} } });
  const samples = await Promise.all([0, 1, 2, 7].map(async (seed) => (await inspectSource({ name: 'pages', paths: [pages] }, { samples: 1, seed })).samples[0]));
  expect(samples[3]).toBe(inspection.samples[0]);
  expect(new Set(samples).size).toBeGreaterThan(1);
});

test('prepare prints the same tables and writes them into the manifest; inspect reads the shards back', async () => {
  const output = join(folder, 'shards');
  const { status, stdout } = await parley('prepare', pages, '--quality', 'default', '--held-out', '0', '--tokenizer', NANO, '--output', output);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^pages {2}4 documents to train on, 0 held out/);
  expect(stdout).toMatch(/dropped: 3, 42\.9%\n +few words +2/);
  const manifest = JSON.parse(await readFile(join(output, 'manifest.json'), 'utf8')) as { sources: [{ counts: object }] };
  expect(manifest.sources[0].counts).toMatchObject({ read: 7, kept: 4, dropped: { few_words: 2, unended_lines: 1 }, languages: { en: 4 } });
  expect((await parley('inspect', output, '--tokenizer', NANO)).stdout).toMatch(/^pages {2}4 documents of 7[\s\S]*tokens +\d+[\s\S]*│ .*The railway/);
});

test.each([
  [['inspect', 'PAGES', '--clean', 'soap'], /--clean has "soap", which is not known: there are mojibake, html/],
  [['inspect', 'PAGES', '--languages', 'en,klingon'], /--languages has "klingon"/],
  [['inspect', 'PAGES', '--quality', 'best'], /--quality best is not known/],
  [['inspect', 'x.yaml', '--quality', 'default'], /a recipe says for each source/],
  [['inspect', 'x.yaml', 'PAGES'], /one recipe, or files and folders/],
])('asked wrongly, it says what would be right and ends with status 2: %j', async (args, message) => {
  const { status, stderr } = await parley(...args.map((arg) => (arg === 'PAGES' ? pages : arg)));
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
});

test('no line is wider than the terminal, whatever is in the documents', () => {
  const text = '中文与English混排，'.repeat(60);
  const counts = { few_words: 3, other_language: 12_345 };
  const view = viewInspections([{
    name: 'x', read: 20_000, documents: 7652, conversations: 0, turns: 0, bytes: 3e9, tokens: 1e9, dropped: counts, changed: { html: 5, blank_edges: 2 }, cut: 1, screened: { nearDuplicatesOf: { x: 5 }, masked: { email: 3, iban: 1 }, maskedDocuments: 2, itemsCut: 1 },
    languages: Object.fromEntries(['zh-Hans', 'en', 'fr', 'de', 'es', 'it', 'pt', 'nl', 'und'].map((tag, i) => [tag, 1000 - i])),
    lengths: { unit: 'bytes', buckets: [{ from: 1024, to: 2048, count: 7000 }, { from: 2048, to: 4096, count: 652 }] }, samples: [text],
    examples: {
      dropped: { few_words: { path: 'a.csv', line: 1, why: '3, the limit is 50', text }, other_language: { path: 'b.csv', line: 2, why: 'ja', text } },
      changed: { html: { before: text, after: 'x' } },
    },
  }], { columns: 80, rules: QUALITY_RULES });
  for (const line of view.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
});
