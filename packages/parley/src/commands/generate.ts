/** `parley generate`: complete a text, streaming it to the standard output. */
import { type Command, Option } from 'commander';
import type { GenerateResult } from '@parley/generate';
import type { TextGenerationOptions, TextGenerationPipeline } from '@parley/tasks';
import { UsageError } from '../errors.ts';
import { number, whole } from '../flag-values.ts';
import {
  addModelFlags, addSamplingFlags, asked, dim, introduce, type ModelFlags, pipelineOptions, type SamplingFlags, samplingOptions, waiting,
} from '../generation-flags.ts';
import { catchInterrupts } from '../interrupts.ts';

interface Flags extends ModelFlags, SamplingFlags {
  numReturnSequences?: number;
  numBeams?: number;
  lengthPenalty?: number;
  contextOverflow?: 'error' | 'stop' | 'slide';
  logprobs?: number | true;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('generate')
    .description('complete a text')
    .argument('<prompt>', 'the beginning of the text; - reads it from the standard input');
  addSamplingFlags(addModelFlags(command))
    .option('--num-return-sequences <n>', 'answers', whole)
    .option('--num-beams <n>', 'beam search with n beams; draws only if a temperature, top-k, top-p or min-p is given', whole)
    .option('--length-penalty <x>', 'beam search: above 0 prefers longer texts (default: 1)', number)
    .addOption(new Option('--context-overflow <how>', 'if prompt and answer do not fit the context: refuse, end the answer there, or forget the oldest text')
      .choices(['error', 'stop', 'slide']))
    .option('--logprobs [n]', 'with --json: log-probabilities of the tokens and of the n likeliest ones', whole)
    .option('--json', 'print one JSON object at the end instead of the text')
    .addHelpText('after', `
The text that follows the prompt is written to the standard output as it is generated; on a terminal the prompt stands before
it, in grey. What is allowed for an option is said when it is given a value that is not. A prompt that begins with a dash goes
last, after --.

Examples:
  $ parley generate "Once upon a time" --max-new-tokens 80
  $ parley generate "The capital of France is" --temperature 0 --json
  $ parley generate "A short poem:" --num-return-sequences 3 --temperature 1 --seed 7
  $ parley generate "Dear" --num-beams 4 --stop "." --stop "!"
  $ cat letter.txt | parley generate - --model ./my-model`)
    .action(async (prompt: string, flags: Flags) => {
      await asked(() => run(prompt, flags));
    });
}

async function run(prompt: string, flags: Flags): Promise<void> {
  if (flags.logprobs !== undefined && flags.json !== true) throw new UsageError('--logprobs are printed as JSON: add --json');
  const text = prompt === '-' ? await readInput() : prompt;
  const { checkOptions, pipeline } = await import('@parley/tasks');
  checkOptions(optionsOf(flags));
  using interrupts = catchInterrupts();
  const { signal } = interrupts;
  try {
    const start = performance.now();
    await using pipe = await waiting(`Loading ${flags.model}`, () => pipeline('text-generation', flags.model, { ...pipelineOptions(flags), worker: 'large' }));
    const loadMs = performance.now() - start;
    const options = { ...optionsOf(flags), signal };
    if (flags.json === true) {
      const result = await pipe.stream(text, options).result();
      process.stdout.write(`${JSON.stringify(report(flags.model, { result, loadMs, withLogprobs: flags.logprobs !== undefined }))}\n`);
    } else {
      await print(pipe, { text, options, name: flags.model });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    // What was written stays, and the caller learns that it is not the whole.
    process.stdout.write(flags.json === true ? '' : '\n');
    process.exitCode = 130;
  }
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new UsageError('the standard input is not text in UTF-8', { cause });
  }
  // The line end that every text file has is no part of the prompt.
  return text.replace(/\r?\n$/, '');
}

function optionsOf(flags: Flags): TextGenerationOptions {
  const drawing = [flags.temperature, flags.topK, flags.topP, flags.minP].some((given) => given !== undefined);
  return {
    ...samplingOptions(flags),
    // A model's own defaults may say to draw, which is not what one asks for a search for.
    ...((flags.numBeams ?? 1) > 1 && !drawing && { do_sample: false }),
    ...(flags.numReturnSequences !== undefined && { num_return_sequences: flags.numReturnSequences }),
    ...(flags.numBeams !== undefined && { num_beams: flags.numBeams }),
    ...(flags.lengthPenalty !== undefined && { length_penalty: flags.lengthPenalty }),
    ...(flags.contextOverflow !== undefined && { context_overflow: flags.contextOverflow }),
    ...(flags.logprobs !== undefined && { logprobs: flags.logprobs === true ? 0 : flags.logprobs }),
  };
}

/** One answer as it comes; several one after the other, since they come side by side. */
async function print(pipe: TextGenerationPipeline, asking: { text: string; options: TextGenerationOptions; name: string }): Promise<void> {
  const { text, options, name } = asking;
  if (process.stderr.isTTY) process.stderr.write(`${dim(introduce(name, pipe), process.stderr)}\n\n`);
  const lead = process.stdout.isTTY ? dim(text, process.stdout) : '';
  const several = (options.num_return_sequences ?? 1) > 1;
  const texts = new Map<number, string>();
  if (!several) process.stdout.write(lead);
  for await (const event of pipe.stream(text, options)) {
    if (event.type === 'token') {
      if (several) texts.set(event.index, (texts.get(event.index) ?? '') + event.text);
      else process.stdout.write(event.text);
    } else if (event.type === 'end' && several) {
      process.stdout.write(`--- ${event.index + 1}\n${lead}${texts.get(event.index) ?? ''}\n`);
    } else if (event.type === 'done') {
      if (!several) process.stdout.write('\n');
      if (process.stderr.isTTY) {
        const { usage, timings } = event;
        const speed = timings.tokensPerSecond > 0 ? ` · ${Math.round(timings.tokensPerSecond)} tokens a second` : '';
        process.stderr.write(`\n${dim(`${usage.promptTokens} + ${usage.completionTokens} tokens${speed}`, process.stderr)}\n`);
      }
    }
  }
}

/** The one object of `--json`. Times in milliseconds. */
export function report(model: string, { result, loadMs, withLogprobs }: { result: GenerateResult; loadMs: number; withLogprobs: boolean }): object {
  const { sequences, usage, timings } = result;
  const round = (value: number): number => Math.round(value * 100) / 100;
  return {
    model,
    sequences: sequences.map(({ text, tokens, finishReason, logProbabilities = [] }) => ({
      text, tokens, finish_reason: finishReason,
      ...(withLogprobs && {
        logprobs: logProbabilities.map(({ logProbability, top }, i) => ({
          token: tokens[i], logprob: logProbability, top_logprobs: top.map((each) => ({ token: each.token, logprob: each.logProbability })),
        })),
      }),
    })),
    usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
    timings: {
      load_ms: round(loadMs), prefill_ms: round(timings.prefillMs), decode_ms: round(timings.decodeMs),
      tokens_per_second: round(timings.tokensPerSecond),
    },
  };
}
