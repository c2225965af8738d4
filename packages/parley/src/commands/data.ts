/** `parley data prepare | inspect`: texts to shards, and what is in either. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { CleanStep, DecontaminationCounts, Inspection, Manifest, ScreenOptions, SourceSpec } from '@parley/data';
import type { ViewOptions } from '../data-view.ts';
import { UsageError } from '../errors.ts';
import { fraction, similarity, whole, wholeFromOne, wholeFromZero } from '../flag-values.ts';
import { catchInterrupts } from '../interrupts.ts';

/** What sources named on the command line are put through; a recipe says it for each of its own. */
interface SourceFlags {
  /** False for --no-clean. */
  clean: boolean | string;
  languages?: string;
  quality?: string;
  sharedLines?: number;
  deduplicate: boolean;
  nearDuplicates?: number;
  maskPersonalData?: true | string;
  decontaminate?: string;
}

interface PrepareFlags extends SourceFlags {
  tokenizer: string;
  output: string;
  heldOut?: number;
  json?: boolean;
}

interface InspectFlags extends SourceFlags {
  tokenizer?: string;
  samples: number;
  seed: number;
  json?: boolean;
}

const PATHS = 'files or folders of .txt, .md, .html, .jsonl, .csv, .tsv (each also .gz, .zst or .xz) and .parquet, or one recipe (.yaml)';

export function register(program: Command): void {
  const data = program.command('data').description('prepare texts for training, and look at them');

  withSourceFlags(data
    .command('prepare')
    .description('clean, deduplicate, split and tokenize texts into a folder of shards')
    .argument('<paths...>', PATHS)
    .requiredOption('--tokenizer <file-or-folder>', 'the tokenizer: tokenizer.json, or a model\'s folder')
    .requiredOption('--output <folder>', 'where the shards go')
    .option('--held-out <share>', 'share of the documents kept from training (default: 0.01, or the recipe\'s)', fraction))
    .option('--json', 'print the manifest as one JSON object')
    .addHelpText('after', `
Every document that is dropped or changed is counted in manifest.json. parley train does all of this by itself; this is for
looking at what comes out first, or for preparing once and training elsewhere. docs/data.md explains steps and rules.

Examples:
  $ parley data prepare letters/ chats.jsonl --tokenizer models/parley-nano --output prepared
  $ parley data prepare pages/ --clean full --quality default --languages en,zh --tokenizer models/parley-nano --output prepared
  $ parley data prepare recipes/parley-nano.yaml --tokenizer models/parley-nano --output prepared`)
    .action(async (paths: string[], flags: PrepareFlags) => {
      const manifest = await prepareData(paths, flags);
      if (manifest === null) {
        process.stderr.write('Stopped; nothing was written.\n');
        process.exitCode = 130;
      } else if (flags.json === true) process.stdout.write(`${JSON.stringify(manifest)}\n`);
      else {
        const { viewManifest } = await import('../data-view.ts');
        process.stdout.write(viewManifest(manifest, await viewOptions()));
      }
    });

  withSourceFlags(data
    .command('inspect')
    .description('counts, languages, lengths and samples, and what each rule drops and each step changes')
    .argument('<paths...>', `${PATHS}, or a folder of shards`)
    .option('--tokenizer <file-or-folder>', 'also count tokens (for shards: decode the samples)')
    .option('--samples <n>', 'documents to show of each source', wholeFromZero, 2)
    .option('--seed <n>', 'another seed shows other documents', whole, 0))
    .option('--json', 'print one JSON array, an object for each source')
    .addHelpText('after', `
Nothing is written. docs/data.md explains the steps and rules.

Examples:
  $ parley data inspect chats.jsonl.zst
  $ parley data inspect pages/ --clean full --quality default     what would these do?
  $ parley data inspect recipes/parley-nano.yaml --samples 0
  $ parley data inspect runs/my-letters/data                      with the run's tokenizer`)
    .action(async (paths: string[], flags: InspectFlags) => {
      const inspected = await inspectData(paths, flags);
      if (inspected === null) {
        process.stderr.write('Stopped.\n');
        process.exitCode = 130;
      } else if (flags.json === true) process.stdout.write(`${JSON.stringify(inspected.inspections)}\n`);
      else {
        const { viewDecontamination, viewInspections } = await import('../data-view.ts');
        const sets = viewDecontamination(inspected.decontamination).map((block) => `\n${block}\n`).join('');
        process.stdout.write(viewInspections(inspected.inspections, await viewOptions()) + sets);
      }
    });
}

