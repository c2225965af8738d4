/** `parley pull`: fetch a model from Hugging Face or a mirror of it into the cache. */
import type { Command } from 'commander';
import { wholeFromOne } from '../flag-values.ts';
import { collect } from '../generation-flags.ts';
import type { PullFlags } from '../pull.ts';

export function register(program: Command): void {
  program
    .command('pull')
    .description('fetch a model from Hugging Face, or a mirror of it, into the cache; what was interrupted goes on')
    .argument('<owner/name[@revision]>', 'the model, and a branch, tag or commit of it (default: main)')
    .option('--file <glob>', 'fetch the files that match instead of what loading the model needs, such as one GGUF file; may be given several times', collect)
    .option('--offline', 'fetch nothing: see whether it is in the cache (HF_HUB_OFFLINE=1)')
    .option('--endpoint <url>', 'the hub (default: HF_ENDPOINT or https://huggingface.co)')
    .option('--token-file <file>', 'a file with the token for gated and private models (default: HF_TOKEN, or what hf auth login keeps)')
    .option('--parallel <files>', 'files at a time (default: 4)', wholeFromOne)
    .option('--json', 'print what happens, one JSON object a line')
    .addHelpText('after', `
Examples:
  $ parley pull HuggingFaceTB/SmolLM2-135M-Instruct
  $ parley chat --model HuggingFaceTB/SmolLM2-135M-Instruct
  $ parley pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --file '*q8_0.gguf'`)
    .action(async (model: string, flags: PullFlags) => {
      const { pull } = await import('../pull.ts');
      await pull(model, flags);
    });
}
