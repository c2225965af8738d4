/** `parley serve`: the models of this machine behind the API that OpenAI's clients speak, and a page to talk on. */
import { once } from 'node:events';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ServerConfig } from '@parley/server';
import { openBrowser } from '../browser.ts';
import { UsageError } from '../errors.ts';
import { number, threads, wholeFromOne, wholeFromZero } from '../flag-values.ts';
import { collect, DEFAULT_MODEL, waiting } from '../generation-flags.ts';
import { catchInterrupts } from '../interrupts.ts';

/** Flags of one value are named as the configuration's fields, and win over them. */
interface Flags extends Pick<ServerConfig, 'port' | 'host' | 'data' | 'database' | 'dtype' | 'backend' | 'threads' | 'trustProxy' | 'log' | 'logContent' | 'open'> {
  readonly config?: string;
  readonly model?: string[];
  readonly alias?: string[];
  readonly provider?: string[];
  readonly providerKey?: string[];
  readonly allowHost?: string[];
  readonly cors?: string[];
  readonly rpm?: number;
  readonly tpm?: number;
  readonly drain?: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program.command('serve')
    .description('answer on HTTP as OpenAI\'s API does, and serve a page to talk on')
    .option('--model <name>', 'a model to serve; the first is the default. Others on this machine are served by their names', collect)
    .option('--alias <name=model>', 'another name for a model, such as gpt-4o-mini=parley-nano', collect)
    .option('--provider <name=url>', 'another endpoint, such as openai=https://api.openai.com/v1; its models are name/model here', collect)
    .option('--provider-key <name=source>', 'where its key is: name=env:VARIABLE or name=file:PATH (default: the variable NAME_API_KEY)', collect)
    .option('--port <number>', '0: any that is free (default: 8080)', wholeFromZero)
    .option('--host <address>', 'the address to answer on (default: 127.0.0.1); others need a key or an account first')
    .option('--allow-host <name>', 'a name that it is reached by, as through a proxy; keys and accounts are then asked for', collect)
    .option('--cors <origin>', 'an origin whose pages may use /v1', origin)
    .option('--trust-proxy', 'a proxy before it tells who asks (X-Forwarded-For, X-Forwarded-Proto)')
    .option('--data <folder>', 'where conversations, keys and accounts are kept, or none (default: $PARLEY_DATA, then the XDG data folder)')
    .option('--database <url>', 'instead: postgres://… or sqlite:FILE')
    .option('--rpm <number>', 'requests a minute, of keys that have no limit of their own and of accounts', wholeFromOne)
    .option('--tpm <number>', 'tokens a minute, likewise', wholeFromOne)
    .option('--drain <seconds>', 'how long answers may go on when it ends (default: 30)', number)
    .addOption(new Option('--log <format>', 'a line on stderr for each request (default: off)').choices(['json', 'text', 'off']))
    .option('--log-content', 'with what people write and what is answered')
    .addOption(new Option('--dtype <type>', 'how weights are held').choices(['f32', 'q8', 'q4']))
    .addOption(new Option('--backend <name>', 'what computes').choices(['auto', 'native', 'wasm', 'reference']))
    .option('--threads <number>', 'threads that compute', threads)
    .option('--config <file>', 'all of this in YAML; flags win over it')
    .option('--open', 'open the page in a browser')
    .option('--json', 'print one line of JSON with the address')
    .addHelpText('after', `
Examples:
  $ parley serve --open
  $ parley serve --model ./runs/my-texts/model --port 9000
  $ parley serve --alias gpt-4o-mini=parley-nano
  $ parley keys create "my program" && parley serve --host 0.0.0.0
  $ curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}'`)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { createLog, pageFolder, providersFromFlags, readServerConfig, serve, storeUrl } = await import('@parley/server');
  const file = flags.config === undefined ? {} : await readServerConfig(flags.config);
  const config: ServerConfig = { ...file, ...Object.fromEntries(Object.entries(flags).filter(([name, value]) => name in SINGLE && value !== undefined)) };
  // A place named by a flag is instead of both that the file may name.
  if (flags.data !== undefined && flags.database === undefined) delete config.database;
  const { dtype, backend, threads: count, log = 'off', logContent = false, limits = {} } = config;
  if (logContent && log === 'off') throw new UsageError('--log-content needs --log json or --log text');
  const models = flags.model ?? config.models ?? [DEFAULT_MODEL];
  const drainSeconds = flags.drain ?? config.drainSeconds ?? 30;
  let stopping = false;
  using interrupts = catchInterrupts(() => {
    stopping = true;
    process.stderr.write(`\nEnding: answers have ${drainSeconds} s to finish. Ctrl-C again ends at once.\n`);
  });
  const server = await waiting(`Loading ${models[0]}`, () => serve({
    models, aliases: { ...config.aliases, ...aliasesOf(flags.alias ?? []) }, providers: [...(config.providers ?? []), ...providersFromFlags(flags.provider ?? [], flags.providerKey)],
    port: config.port, host: config.host, hosts: [...(config.allowHosts ?? []), ...(flags.allowHost ?? [])], origins: [...(config.cors ?? []), ...(flags.cors ?? [])].map((each) => new URL(each).origin),
    trustProxy: config.trustProxy, database: storeUrl({ data: config.data, database: config.database }), page: pageFolder(),
    limits: { requestsPerMinute: flags.rpm ?? limits.requestsPerMinute ?? null, tokensPerMinute: flags.tpm ?? limits.tokensPerMinute ?? null },
    bodyBytes: limits.bodyBytes, sockets: limits, drainSeconds, log: createLog(log, { content: logContent }),
    open: { ...(dtype && { dtype }), ...(backend && { backend }), ...(count !== undefined && { threads: count }) },
  }));
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ url: server.url, models })}\n`);
  else process.stdout.write(`${models.join(', ')}: a page to talk on at ${server.url}, OpenAI's API at ${server.url}/v1. Ctrl-C ends.\n`);
  if (config.open === true && !stopping) openBrowser(server.url);
  if (!interrupts.signal.aborted) await once(interrupts.signal, 'abort');
  const { cutOff } = await server.close();
  if (cutOff > 0) {
    process.stderr.write(`parley: ${cutOff} ${cutOff === 1 ? 'answer was' : 'answers were'} cut off after ${drainSeconds} s\n`);
    process.exitCode = 1;
  }
}

const SINGLE: Readonly<Record<string, true>> = {
  port: true, host: true, data: true, database: true, dtype: true, backend: true, threads: true, trustProxy: true, log: true, logContent: true, open: true,
};

function aliasesOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const at = text.indexOf('=');
    if (at < 1 || at === text.length - 1) throw new UsageError(`--alias is ${JSON.stringify(text)}: write it as name=model`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  }));
}

/** `https://app.example`: no path, and no `*`, which would be every page there is. */
function origin(text: string, before: string[] | undefined): string[] {
  if (!/^https?:\/\/[^/*?#\s]+$/.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('It takes an origin, such as https://app.example.');
  return collect(text, before);
}
