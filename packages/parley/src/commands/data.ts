/** `parley data prepare | inspect`: texts to shards, and what is in either. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Histogram, Inspection, Manifest, SourceSpec } from '@parley/data';
import { UsageError } from '../errors.ts';
import { fraction, wholeFromZero } from '../flag-values.ts';
import { catchInterrupts } from '../interrupts.ts';

interface PrepareFlags {
  tokenizer: string;
  output: string;
  heldOut?: number;
  deduplicate: boolean;
  clean: boolean;
  json?: boolean;
}

interface InspectFlags {
  tokenizer?: string;
  samples: number;
  json?: boolean;
}

export function register(program: Command): void {
  const data = program.command('data').description('prepare texts for training, and look at them');

  data
    .command('prepare')
    .description('clean, deduplicate, split and tokenize texts into a folder of shards')
    .argument('<paths...>', 'files or folders of .txt, .md and .jsonl (each also .gz or .zst), or one recipe (.yaml)')
    .requiredOption('--tokenizer <file-or-folder>', 'the tokenizer: tokenizer.json, or a model\'s folder')
    .requiredOption('--output <folder>', 'where the shards go')
    .option('--held-out <share>', 'share of the documents kept from training (default: 0.01)', fraction)
    .option('--no-deduplicate', 'keep documents that occur twice')
    .option('--no-clean', 'keep texts as they are: no Unicode normalization, no removal of control characters')
    .option('--json', 'print the manifest as one JSON object')
    .addHelpText('after', `
Every document that is dropped or changed is counted in manifest.json. parley train does all of this by itself; this is for
looking at what comes out first, or for preparing once and training elsewhere.

Examples:
  $ parley data prepare letters/ chats.jsonl --tokenizer models/parley-nano --output prepared
  $ parley data prepare recipes/parley-nano.yaml --tokenizer models/parley-nano --output prepared`)
    .action(async (paths: string[], flags: PrepareFlags) => {
      const manifest = await prepareData(paths, flags);
      if (manifest === null) {
        process.stderr.write('Stopped; nothing was written.\n');
        process.exitCode = 130;
      } else if (flags.json === true) process.stdout.write(`${JSON.stringify(manifest)}\n`);
      else process.stdout.write(describeManifest(manifest));
    });

  data
    .command('inspect')
    .description('counts, lengths and samples of texts, or of a folder of shards')
    .argument('<path>', 'a file or folder of texts, a folder of shards, or a recipe (.yaml)')
    .option('--tokenizer <file-or-folder>', 'also count tokens (for shards: decode the samples)')
    .option('--samples <n>', 'documents to show of each source', wholeFromZero, 2)
    .option('--json', 'print one JSON object')
    .addHelpText('after', `
Examples:
  $ parley data inspect chats.jsonl.zst
  $ parley data inspect letters/ --tokenizer models/parley-nano
  $ parley data inspect runs/my-letters/data --tokenizer runs/my-letters/tokenizer`)
    .action(async (path: string, flags: InspectFlags) => {
      const inspection = await inspectData(path, flags);
      if (flags.json === true) process.stdout.write(`${JSON.stringify(inspection)}\n`);
      else process.stdout.write(inspection.map(describeSource).join('\n'));
    });
}

/** Null when it was interrupted. */
async function prepareData(paths: readonly string[], flags: PrepareFlags): Promise<Manifest | null> {
  const { prepare, uniqueSourceNames } = await import('@parley/data');
  const { loadTokenizer } = await import('@parley/tokenizer/node');
  const tokenizer = await loadTokenizer(flags.tokenizer);
  const recipe = await recipeSources(paths);
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  const clearLine = (): void => {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  };
  try {
    const { manifest } = await prepare({
      sources: recipe ?? uniqueSourceNames(paths), tokenizer, folder: flags.output,
      heldOut: flags.heldOut, deduplicate: flags.deduplicate, clean: flags.clean, signal,
      onProgress: ({ source, documents, tokens }) => {
        clearLine();
        if (process.stderr.isTTY) process.stderr.write(`${source}: ${format(documents)} documents, ${format(tokens)} tokens`);
      },
    });
    return manifest;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return null;
    throw error;
  } finally {
    clearLine();
  }
}

