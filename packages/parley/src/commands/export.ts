/** `parley export`: write a model in another file format. */
import { formatBytes } from '@parley/engine';
import { type Command, Option } from 'commander';
import { asked } from '../generation-flags.ts';
import type { Format } from '../export.ts';

export function register(program: Command): void {
  program
    .command('export')
    .description('write a model in another file format: GGUF for llama.cpp and what is built on it, or a safetensors folder for transformers')
    .argument('<model>', 'the model, by name, folder or GGUF file')
    .addOption(new Option('--to <format>', 'the format').choices(['gguf', 'safetensors']).makeOptionMandatory())
    .option('--dtype <dtype>', 'how the weights are stored: f16, q8_0, q4_0 or f32 in GGUF (default: f16); bf16, f32 or f16 in safetensors (default: bf16)')
    .requiredOption('--output <path>', 'the GGUF file, or the folder for safetensors; a new one')
    .option('--json', 'print one JSON object')
    .addHelpText('after', `
Examples:
  $ parley export parley-nano --to gguf --output parley-nano.gguf
  $ parley export parley-nano --to gguf --dtype q8_0 --output parley-nano-q8.gguf
  $ parley export some-model.Q4_K_M.gguf --to safetensors --output models/some-model`)
    .action(async (model: string, options: { to: Format; dtype?: string; output: string; json?: boolean }) => {
      const { exportModel } = await import('../export.ts');
      const { path, bytes } = await asked(() => exportModel(model, options));
      process.stdout.write(options.json === true ? `${JSON.stringify({ path, bytes })}\n` : `The model is in ${path} (${formatBytes(bytes)} of weights)\n`);
    });
}
