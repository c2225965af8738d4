/** `parley train`: follow a recipe, or make one for somebody's own texts and follow that. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { ownTextRecipe, Recipe, RunResult, Sampler, TrainEvent } from '@parley/train';
import type { Tokenizer } from '@parley/tokenizer';
import { UsageError } from '../errors.ts';
import { positive, threads, wholeFromOne } from '../flag-values.ts';
import { catchInterrupts } from '../interrupts.ts';
import type { Printer } from '../train-printer.ts';
import { count, quoted, shown } from '../wording.ts';

interface TrainFlags {
  resume?: boolean;
  backend: 'auto' | 'native' | 'wasm' | 'reference';
  threads?: number;
  maxSteps?: number;
  name?: string;
  minutes?: number;
  from?: string;
  output?: string;
  engine: 'parley' | 'torch';
  python?: string;
  nproc?: number;
  prepareOnly?: boolean;
  plain?: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('train a model: by a recipe, or on your own texts and chats')
    .argument('<recipe-or-texts>', 'a recipe (.yaml), or a file or folder of .txt, .md, .html, .jsonl, .csv and .parquet to train on')
    .option('--resume', 'go on with a run that was stopped')
    .addOption(new Option('--backend <name>', 'which backend runs').choices(['auto', 'native', 'wasm', 'reference']).default('auto'))
    .option('--threads <n>', 'threads that compute (default: all cores)', threads)
    .option('--max-steps <n>', 'make every stage at most this long, to try a recipe out', wholeFromOne)
    .option('--output <folder>', 'where the run is kept (default: what the recipe says, or runs/NAME)')
    .option('--name <name>', 'own texts: what to call the model (default: after the folder)')
    .option('--minutes <n>', 'own texts: about how long to train (default: 5)', positive)
    .option('--from <model>', 'own texts: start from this model instead of from nothing')
    .addOption(new Option('--engine <name>', 'what computes: Parley itself, or PyTorch (docs/torch.md)').choices(['parley', 'torch']).default('parley'))
    .option('--python <path>', 'torch: the Python that has PyTorch (default: the first of python3, /usr/bin/python3)')
    .option('--nproc <n>', 'torch: processes on this machine, one a GPU, under torchrun (default: 1)', wholeFromOne)
    .option('--prepare-only', 'torch: only fill the run\'s folder, to be trained on a machine that has Python and no Node')
    .option('--plain', 'print lines, as where there is no terminal, instead of a picture that is drawn over')
    .option('--json', 'print one JSON object a line: everything that happens')
    .addHelpText('after', `
A run is a folder: tokenizer, data, checkpoints, metrics.jsonl, report.html and, at the end, model. The report is a page that is
written again every few seconds: open it in a browser and leave it open. Ctrl-C writes a checkpoint and stops; --resume goes on from the last one, also after a crash, to the same result as if nothing had happened.

Examples:
  $ parley train my-letters/                             a model of your own texts, in about five minutes
  $ parley train chats.jsonl --minutes 20 --name sam     longer, and with a name
  $ parley train my-letters/ --from parley-nano          start from a model that speaks already
  $ parley train recipes/parley-nano.yaml                the model that ships with Parley
  $ parley train recipes/parley-nano.yaml --resume
  $ parley train recipes/gpt-14m.yaml --max-steps 20     try a recipe out
  $ parley train report runs/parley-nano                 the report of a run that was trained before
  $ parley train recipes/gpt-14m.yaml --engine torch     on PyTorch, on a GPU where there is one`)
    .action(async (target: string, flags: TrainFlags) => {
      const result = await train(target, flags);
      if (result.ended === 'aborted') process.exitCode = 130;
    });
  command
    .command('report')
    .description('make report.html of a run from what is in its folder')
    .argument('<run>', 'the folder of a run (of texts that are in a folder called report, train ./report)')
    .option('--output <file>', 'where the page goes (default: report.html in the run\'s folder)')
    .action(async (folder: string, flags: { output?: string }) => {
      const { writeRunReport } = await import('@parley/train');
      process.stderr.write(`The report is in ${shown(await writeRunReport(folder, flags.output))}\n`);
    });
}

async function train(target: string, flags: TrainFlags): Promise<RunResult> {
  const { createBackend } = await import('@parley/engine/node');
  const training = await import('@parley/train');
  const { makePrinter } = await import('../train-printer.ts');
  const printer = makePrinter({ json: flags.json === true, plain: flags.plain === true });
  using interrupts = catchInterrupts(() => printer.stopping('Stopping after this step; once more to stop at once.'));
  const { signal } = interrupts;
  const again = `parley train ${quoted(target)} --resume${given(flags)}`;
  refuseTorchFlags(flags);
  try {
    const { recipe, folder, text } = /\.ya?ml$/i.test(target)
      ? refuseOwnTextFlags(await training.loadRecipe(target), flags)
      : await ownText(target, flags, { ownTextRecipe: training.ownTextRecipe, printer, signal });
    const output = flags.output ?? training.runFolder(recipe, folder);
    await using backend = await createBackend({
      backend: flags.backend, ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    });
    const options = {
      recipe, folder, text, output, backend, resume: flags.resume, maxSteps: flags.maxSteps, sample: makeSampler,
      onEvent: (event: TrainEvent) => printer.event(event), signal,
    };
    if (flags.prepareOnly === true) {
      const { runFolder, runner } = await training.prepareTorch(options);
      printer.say(
        `${recipe.name} is ready in ${shown(runFolder)}. Train it here or wherever that folder is with\n` +
          `  python ${quoted(shown(runner))}\n  torchrun --standalone --nproc_per_node GPUS ${quoted(shown(runner))}\n` +
          `and, with the folder back here, make the model with\n  ${again}`,
      );
      return { ended: 'finished', runFolder, modelFolder: null, stages: [] };
    }
    const torch = flags.engine === 'torch';
    printer.say(`${recipe.name}: training on ${torch ? 'PyTorch' : backend.description}; the run is kept in ${shown(output)}`);
    printer.begin({
      name: recipe.title ?? recipe.name, stages: recipe.stages.map((stage) => stage.name), folder: output, report: join(output, training.REPORT_FILE),
    });
    const result = await (torch ? training.runTorch({ ...options, python: flags.python, processes: flags.nproc }) : training.run(options));
    printer.end(result, again);
    return result;
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      printer.say(`Stopped before the first step. Go on with: ${again}`);
      return { ended: 'aborted', runFolder: '', modelFolder: null, stages: [] };
    }
    if (error instanceof training.RecipeError || (error instanceof Error && error.name === 'ModelNotFoundError')) throw new UsageError(error.message, { cause: error.cause });
    throw error;
  } finally {
    printer.close();
  }
}

/** The flags that resuming has to repeat. */
function given(flags: TrainFlags): string {
  const same = (['maxSteps', 'name', 'minutes', 'from', 'output'] as const)
    .map((flag) => (flags[flag] === undefined ? '' : ` --${flag === 'maxSteps' ? 'max-steps' : flag} ${quoted(String(flags[flag]))}`)).join('');
  if (flags.engine === 'parley' || flags.prepareOnly === true) return same;
  return `${same} --engine torch${flags.python === undefined ? '' : ` --python ${quoted(flags.python)}`}${flags.nproc === undefined ? '' : ` --nproc ${flags.nproc}`}`;
}