function withSourceFlags(command: Command): Command {
  return command
    .addOption(new Option('--clean <steps>', 'cleaning besides the light steps: full, or some of mojibake,html,wiki,markdown,boilerplate,width,whitespace').default(true, 'light'))
    .option('--no-clean', 'keep texts as they are: no Unicode normalization, no removal of control characters')
    .option('--shared-lines <documents>', 'remove lines that stand in more than so many documents', wholeFromOne)
    .option('--languages <tags>', 'keep only these languages, such as en,zh or zh-Hans')
    .option('--quality <default>', 'drop texts that break the default quality rules; a recipe can move each threshold')
    .option('--no-deduplicate', 'keep documents that occur twice')
    .addOption(new Option('--near-duplicates [similarity]', 'drop documents that are nearly the same as an earlier one, from 0.3 to 1').preset('0.7').argParser(similarity))
    .option('--mask-personal-data [kinds]', 'placeholders for email,phone,card,iban,identity,ip, or some of these')
    .option('--decontaminate <files>', 'drop training documents that hold items of these suites (.yaml) or JSON lines, with commas between');
}

async function viewOptions(): Promise<ViewOptions> {
  const { QUALITY_RULES } = await import('@parley/data');
  return { columns: process.stdout.isTTY ? process.stdout.columns : 100, rules: QUALITY_RULES };
}

/** Null when it was interrupted. */
async function prepareData(paths: readonly string[], flags: PrepareFlags): Promise<Manifest | null> {
  const { DEFAULT_HELD_OUT, prepare } = await import('@parley/data');
  const { loadTokenizer } = await import('@parley/tokenizer/node');
  const { sources, heldOut, deduplicate, clean, screening } = await sourcesOf(paths, flags);
  const tokenizer = await loadTokenizer(flags.tokenizer);
  return interruptible(async (signal, say) => {
    const { manifest } = await prepare({
      sources, tokenizer, folder: flags.output, heldOut: flags.heldOut ?? heldOut, deduplicate, clean, signal,
      ...(await screening({ heldOut: flags.heldOut ?? heldOut ?? DEFAULT_HELD_OUT, signal })),
      onProgress: ({ source, documents, tokens }) => say(`${source}: ${format(documents)} documents, ${format(tokens)} tokens`),
    });
    return manifest;
  });
}

interface Inspected {
  readonly inspections: Inspection[];
  /** Null where nothing was looked for. */
  readonly decontamination: readonly DecontaminationCounts[] | null;
}

/** Null when it was interrupted. */
async function inspectData(paths: readonly string[], flags: InspectFlags): Promise<Inspected | null> {
  const { DEFAULT_HELD_OUT, DigestSet, inspectShards, inspectSource, readManifest, Screen } = await import('@parley/data');
  const { loadTokenizer } = await import('@parley/tokenizer/node');
  const [path = ''] = paths;
  const { samples, seed } = flags;
  if (existsSync(join(path, 'manifest.json'))) {
    if (paths.length > 1) throw new UsageError('give one folder of shards, or files and folders, not both');
    // A run keeps its tokenizer beside its data.
    const beside = join(path, '..', 'tokenizer');
    const place = flags.tokenizer ?? (existsSync(join(beside, 'tokenizer.json')) ? beside : undefined);
    const inspections = await inspectShards(path, { tokenizer: place === undefined ? undefined : await loadTokenizer(place), samples, seed });
    return { inspections, decontamination: (await readManifest(path)).screened.decontamination };
  }
  const { sources, heldOut = DEFAULT_HELD_OUT, deduplicate, clean, screening } = await sourcesOf(paths, flags);
  const tokenizer = flags.tokenizer === undefined ? undefined : await loadTokenizer(flags.tokenizer);
  const seen = deduplicate ? new DigestSet() : undefined;
  return interruptible(async (signal, say) => {
    const inspections: Inspection[] = [];
    const screen = await Screen.of(await screening({ heldOut, signal }));
    for (const source of sources) {
      const onProgress = (documents: number): void => say(`${source.name}: ${format(documents)} documents`);
      inspections.push(await inspectSource(source, { tokenizer, samples, seed, clean, seen, screen, heldOut, signal, onProgress }));
    }
    return { inspections, decontamination: screen.report.decontamination };
  });
}

