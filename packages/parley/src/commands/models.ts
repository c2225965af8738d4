/** `parley models`: which models can be named, and what they are. */
import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('models')
    .description('list the models that a name resolves to')
    .option('--json', 'print one JSON array')
    .addHelpText('after', `
Examples:
  $ parley models
  $ parley chat --model parley-nano`)
    .action(async (options: { json?: boolean }) => {
      const { listModels } = await import('@parley/model/node');
      const models = await listModels();
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify(models)}\n`);
        return;
      }
      if (models.length === 0) process.stdout.write('No models here yet. Train one: parley train FOLDER_OF_TEXTS\n');
      for (const model of models) process.stdout.write(`${JSON.stringify(model)}\n`);
    });
}
