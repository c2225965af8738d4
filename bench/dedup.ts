/**
 * What looks at every document before it is tokenized: near-duplicates, decontamination, masking; in megabytes (10⁶ bytes of UTF-8) a
 * second on one thread, with the memory a document costs. Beside them in the same run: the SHA-256 that exact duplicates take, and
 * MinHash's sketch by its definition, 128 hashes of every n-gram.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { Decontaminator, type Document, maskDocument, MinHash, mix, NearDuplicates, plainText, SKETCH_SIZE, WordHashes } from '@parley/data';
import { type Benchmark, figure, machine, summarize } from './harness.ts';

const BYTES = 8_000_000;
const ROOT = new URL('..', import.meta.url).pathname;
const FILES = { english: 'pretrain/en-wiki-more', chinese: 'pretrain/zh-wiki', chats: 'chat/en-self-dialogue' } as const;

export const benchmark: Benchmark = {
  name: 'dedup',
  summary: 'near-duplicates, decontamination and masking of 8 MB; --shape english, chinese or chats (or the repository\'s own text)',
  takes: ['shape'],
  run(options) {
    const { source, documents } = benchmarkDocuments(options.shape ?? 'english');
    const texts = documents.map(plainText);
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    let near = new NearDuplicates();
    let dropped = 0;
    const nearDuplicates = (): void => {
      near = new NearDuplicates();
      dropped = 0;
      for (const document of documents) {
        if (near.find(document) === null) near.add();
        else dropped++;
      }
    };
    // Every hundredth document as an item: a held-out part.
    const decontaminator = new Decontaminator();
    for (const text of texts.filter((_, i) => i % 100 === 0)) decontaminator.add({ set: 'bench', texts: [text.slice(0, 2000)] });
    const jobs: Readonly<Record<string, () => void>> = {
      near_duplicates: nearDuplicates,
      decontaminate: () => documents.forEach((document) => decontaminator.screen(document)),
      mask: () => documents.forEach((document) => maskDocument(document, {})),
      sha256: () => texts.forEach((text) => createHash('sha256').update(text).digest()),
      sketch: () => sketchAll(texts, new MinHash()),
      plain_sketch: () => plainSketchAll(texts),
    };
    const samples = Object.fromEntries(Object.keys(jobs).map((name) => [name, [] as number[]]));
    for (let i = 0; i < options.repeats + 1; i++) {
      for (const [name, job] of Object.entries(jobs)) {
        const start = performance.now();
        job();
        if (i > 0) samples[name]?.push(bytes / ((performance.now() - start) / 1000));
      }
    }
    const rate = (name: string) => summarize(samples[name] ?? []);
    return Promise.resolve({
      bench: 'dedup', source, documents: documents.length, bytes, threads: 1, near_duplicates_dropped: dropped,
      ...figure('near_duplicates_megabytes_per_second', rate('near_duplicates'), 1e6),
      ...figure('decontaminate_megabytes_per_second', rate('decontaminate'), 1e6),
      ...figure('mask_megabytes_per_second', rate('mask'), 1e6),
      ...figure('sha256_megabytes_per_second', rate('sha256'), 1e6),
      ...figure('sketch_megabytes_per_second', rate('sketch'), 1e6),
      ...figure('plain_sketch_megabytes_per_second', rate('plain_sketch'), 1e6),
      sketch_ratio: Number((rate('sketch').median / rate('plain_sketch').median).toPrecision(3)),
      bytes_per_document: Math.round(near.bytes / near.count),
      ...machine(),
    });
  },
};

function sketchAll(texts: readonly string[], minhash: MinHash): void {
  const words = new WordHashes();
  for (const text of texts) {
    words.read(text);
    minhash.read(words);
  }
}

/** MinHash as Broder defines it: of each of 128 hash functions the smallest value. */
function plainSketchAll(texts: readonly string[]): void {
  const words = new WordHashes();
  const minhash = new MinHash();
  const minima = new Int32Array(SKETCH_SIZE);
  const seeds = Int32Array.from(minima, (_, i) => mix(i + 1));
  for (const text of texts) {
    words.read(text);
    minhash.shingle(words);
    minima.fill(0x7fffffff);
    for (let i = 0; i < minhash.count; i++) {
      const shingle = minhash.shingles[i] ?? 0;
      for (let j = 0; j < SKETCH_SIZE; j++) {
        const value = mix(shingle ^ (seeds[j] ?? 0));
        if (value < (minima[j] ?? 0)) minima[j] = value;
      }
    }
  }
}

function benchmarkDocuments(shape: string): { source: string; documents: Document[] } {
  const file = Object.hasOwn(FILES, shape) ? FILES[shape as keyof typeof FILES] : undefined;
  if (file === undefined) throw new Error(`shape "${shape}" is not known: there are ${Object.keys(FILES).join(', ')}`);
  try {
    const lines = zstdDecompressSync(readFileSync(join(ROOT, '../shared/data', `${file}.jsonl.zst`))).toString('utf8').split('\n');
    return { source: file, documents: upTo(BYTES, lines.filter(Boolean).map((line) => documentOf(JSON.parse(line) as { text?: string; messages?: [] }))) };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const names = ['packages', 'docs', 'bench'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => /(?<!node_modules.*)\.(?:ts|md)$/.test(name)).map((name) => join(ROOT, folder, name)));
  return { source: 'repository', documents: upTo(BYTES, names.sort().map((path) => documentOf({ text: readFileSync(path, 'utf8') }))) };
}

function documentOf({ text, messages }: { text?: string; messages?: [] }): Document {
  return text === undefined ? { kind: 'conversation', messages: messages ?? [], path: '', line: 1 } : { kind: 'text', text, path: '', line: 1 };
}

function upTo(bytes: number, documents: readonly Document[]): Document[] {
  let left = bytes;
  return documents.filter((document) => left > 0 && (left -= Buffer.byteLength(plainText(document))) > -bytes);
}
