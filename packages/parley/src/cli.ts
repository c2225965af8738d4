/**
 * The `parley` command, which bin/parley.js starts. This file only declares: each verb is one file under commands/, loaded when it is asked for.
 * Exit status: 0 done, 1 it failed, 2 it was asked wrongly, 130 it was stopped by Ctrl-C.
 */
import '../bin/compile-cache.js';
import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { describeError, UsageError } from './errors.ts';
import { Interrupted } from './interrupts.ts';

interface CommandModule {
  register(program: Command): void;
}

const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  chat: () => import('./commands/chat.ts'),
  generate: () => import('./commands/generate.ts'),
  classify: () => import('./commands/classify.ts'),
  tokenizer: () => import('./commands/tokenizer.ts'),
  data: () => import('./commands/data.ts'),
  train: () => import('./commands/train.ts'),
  eval: () => import('./commands/eval.ts'),
  serve: () => import('./commands/serve.ts'),
  keys: () => import('./commands/keys.ts'),
  accounts: () => import('./commands/accounts.ts'),
  pull: () => import('./commands/pull.ts'),
  models: () => import('./commands/models.ts'),
  export: () => import('./commands/export.ts'),
  bench: () => import('./commands/bench.ts'),
};

async function main(args: readonly string[]): Promise<number> {
  const program = new Command('parley')
    .description('Your own ChatGPT in TypeScript: train a language model on your text, fine-tune it, and talk to it.')
    .version(packageJson.version)
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError('(parley --help, or parley VERB --help, shows what can be asked)')
    // What stands after a subcommand is the subcommand's, also where both know a flag of that name.
    .enablePositionalOptions()
    .exitOverride();
  try {
    // Only the verb that is asked for is loaded; help for everything loads everything.
    const verb = args[0] ?? '';
    const asked = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
    for (const load of asked ? [asked] : Object.values(COMMANDS)) (await load()).register(program);
    inheritSettings(program);
    await program.parseAsync(args, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its message; help and version are no errors.
      return error.exitCode === 0 ? 0 : 2;
    }
    if (error instanceof Interrupted) return 130;
    process.stderr.write(`parley: ${describeError(error)}\n`);
    if (process.env['PARLEY_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Subcommands made with `.command()` inherit settings only at creation; this reaches those made in other files. */
function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritSettings(child);
  }
}

// A reader that goes away (`parley generate … | head`) ends the program quietly.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