/** What only the torch engine understands is not ignored by the other. */
function refuseTorchFlags(flags: TrainFlags): void {
  if (flags.engine === 'torch') return;
  for (const [flag, value] of [['--python', flags.python], ['--nproc', flags.nproc], ['--prepare-only', flags.prepareOnly]] as const) {
    if (value !== undefined) throw new UsageError(`${flag} is for PyTorch: add --engine torch`);
  }
}

interface Work {
  readonly recipe: Recipe;
  readonly folder: string;
  readonly text: string | undefined;
}

function refuseOwnTextFlags(loaded: Work, flags: TrainFlags): Work {
  for (const flag of ['name', 'minutes', 'from'] as const) {
    if (flags[flag] !== undefined) throw new UsageError(`--${flag} is for training on your own texts; in a recipe it is said in the file`);
  }
  return loaded;
}

async function ownText(
  target: string, flags: TrainFlags,
  tools: { ownTextRecipe: typeof ownTextRecipe; printer: Printer; signal: AbortSignal },
): Promise<Work> {
  if (!existsSync(target)) throw new UsageError(`there is no ${target}: give a recipe (.yaml), or a file or folder of texts`);
  const { minutes = 5 } = flags;
  const { recipe, survey } = await tools.ownTextRecipe(target, { name: flags.name, minutes, from: flags.from, signal: tools.signal });
  tools.printer.say(
    `${target}: ${count(survey.files, 'file')}, ${count(survey.documents, 'document')} (${count(survey.conversations, 'conversation')}), ` +
      `${(survey.bytes / 1e6).toFixed(2)} MB of text. This will take up to about ${count(minutes, 'minute')} (--minutes to change it).`,
  );
  if (recipe.data.held_out === 0) tools.printer.say('Too few documents to keep any from training, so how well it does on text it has not seen is not measured.');
  return { recipe, folder: '.', text: undefined };
}

/** Samples on the way: a few dozen tokens after each prompt, by the same code that generates everywhere else. */
function makeSampler(tokenizer: Tokenizer): Sampler {
  return async (model, prompts, seed) => {
    const { LocalGenerator } = await import('@parley/generate');
    await using generator = new LocalGenerator({ model, tokenizer });
    const texts: string[] = [];
    for (const prompt of prompts) {
      const asked = typeof prompt === 'string' ? prompt : { messages: [{ role: 'user' as const, content: prompt.user }] };
      const { sequences } = await generator.generate(asked, { maxNewTokens: 48, temperature: 0.7, topP: 0.9, seed }).result();
      texts.push(sequences[0]?.text ?? '');
    }
    return texts;
  };
}
