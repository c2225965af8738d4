/** `parley chat`: a conversation in the terminal, or, when the input is a pipe, one answer for each of its lines. */
import { type Command } from 'commander';
import { UsageError } from '../errors.ts';
import {
  addModelFlags, addSamplingFlags, asked, type ModelFlags, pipelineOptions, type SamplingFlags, samplingOptions, waiting,
} from '../generation-flags.ts';

interface Flags extends ModelFlags, SamplingFlags {
  system?: string;
}

export function register(program: Command): void {
  const command = program.command('chat').description('talk with a model in the terminal');
  addSamplingFlags(addModelFlags(command))
    .option('--system <text>', 'what the model is told before the conversation begins')
    .addHelpText('after', `
While you talk:
  /help             what can be typed
  /reset            begin a new conversation
  /system [TEXT]    show, or set, what the model is told before the conversation begins
  /save FILE        write the conversation as JSON
  /exit             leave (as do Ctrl-D, and Ctrl-C twice at the prompt)
Ctrl-C during an answer stops the answer. When the conversation no longer fits the model's context, its oldest turns are left
out, and a line says so. When the input is a pipe, every line is a message, and only the answers are written.

Examples:
  $ parley chat
  $ parley chat --model ./my-model --system "You answer in one sentence." --temperature 0.5
  $ parley chat --model parley-nano --adapter polite:0.7
  $ printf 'Hello!\\nWhat can you do?\\n' | parley chat --seed 1`)
    .action(async (flags: Flags) => {
      await asked(() => run(flags));
    });
}

async function run(flags: Flags): Promise<void> {
  const [{ checkOptions, pipeline }, { Conversation }, { talk }] = await Promise.all([
    import('@parley/tasks'), import('../conversation.ts'), import('../terminal-chat.ts'),
  ]);
  const options = samplingOptions(flags);
  checkOptions(options);
  await using pipe = await waiting(`Loading ${flags.model}`, () => pipeline('text-generation', flags.model, pipelineOptions(flags)));
  if (!pipe.info.chat) {
    throw new UsageError(`${flags.model} has no chat template, so it does not chat: it completes texts, with parley generate --model ${flags.model}`);
  }
  const conversation = new Conversation(pipe, { system: flags.system, options });
  await talk(conversation, { name: flags.model, pipe });
}
