/** `parley bench [NAME]`: the benchmarks under bench/, each ending in one JSON line. */
import { existsSync } from 'node:fs';
import type { BackendOptions } from '@parley/engine/node';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { threads, wholeFromOne } from '../flag-values.ts';

/** The benchmarks are the repository's, not the package's: they stand beside packages/. */
const BENCHMARKS_URL = new URL('../../../../bench/index.ts', import.meta.url);

interface Benchmark {
  readonly summary: string;
  readonly takes: readonly string[];
  run(options: object): Promise<object>;
}

/** Flags that some benchmarks take and others do not, and those of them that go with running all. */
const FLAGS = ['backend', 'threads', 'dtype', 'simd', 'shape', 'tokens', 'model', 'clients', 'rate', 'seconds', 'promptTokens', 'sharedPrefix', 'ttft', 'tpot'];
const OF_ALL = ['backend', 'threads', 'simd'];

/** sharedPrefix → shared-prefix. */
const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Numbers above 0, with commas between them. */
function numbers(text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.every((value) => Number.isFinite(value) && value > 0)) return values;
  throw new InvalidArgumentError('write numbers above 0 with commas between them, such as 1,4,16');
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure the engine on this machine; without a name, everything')
    .argument('[name]', 'matmul, decode, train, tokenizer, serve-engine, serve-load, …')
    .addOption(new Option('--backend <name>', 'which backend runs').choices(['auto', 'native', 'wasm', 'reference']).default('auto'))
    .option('--threads <n>', 'threads (default: all cores)', threads)
    .addOption(new Option('--dtype <dtype>', 'weights').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--simd <kind>', 'which WebAssembly build').choices(['auto', 'relaxed', 'plain']).default('auto'))
    .option('--shape <shape>', 'sizes (1024x1024x1024) or a model (smollm2-135m, gpt-14m)')
    .option('--tokens <n>', 'tokens per repeat, for decode and prefill', wholeFromOne)
    .option('--model <name>', 'a model, by name or path, for serve-load')
    .option('--clients <numbers>', 'clients at once, for serve-load: 1,4,16,64', numbers)
    .option('--rate <numbers>', 'arrivals a second, for serve-load (default: 0.5 and 0.8 of what 16 clients came to)', numbers)
    .option('--seconds <n>', 'how long each load lasts', wholeFromOne)
    .option('--prompt-tokens <n>', 'tokens of each prompt', wholeFromOne)
    .option('--shared-prefix <tokens>', 'tokens that all prompts begin with', wholeFromOne)
    .option('--ttft <ms>', 'goodput: the first token within so many milliseconds', wholeFromOne)
    .option('--tpot <ms>', 'goodput: each further token within so many milliseconds', wholeFromOne)
    .option('--repeats <n>', 'timed repeats', wholeFromOne, 10)
    .option('--json', 'print only the JSON line')
    .addHelpText('after', `
Examples:
  $ parley bench decode --shape smollm2-135m --dtype q4 --threads 2
  $ parley bench matmul --shape 2048x384x1536
  $ parley bench serve-load --model parley-mini --clients 1,16
  $ npm run bench -- train --threads 1`)
    .action(async (name: string | undefined, options: BackendOptions & { json?: boolean }, command: Command) => {
      const given = FLAGS.filter((flag) => command.getOptionValueSource(flag) === 'cli');
      if (!existsSync(BENCHMARKS_URL)) throw new UsageError('the benchmarks come with the repository, not with the package: clone it to run them');
      const { BENCHMARKS } = (await import(BENCHMARKS_URL.href)) as { BENCHMARKS: Record<string, () => Promise<{ benchmark: Benchmark }>> };
      const { chooseBackend } = await import('@parley/engine/node');
      const { name: backend, reason } = chooseBackend(options);
      if (options.json !== true) process.stderr.write(`The backend is ${backend}: ${reason}.\n`);
      const names = name === undefined ? Object.keys(BENCHMARKS) : [name];
      for (const each of names) {
        const load = Object.hasOwn(BENCHMARKS, each) ? BENCHMARKS[each] : undefined;
        if (!load) throw new UsageError(`there is no benchmark "${each}": choose one of ${Object.keys(BENCHMARKS).join(', ')}`);
        const { benchmark } = await load();
        for (const flag of given) {
          if (name === undefined ? OF_ALL.includes(flag) : benchmark.takes.includes(flag)) continue;
          throw new UsageError(name === undefined
            ? `--${dashed(flag)} is not for every benchmark: name the one it is for`
            : `--${dashed(flag)} is not for "${each}", which takes ${benchmark.takes.map((taken) => `--${dashed(taken)}`).join(', ')}`);
        }
        if (options.json !== true) process.stderr.write(`${each}: ${benchmark.summary}\n`);
        process.stdout.write(`${JSON.stringify(await benchmark.run(options))}\n`);
      }
    });
}
