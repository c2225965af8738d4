/**
 * A source through its readers, cleaning and rules, without a tokenizer: megabytes of text a second and the memory it takes. Articles
 * of English Wikipedia where the data stands beside the repository, else a file made of the repository's own prose. `--shape` is what
 * is done: light (the default steps) or full (all cleaning, languages, quality rules), and to how many megabytes, as full-20 (or
 * full-all). Megabytes are 10⁶ bytes of UTF-8. Memory is the process's peak resident set above what it had before reading: flat
 * memory shows as a figure that does not grow with the megabytes.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyCounts, FULL_CLEANING, readSource, type SourceSpec, textBytes } from '@parley/data';
import { type Benchmark, figure, machine, summarize } from './harness.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const ARTICLES = join(ROOT, '../shared/data/pretrain/en-wiki-more.jsonl.zst');

export const benchmark: Benchmark = {
  name: 'data',
  summary: 'reading, cleaning and judging English articles (or this repository\'s prose); --shape light-20, full-20 or full-all (megabytes)',
  takes: ['shape'],
  async run(options) {
    const shape = options.shape ?? 'full-20';
    const [, work, megabytes] = /^(light|full)-(\d+|all)$/.exec(shape) ?? [];
    if (work === undefined) throw new Error(`shape "${shape}" is not light or full with megabytes, such as full-20 or light-all`);
    const limit = megabytes === 'all' ? Infinity : Number(megabytes) * 1e6;
    using file = benchmarkFile();
    const source: SourceSpec = {
      name: 'bench', paths: [file.path],
      ...(work === 'full' ? { clean: FULL_CLEANING, languages: ['en'], quality: {} } : {}),
    };
    const before = process.memoryUsage.rss();
    let peak = before;
    const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
    const wall: number[] = [];
    const cpu: number[] = [];
    let bytes = 0;
    const counts = emptyCounts();
    for (let repeat = 0; repeat < Math.max(1, options.repeats); repeat++) {
      bytes = 0;
      Object.assign(counts, emptyCounts());
      const [start, used] = [performance.now(), process.cpuUsage()];
      for await (const { document } of readSource(source, counts)) {
        bytes += textBytes(document);
        if (bytes >= limit) break;
      }
      const { user, system } = process.cpuUsage(used);
      wall.push(bytes / ((performance.now() - start) / 1000));
      cpu.push(bytes / ((user + system) / 1e6));
    }
    clearInterval(sampler);
    return {
      bench: 'data', shape, source: file.source, bytes, documents: counts.kept, dropped: Object.values(counts.dropped).reduce((sum, count) => sum + count, 0),
      ...figure('megabytes_per_second', summarize(wall), 1e6),
      ...figure('megabytes_per_cpu_second', summarize(cpu), 1e6),
      peak_megabytes: Math.round((peak - before) / 1e6),
      ...machine(),
    };
  },
};

function benchmarkFile(): { path: string; source: string } & Disposable {
  if (existsSync(ARTICLES)) return { path: ARTICLES, source: 'en-wiki-more', [Symbol.dispose]: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), 'parley-bench-'));
  const path = join(folder, 'repository.jsonl');
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => readFileSync(join(ROOT, 'docs', name), 'utf8'));
  writeFileSync(path, Array.from({ length: 200 }, () => pages).flat().map((text) => JSON.stringify({ text })).join('\n'));
  return { path, source: 'repository', [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}
