/** `parley models`: the models a name stands for, and what each is. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '@parley/engine';
import { parameterCount } from '@parley/model';
import { listModels, type ListedModel, loadConfig } from '@parley/model/node';
import type { Command } from 'commander';
import { describeError } from '../errors.ts';

interface ModelRow extends ListedModel {
  readonly family: string;
  readonly parameters: number;
  readonly context_length: number;
  readonly vocabulary: number;
  readonly bytes: number;
}

async function describe(model: ListedModel): Promise<ModelRow> {
  const config = await loadConfig(model.folder);
  const files = (await readdir(model.folder)).filter((file) => file.endsWith('.safetensors'));
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(model.folder, file))).size));
  return {
    ...model, family: config.family, parameters: parameterCount(config), context_length: config.contextLength,
    vocabulary: config.vocabSize, bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

export function register(program: Command): void {
  program
    .command('models')
    .description('list the models here: those that ship with Parley and those trained into runs/')
    .option('--json', 'print one JSON array')
    .addHelpText('after', `
Examples:
  $ parley models
  $ parley chat --model parley-nano`)
    .action(async (options: { json?: boolean }) => {
      const rows: ModelRow[] = [];
      for (const model of await listModels()) {
        try {
          rows.push(await describe(model));
        } catch (error) {
          // One broken folder does not hide the others.
          process.stderr.write(`${model.name} (${model.folder}) cannot be read: ${describeError(error)}\n`);
          process.exitCode = 1;
        }
      }
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify(rows)}\n`);
        return;
      }
      if (rows.length === 0) process.stdout.write('No models here yet. Train one: parley train FOLDER_OF_TEXTS\n');
      const width = Math.max(0, ...rows.map((row) => row.name.length));
      for (const row of rows) {
        const facts = [
          row.family, `${(row.parameters / 1e6).toFixed(1)}M parameters`, `context ${row.context_length.toLocaleString('en-US')}`,
          `vocabulary ${row.vocabulary.toLocaleString('en-US')}`, formatBytes(row.bytes), row.source,
        ];
        process.stdout.write(`${row.name.padEnd(width)}  ${facts.join(' · ')}\n`);
      }
    });
}
