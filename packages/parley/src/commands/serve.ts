/** `parley serve`: the models of this machine behind the API that OpenAI's clients speak. */
import { once } from 'node:events';
import type { WeightDType } from '@parley/model';
import { type Command, Option } from 'commander';
import { describeError, UsageError } from '../errors.ts';
import { threads, wholeFromZero } from '../flag-values.ts';
import { collect, DEFAULT_MODEL, waiting } from '../generation-flags.ts';
import { catchInterrupts } from '../interrupts.ts';

interface Flags {
  readonly model?: string[];
  readonly alias?: string[];
  readonly port: number;
  readonly host: string;
  readonly dtype?: WeightDType;
  readonly backend?: 'auto' | 'native' | 'wasm' | 'reference';
  readonly threads?: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program.command('serve')
    .description('answer on HTTP as OpenAI\'s API does: chat completions, completions, models')
    .option('--model <name>', 'a model to serve; the first is the default. Others on this machine are served by their names', collect)
    .option('--alias <name=model>', 'another name for a model, such as gpt-4o-mini=parley-nano', collect)
    .option('--port <number>', '0: any that is free', wholeFromZero, 8080)
    .option('--host <address>', 'the address to answer on; only this machine\'s own for now', '127.0.0.1')
    .addOption(new Option('--dtype <type>', 'how weights are held').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--backend <name>', 'what computes').choices(['auto', 'native', 'wasm', 'reference']))
    .option('--threads <number>', 'threads that compute', threads)
    .option('--json', 'print one line of JSON with the address')
    .addHelpText('after', `
Examples:
  $ parley serve
  $ parley serve --model ./runs/my-texts/model --port 9000
  $ parley serve --alias gpt-4o-mini=parley-nano
  $ curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}'`)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const models = flags.model ?? [DEFAULT_MODEL];
  const aliases = Object.fromEntries((flags.alias ?? []).map((text) => {
    const at = text.indexOf('=');
    if (at < 1 || at === text.length - 1) throw new UsageError(`--alias is ${JSON.stringify(text)}: write it as name=model`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  }));
  const { serve } = await import('@parley/server');
  using interrupts = catchInterrupts();
  const { dtype, backend, threads: count } = flags;
  await using server = await waiting(`Loading ${models[0]}`, () => serve({
    models, aliases, port: flags.port, host: flags.host,
    open: { ...(dtype && { dtype }), ...(backend && { backend }), ...(count !== undefined && { threads: count }) },
    onFault: ({ requestId, path, error }) => process.stderr.write(`${requestId} ${path}: ${describeError(error)}\n`),
  }));
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ url: server.url, models })}\n`);
  else process.stdout.write(`${models.join(', ')} at ${server.url}/v1 (OpenAI's API). Ctrl-C ends.\n`);
  if (!interrupts.signal.aborted) await once(interrupts.signal, 'abort');
}