/** Runs a job that Ctrl-C stops, with a line about how far it is; null when it was stopped. */
async function interruptible<T>(job: (signal: AbortSignal, say: (line: string) => void) => Promise<T>): Promise<T | null> {
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  const clearLine = (): void => {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  };
  try {
    return await job(signal, (line) => {
      clearLine();
      if (process.stderr.isTTY) process.stderr.write(line);
    });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return null;
    throw error;
  } finally {
    clearLine();
  }
}

interface Sources {
  readonly sources: readonly SourceSpec[];
  readonly heldOut: number | undefined;
  readonly deduplicate: boolean;
  readonly clean: boolean;
  /** Near-duplicates, personal data and evaluation items, for `prepare`. Evaluation files that are not there are told on stderr. */
  readonly screening: (place: { heldOut: number; signal: AbortSignal }) => Promise<ScreenOptions>;
}

/** Of a recipe, or made of paths and flags. Throws UsageError where both are given, or a flag's value is not known. */
async function sourcesOf(paths: readonly string[], flags: SourceFlags): Promise<Sources> {
  const { CLEAN_STEPS, FULL_CLEANING, LANGUAGES, PERSONAL_DATA_KINDS, uniqueSourceNames } = await import('@parley/data');
  const deep = {
    clean: typeof flags.clean === 'string' ? (flags.clean === 'full' ? FULL_CLEANING : listOf<CleanStep>('--clean', flags.clean, CLEAN_STEPS)) : undefined,
    languages: flags.languages === undefined ? undefined : listOf('--languages', flags.languages, LANGUAGES),
    quality: flags.quality === undefined ? undefined : {},
    sharedLines: flags.sharedLines,
  };
  if (flags.quality !== undefined && flags.quality !== 'default') {
    throw new UsageError(`--quality ${flags.quality} is not known: it is default here, and thresholds of your own go into a recipe`);
  }
  const clean = flags.clean !== false;
  const onNote = (text: string): void => void process.stderr.write(`${text}\n`);
  const asked = {
    nearDuplicates: flags.nearDuplicates === undefined ? undefined : { threshold: flags.nearDuplicates },
    maskPersonalData: typeof flags.maskPersonalData === 'string' ? listOf('--mask-personal-data', flags.maskPersonalData, PERSONAL_DATA_KINDS) : flags.maskPersonalData,
  };
  if (!paths.some((path) => /\.ya?ml$/i.test(path))) {
    const sources = uniqueSourceNames(paths).map((source) => ({ ...source, ...deep }));
    const against = flags.decontaminate?.split(',');
    return {
      sources, heldOut: undefined, deduplicate: flags.deduplicate, clean,
      screening: async (place) => {
        if (against === undefined) return asked;
        const { evaluationItems } = await import('@parley/train');
        return { ...asked, decontaminate: { items: evaluationItems(against, { ...place, specs: sources, clean, onNote }) } };
      },
    };
  }
  if (paths.length > 1) throw new UsageError('give one recipe, or files and folders, not both');
  const given = [...Object.values(deep), ...Object.values(asked), flags.decontaminate].some((value) => value !== undefined);
  if (given) throw new UsageError('a recipe says for each source how it is cleaned and judged: change it there, or name files and folders');
  const { loadRecipe, screenOptions, sourceSpecs } = await import('@parley/train');
  const { recipe, folder } = await loadRecipe(paths[0] ?? '');
  const specs = sourceSpecs(recipe, folder);
  return {
    sources: specs, heldOut: recipe.data.held_out,
    deduplicate: flags.deduplicate && recipe.data.deduplicate, clean: clean && recipe.data.clean,
    screening: async ({ heldOut, signal }) => screenOptions({ ...recipe, data: { ...recipe.data, held_out: heldOut } }, { folder, specs, onNote, signal }),
  };
}

function listOf<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((part) => {
    const found = known.find((name) => name === part.trim());
    if (found === undefined) throw new UsageError(`${flag} has "${part.trim()}", which is not known: there are ${known.join(', ')}`);
    return found;
  });
}

const format = (value: number): string => value.toLocaleString('en');
