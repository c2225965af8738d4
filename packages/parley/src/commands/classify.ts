/** `parley classify`: the labels of texts, given as arguments or as lines of the standard input. */
import { createInterface } from 'node:readline';
import { type Command, Option } from 'commander';
import type { TextClassificationOutput } from '@parley/tasks';
import { UsageError } from '../errors.ts';
import { threads, wholeFromOne } from '../flag-values.ts';
import { asked, waiting } from '../generation-flags.ts';
import { catchInterrupts } from '../interrupts.ts';

interface Flags {
  model: string;
  dtype?: 'f32' | 'q8' | 'q4';
  backend?: 'auto' | 'native' | 'wasm' | 'reference';
  threads?: number;
  topK: number;
  truncation?: boolean;
  json?: boolean;
}

/** Lines of the standard input that are classified together. */
const BATCH = 64;

export function register(program: Command): void {
  program
    .command('classify')
    .description('tell texts\' labels with a classifier (train one: a stage of kind classify)')
    .argument('[texts...]', 'the texts; without any, or with -, every line of the standard input is one')
    .requiredOption('--model <name-or-folder>', 'which classifier')
    .option('--top-k <n>', 'how many labels a text, the likeliest first', wholeFromOne, 1)
    .option('--truncation', 'cut texts over the model\'s context to their beginning, instead of refusing them')
    .addOption(new Option('--dtype <dtype>', 'hold the weights in 32, 8 or 4 bits (default: f32)').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--backend <name>', 'which backend runs').choices(['auto', 'native', 'wasm', 'reference']))
    .option('--threads <n>', 'threads that compute (default: all cores)', threads)
    .option('--json', 'print one JSON object a text')
    .addHelpText('after', `
One line a text: label and probability, of as many labels as asked for, with tabs between them.

Examples:
  $ parley classify "My card still has not arrived" --model banking77
  $ parley classify "Why was I charged twice?" --model banking77 --top-k 3 --json
  $ parley classify --model banking77 < messages.txt`)
    .action(async (texts: string[], flags: Flags) => {
      await asked(() => run(texts, flags));
    });
}

async function run(texts: readonly string[], flags: Flags): Promise<void> {
  const { pipeline } = await import('@parley/tasks');
  const { model, dtype, backend, threads: count, topK, truncation = false } = flags;
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  await using classify = await waiting(`Loading ${model}`, () => pipeline('text-classification', model, {
    ...(dtype && { dtype }), ...(backend && { backend }), ...(count !== undefined && { threads: count }),
  }));
  if (topK > classify.info.labels.length) throw new UsageError(`--top-k is ${topK}, and ${model} has ${classify.info.labels.length} labels`);
  const options = { truncation, signal };
  for await (const batch of batches(texts.length > 0 && texts[0] !== '-' ? texts : inputLines())) {
    const answers = await classify(batch, { ...options, top_k: topK }) as TextClassificationOutput[] | TextClassificationOutput[][];
    for (const [i, text] of batch.entries()) {
      const labels = [answers[i] ?? []].flat();
      process.stdout.write(flags.json === true ? `${JSON.stringify({ text, labels })}\n` : `${labels.map(({ label, score }) => `${label}\t${score.toFixed(4)}`).join('\t')}\n`);
    }
  }
}

/** Lines that are not empty. */
async function* inputLines(): AsyncGenerator<string> {
  for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') yield line;
}

async function* batches(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const text of texts) {
    batch.push(text);
    // Somebody who types waits for an answer to each line.
    if (batch.length < BATCH && !process.stdin.isTTY) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