async function recipeSources(paths: readonly string[]): Promise<SourceSpec[] | null> {
  const [path] = paths;
  if (path === undefined || !/\.ya?ml$/i.test(path)) return null;
  if (paths.length > 1) throw new UsageError('give one recipe, or files and folders, not both');
  const { loadRecipe, sourceSpecs } = await import('@parley/train');
  const { recipe, folder } = await loadRecipe(path);
  return sourceSpecs(recipe, folder);
}

async function inspectData(path: string, flags: InspectFlags): Promise<Inspection[]> {
  const { inspectShards, inspectSource, uniqueSourceNames } = await import('@parley/data');
  const { loadTokenizer } = await import('@parley/tokenizer/node');
  const tokenizer = flags.tokenizer === undefined ? undefined : await loadTokenizer(flags.tokenizer);
  if (existsSync(join(path, 'manifest.json'))) return inspectShards(path, { tokenizer, samples: flags.samples });
  const sources = (await recipeSources([path])) ?? uniqueSourceNames([path]);
  const inspections: Inspection[] = [];
  for (const source of sources) inspections.push(await inspectSource(source, { tokenizer, samples: flags.samples }));
  return inspections;
}

function describeManifest(manifest: Manifest): string {
  const lines = manifest.sources.map(({ name, counts, splits: { train, 'held-out': heldOut } }) => {
    const dropped = Object.entries(counts.dropped).map(([reason, count]) => `${format(count)} ${reason.replaceAll('_', ' ')}`).join(', ');
    const changed = Object.entries(counts.changed).map(([what, count]) => `${what.replaceAll('_', ' ')} in ${format(count)}`).join(', ');
    return [
      `${name}: ${format(train.documents)} documents (${format(train.conversations)} conversations), ${format(train.tokens)} tokens, ` +
        `${(train.bytes / Math.max(1, train.tokens)).toFixed(2)} bytes a token; held out: ${format(heldOut.documents)} documents, ${format(heldOut.tokens)} tokens`,
      ...(dropped === '' ? [] : [`  dropped: ${dropped}`]),
      ...(changed === '' ? [] : [`  cleaned: ${changed}`]),
      ...(counts.cut === 0 ? [] : [`  cut to the source's limit: ${format(counts.cut)}`]),
    ].join('\n');
  });
  return `${lines.join('\n')}\n`;
}

function describeSource(source: Inspection): string {
  const { name, documents, conversations, turns, bytes, tokens, dropped, lengths, samples } = source;
  const reasons = Object.entries(dropped).map(([reason, count]) => `${format(count)} ${reason.replaceAll('_', ' ')}`).join(', ');
  return [
    `${name}`,
    `  documents      ${format(documents)}${conversations === 0 ? '' : `, of them ${format(conversations)} conversations${turns === null ? '' : ` with ${format(turns)} turns`}`}`,
    ...(reasons === '' ? [] : [`  dropped        ${reasons}`]),
    `  text           ${format(bytes)} bytes`,
    ...(tokens === null ? [] : [`  tokens         ${format(tokens)} (${(bytes / Math.max(1, tokens)).toFixed(2)} bytes a token)`]),
    `  lengths        (${lengths.unit} a document)`,
    ...histogramLines(lengths),
    ...samples.map((sample) => `  sample\n    ${sample.replaceAll('\n', '\n    ')}`),
    '',
  ].join('\n');
}

function histogramLines({ buckets }: Histogram): string[] {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  return buckets.map(({ from, to, count }) => `  ${format(from).padStart(12)} – ${format(to).padEnd(10)} ${format(count).padStart(9)} ${'█'.repeat(Math.ceil((count / most) * 40))}`);
}

const format = (value: number): string => value.toLocaleString('en');
