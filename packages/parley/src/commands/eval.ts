/** `parley eval`: measure a model by a suite and write its report card. */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Command, Option } from 'commander';
import type { EntryReport, EvaluationEvent, EvaluationReport, TextGenerator, TrainingRun, verdict as verdictOf } from '@parley/train';
import packageJson from '../../package.json' with { type: 'json' };
import { UsageError } from '../errors.ts';
import { threads, wholeFromOne } from '../flag-values.ts';
import { asked } from '../generation-flags.ts';
import { catchInterrupts } from '../interrupts.ts';

interface EvalFlags {
  suite: string;
  limit?: number;
  run?: string;
  output?: string;
  json?: boolean;
  dtype?: 'f32' | 'q8' | 'q4';
  backend?: 'auto' | 'native' | 'wasm' | 'reference';
  threads?: number;
}

/** The suites that ship, beside the recipes. */
const SUITES = fileURLToPath(new URL('../../../../recipes/eval', import.meta.url));

export function register(program: Command): void {
  program
    .command('eval')
    .description('measure a model and write its report card')
    .argument('<model>', 'a name or a folder')
    .option('--suite <name-or-file>', 'what to measure: a suite that ships, or a .yaml', 'small')
    .option('--limit <n>', 'items of each entry at most (default: what the suite says)', wholeFromOne)
    .option('--run <folder>', 'the run that trained the model: what it was trained on is then left out (default: the run the model lies in)')
    .option('--output <folder>', 'where report.md, report.html and report.json go (default: reports/MODEL)')
    .addOption(new Option('--dtype <dtype>', 'hold the weights in 32, 8 or 4 bits (default: f32)').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--backend <name>', 'which backend runs').choices(['auto', 'native', 'wasm', 'reference']))
    .option('--threads <n>', 'threads that compute (default: all cores)', threads)
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', `
Entries whose data is not there are skipped, and said. Ends with status 1 if an entry fails or none could be measured.

Examples:
  $ parley eval parley-nano
  $ parley eval runs/mine --limit 50                      its run says what it was trained on
  $ parley eval parley-nano --run runs/parley-nano --output reports/nano
  $ parley eval parley-nano --suite my-suite.yaml --json`)
    .action(async (model: string, flags: EvalFlags) => {
      await asked(() => evaluate(model, flags));
    });
}

async function evaluate(name: string, flags: EvalFlags): Promise<void> {
  const training = await import('@parley/train');
  const { SuiteError } = training;
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  const printer = makePrinter(flags.json === true);
  try {
    const suitePath = await findSuite(flags.suite);
    const { suite, text } = await training.loadSuite(suitePath);
    const { loadGenerationConfig, loadModel, resolveModel, writeAtomic } = await import('@parley/model/node');
    const folder = await resolveModel(name);
    const run = await findRun(folder, flags.run, training.loadTrainingRun);
    const { loadTokenizer } = await import('@parley/tokenizer/node');
    const { createBackend } = await import('@parley/engine/node');
    await using backend = await createBackend({
      ...(flags.backend === undefined ? {} : { backend: flags.backend }), ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    });
    const tokenizer = await loadTokenizer(folder);
    const { eosTokenIds } = await loadGenerationConfig(folder);
    using model = await loadModel(folder, { backend, ...(flags.dtype === undefined ? {} : { dtype: flags.dtype }) });
    const { LocalGenerator } = await import('@parley/generate');
    await using generator = new LocalGenerator({ model, tokenizer, eosTokenId: eosTokenIds.length > 0 ? eosTokenIds : undefined });
    const generate: TextGenerator = async (prompts, options) => {
      const { sequences } = await generator.generate(prompts, {
        maxNewTokens: options.maxNewTokens, doSample: false, contextOverflow: 'stop', stopStrings: options.stop, signal: options.signal,
      }).result();
      return sequences.map((sequence) => sequence.text);
    };
    const files = (await readdir(folder)).filter((file) => file.endsWith('.safetensors')).sort();
    const shown = modelName(folder);
    printer.say(`${shown}: suite ${suite.name}, ${suite.entries.length} entries, on ${backend.description}` +
      (run === undefined ? '; what it was trained on is not known (--run)' : ''));
    const report = await training.evaluateSuite({
      suite, text, folder: dirname(suitePath), model, tokenizer, generate, name: shown, weights: await training.hashFiles(files.map((file) => join(folder, file))),
      code: await codeVersion(), date: new Date().toISOString().slice(0, 16).replace('T', ' '), run, limit: flags.limit, signal, onEvent: (event) => printer.event(event),
    });
    const output = flags.output ?? (flags.json === true ? null : join('reports', shown));
    if (output !== null) {
      await mkdir(output, { recursive: true });
      const cards = { 'report.md': training.reportMarkdown(report), 'report.html': training.reportHtml(report), 'report.json': `${JSON.stringify(report, null, 2)}\n` };
      for (const [file, content] of Object.entries(cards)) await writeAtomic(join(output, file), [Buffer.from(content)]);
    }
    printer.end(report, output, training.verdict);
    const measured = report.entries.filter(({ status }) => status === 'measured').length;
    if (measured === 0 || report.entries.some(({ status }) => status === 'failed')) process.exitCode = 1;
    if (measured === 0) printer.say('Nothing could be measured.');
  } catch (error) {
    printer.clear();
    if (signal.aborted && error === signal.reason) {
      printer.say('Stopped; nothing was written.');
      process.exitCode = 130;
      return;
    }
    if (error instanceof SuiteError) throw new UsageError(error.message, { cause: error.cause });
    throw error;
  }
}

const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false);

/** A file as it is named, else a suite that ships. */
async function findSuite(name: string): Promise<string> {
  if (/\.ya?ml$/i.test(name)) return resolve(name);
  const shipped = join(SUITES, `${name}.yaml`);
  if (/^[\w.-]+$/.test(name) && await exists(shipped)) return shipped;
  const known = (await readdir(SUITES).catch((): string[] => [])).filter((file) => extname(file) === '.yaml').map((file) => basename(file, '.yaml'));
  throw new UsageError(`no suite is called "${name}": there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}; or give a .yaml file`);
}

/** The run asked for; else the one whose `model` folder this is; else none. */
async function findRun(folder: string, asked: string | undefined, load: (folder: string) => Promise<TrainingRun>): Promise<TrainingRun | undefined> {
  if (asked !== undefined) return load(asked);
  const parent = dirname(folder);
  const inRun = basename(folder) === 'model' && await exists(join(parent, 'recipe.yaml')) && await exists(join(parent, 'data', 'manifest.json'));
  return inRun ? load(parent) : undefined;
}

/** runs/mine/model → mine. */
const modelName = (folder: string): string => basename(basename(folder) === 'model' ? dirname(folder) : folder);

/** Parley's version and, in a checkout, its commit. */
async function codeVersion(): Promise<string> {
  const git = async (...args: string[]): Promise<string> => (await promisify(execFile)('git', args, { cwd: dirname(SUITES) })).stdout.trim();
  const version = `parley ${packageJson.version}`;
  try {
    const [commit, changes] = await Promise.all([git('rev-parse', 'HEAD'), git('status', '--porcelain', '--untracked-files=no', '--', '../packages')]);
    return `${version}, commit ${commit.slice(0, 12)}${changes === '' ? '' : ' with changes'}`;
  } catch {
    // No git, or no checkout: the version is what there is to say.
    return version;
  }
}

interface Printer {
  say(text: string): void;
  event(event: EvaluationEvent): void;
  clear(): void;
  end(report: EvaluationReport, output: string | null, verdict: typeof verdictOf): void;
}

/** What goes on is told on the standard error; the figures, or the JSON, on the standard output. */
function makePrinter(json: boolean): Printer {
  const err = process.stderr;
  const live = err.isTTY === true;
  const clear = (): void => void (live && err.write('\r\u001b[2K'));
  const say = (text: string): void => {
    clear();
    err.write(`${text}\n`);
  };
  const progress = (text: string): void => {
    if (live) err.write(`\r\u001b[2K${text.slice(0, (err.columns ?? 120) - 1)}`);
  };
  let place = '';
  return {
    say, clear,
    event: (event) => {
      switch (event.type) {
        case 'entry':
          place = `${event.index + 1}/${event.entries}`;
          return progress(`${place} ${event.name}: reading`);
        case 'items':
          return progress(`${place} ${event.name}: ${event.done.toLocaleString('en')} of ${event.total.toLocaleString('en')}`);
        case 'result':
          clear();
          if (event.entry.status !== 'measured') say(`${event.entry.name}: ${event.entry.status}, ${event.entry.reason}`);
          else if (!live) say(`${event.entry.name}: ${event.entry.items.measured} items in ${event.entry.seconds.toFixed(1)} s`);
          return;
        default:
          return event satisfies never;
      }
    },
    end: (report, output, verdict) => {
      clear();
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : report.entries.map((entry) => describe(entry, verdict)).join(''));
      if (output !== null) say(`The report card is ${relative(process.cwd(), join(output, 'report.html')) || output}, with report.md and report.json beside it.`);
    },
  };
}

function describe(entry: EntryReport, verdict: typeof verdictOf): string {
  if (entry.status !== 'measured') return '';
  const show = (value: number | null): string => (value === null ? '–' : value.toFixed(entry.task === 'text' ? 3 : 1));
  const lines = entry.figures.map((figure) => {
    const rivals = figure.baselines.map((each) => `${each.name} ${show(each.value)} (${verdict(figure, each.difference)})`).join(', ');
    return `  ${figure.metric.padEnd(32)} ${show(figure.value).padStart(7)}${figure.unit === '%' ? ' %' : '  '}  ${`${show(figure.low)}–${show(figure.high)}`.padEnd(14)} ${rivals}`;
  });
  return `${entry.name} (${entry.items.measured} items${entry.training === 'seen' ? ', trained on' : entry.training === 'held-out' ? ', held out' : ''})\n${lines.join('\n')}\n`;
}
