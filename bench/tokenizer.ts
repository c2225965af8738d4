/**
 * Encoding, beside gpt-tokenizer in the same run: GPT-2's vocabulary, the same text, the same ids, repeats taken in turn so
 * that a noisy neighbour disturbs both. `--shape` is r50k_base or cl100k_base. Megabytes are 10⁶ bytes of UTF-8.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { PublishedName } from '@parley/tokenizer/testing';
import { publishedTokenizer } from '@parley/tokenizer/testing';
import { type Benchmark, figure, machine, summarize } from './harness.ts';

const TEXT_BYTES = 4_000_000;
const ROOT = new URL('..', import.meta.url).pathname;
/** English articles, when the data stands beside the repository; else the repository's own text. */
const ARTICLES = join(ROOT, '../shared/data/pretrain/en-wiki-more.jsonl.zst');

export const benchmark: Benchmark = {
  name: 'tokenizer',
  summary: 'encoding 4 MB of English (or of this repository), beside gpt-tokenizer; --shape r50k_base or cl100k_base',
  takes: ['shape'],
  async run(options) {
    const vocabulary = options.shape ?? 'r50k_base';
    if (!isPublished(vocabulary)) throw new Error(`shape "${vocabulary}" is not r50k_base or cl100k_base`);
    const { source, text } = benchmarkText();
    const bytes = Buffer.byteLength(text);
    const tokenizer = await publishedTokenizer(vocabulary);
    const peer = vocabulary === 'r50k_base' ? await import('gpt-tokenizer/encoding/r50k_base') : await import('gpt-tokenizer/encoding/cl100k_base');
    const peerEncode = (part: string): number[] => peer.encode(part, { disallowedSpecial: new Set() });

    const ids = tokenizer.encode(text);
    const theirs = peerEncode(text);
    const different = ids.findIndex((id, i) => id !== theirs[i]);
    if (different >= 0 || ids.length !== theirs.length) throw new Error(`ids differ from gpt-tokenizer's at token ${different}`);

    const ours: number[] = [];
    const peers: number[] = [];
    const decoding: number[] = [];
    const time = (samples: number[], work: () => void): void => {
      const start = performance.now();
      work();
      samples.push(bytes / ((performance.now() - start) / 1000));
    };
    for (let i = 0; i < options.repeats + 1; i++) {
      time(ours, () => void tokenizer.encode(text));
      time(peers, () => void peerEncode(text));
      time(decoding, () => void tokenizer.decode(ids));
    }
    const encode = summarize(ours.slice(1));
    const theirEncode = summarize(peers.slice(1));
    return {
      bench: 'tokenizer', shape: vocabulary, source, bytes, tokens: ids.length, threads: 1,
      ...figure('megabytes_per_second', encode, 1e6),
      ...figure('gpt_tokenizer_megabytes_per_second', theirEncode, 1e6),
      ratio: Number((encode.median / theirEncode.median).toPrecision(3)),
      ...figure('decode_megabytes_per_second', summarize(decoding.slice(1)), 1e6),
      ...machine(),
    };
  },
};

const isPublished = (name: string): name is PublishedName => name === 'r50k_base' || name === 'cl100k_base';

function benchmarkText(): { source: string; text: string } {
  try {
    const lines = zstdDecompressSync(readFileSync(ARTICLES)).toString('utf8').split('\n');
    const articles = joinUntilFull(lines.filter(Boolean).map((line) => (JSON.parse(line) as { text: string }).text));
    return { source: 'en-wiki-more', text: articles };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const files = ['packages', 'docs', 'bench'].flatMap((folder) => {
    try {
      return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => /(?<!node_modules.*)\.(?:ts|md)$/.test(name)).map((name) => join(ROOT, folder, name));
    } catch {
      return []; // a folder that this checkout does not have
    }
  });
  return { source: 'repository', text: joinUntilFull(files.sort().map((path) => readFileSync(path, 'utf8'))) };
}

/** Texts end to end, again from the first where they are too short, as one flat string of about 4 MB. */
function joinUntilFull(texts: readonly string[]): string {
  if (texts.length === 0) throw new Error('there is no text to encode: run the benchmark in the repository');
  const parts: string[] = [];
  for (let i = 0, bytes = 0; bytes < TEXT_BYTES; i++) {
    const text = texts[i % texts.length] ?? '';
    parts.push(text);
    bytes += Buffer.byteLength(text) + 2;
  }
  return Buffer.from(parts.join('\n\n')).toString('utf8');
}
