/** `parley models`: the models and adapters a name stands for, and what each is. `parley models merge` makes one of both. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '@parley/engine';
import { parameterCount } from '@parley/model';
import { cacheFolder, listUnfinished } from '@parley/model/hub';
import { ggufIn, listAdapters, listModels, type ListedModel, loadConfig } from '@parley/model/node';
import { type Command, Option } from 'commander';
import { describeError } from '../errors.ts';
import { asked, collect, parseAdapter } from '../generation-flags.ts';

interface ModelRow extends ListedModel {
  readonly family: string;
  readonly parameters: number;
  readonly context_length: number;
  readonly vocabulary: number;
  readonly bytes: number;
}

async function describe(model: ListedModel): Promise<ModelRow> {
  const config = await loadConfig(model.folder);
  const gguf = await ggufIn(model.folder);
  const files = gguf === undefined ? (await readdir(model.folder)).filter((file) => file.endsWith('.safetensors')).map((file) => join(model.folder, file)) : [gguf];
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return {
    ...model, family: config.family, parameters: parameterCount(config), context_length: config.contextLength,
    vocabulary: config.vocabSize, bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

export function register(program: Command): void {
  const command = program
    .command('models')
    .description('list the models and adapters here: those that ship with Parley, those trained into runs/, and those pulled from a hub')
    .option('--verbose', 'also their folders, and which backend runs them here and why')
    .option('--json', 'print one JSON array')
    .addHelpText('after', `
Examples:
  $ parley models
  $ parley chat --model parley-nano`)
    .action(async (options: { json?: boolean; verbose?: boolean }) => {
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
      const adapters = (await listAdapters()).map(({ name, folder, rank, alpha, baseModel, targets = [] }) =>
        ({ name, folder, source: 'adapter' as const, rank, alpha, base_model: baseModel, targets }));
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify([...rows, ...adapters])}\n`);
        return;
      }
      if (rows.length === 0) process.stdout.write('No models here yet. Train one: parley train FOLDER_OF_TEXTS, or fetch one: parley pull OWNER/NAME\n');
      const width = Math.max(0, ...[...rows, ...adapters].map((row) => row.name.length));
      for (const row of rows) {
        const facts = [
          row.family, `${(row.parameters / 1e6).toFixed(1)}M parameters`, `context ${row.context_length.toLocaleString('en-US')}`,
          `vocabulary ${row.vocabulary.toLocaleString('en-US')}`, formatBytes(row.bytes), row.source,
        ];
        process.stdout.write(`${row.name.padEnd(width)}  ${facts.join(' · ')}\n`);
        if (options.verbose === true) process.stdout.write(`${' '.repeat(width)}  ${row.folder}\n`);
      }
      for (const { name, rank, base_model: base } of adapters) {
        process.stdout.write(`${name.padEnd(width)}  adapter of rank ${rank} for ${base ?? 'a model that is not named'}: --adapter ${name}\n`);
      }
      for (const { repository, bytes } of await listUnfinished(cacheFolder())) {
        process.stdout.write(`${repository}  not whole, ${formatBytes(bytes)} of unfinished files: parley pull goes on, parley models remove deletes\n`);
      }
      if (options.verbose === true) {
        const { chooseBackend } = await import('@parley/engine/node');
        const { name, reason } = chooseBackend();
        process.stdout.write(`\nThe backend is ${name}: ${reason}.\n`);
      }
    });
  command
    .command('merge')
    .description('add adapters to a model\'s weights and write the model that comes of it')
    .argument('<model>', 'the model they stand beside, by name or folder')
    .requiredOption('--adapter <name-or-folder[:weight]>', 'an adapter; may be given several times', collect)
    .requiredOption('--output <folder>', 'where the model goes; a new folder')
    .addOption(new Option('--dtype <dtype>', 'how the weights are stored').choices(['f32', 'f16', 'bf16']).default('bf16'))
    .addHelpText('after', `
Examples:
  $ parley models merge parley-nano --adapter polite --output models/polite-nano`)
    .action(async (model: string, options: { adapter: string[]; output: string; dtype: 'f32' | 'f16' | 'bf16' }) => {
      const { mergeAdapters } = await import('../merge.ts');
      const folder = await asked(() => mergeAdapters(model, { ...options, adapters: options.adapter.map(parseAdapter) }));
      process.stdout.write(`The model is in ${folder}\n`);
    });
  command
    .command('remove')
    .description('delete a model that was pulled from a hub')
    .argument('<owner/name[@revision]>', 'the model; without a revision all of them, and what was half fetched')
    .option('--yes', 'do not ask')
    .addHelpText('after', `
Examples:
  $ parley models remove HuggingFaceTB/SmolLM2-135M-Instruct`)
    .action(async (model: string, options: { yes?: boolean }) => {
      const { removePulled } = await import('../pull.ts');
      await removePulled(model, { yes: options.yes === true });
    });
}
