/** The terminal's side of `parley chat`: prompt, commands, Ctrl-C; or a pipe's lines in and answers out. */
import { writeFile } from 'node:fs/promises';
import { createInterface, type Interface } from 'node:readline';
import { nearestName } from '@parley/model';
import type { TextGenerationPipeline } from '@parley/tasks';
import type { Conversation } from './conversation.ts';
import { describeError } from './errors.ts';
import { dim, inFlags, introduce } from './generation-flags.ts';

const HELP = `/help             what can be typed
/reset            begin a new conversation
/system [TEXT]    show, or set, what the model is told before the conversation begins
/save FILE        write the conversation as JSON
/exit             leave`;

/** Runs until the input ends or /exit. Failed answers of a pipe make the exit status 1. */
export async function talk(conversation: Conversation, { name, pipe }: { name: string; pipe: TextGenerationPipeline }): Promise<void> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const input = createInterface({ input: process.stdin, ...(terminal ? { output: process.stdout } : {}), terminal, prompt: '> ' });
  const note = (text: string): void => {
    if (terminal) process.stdout.write(`${dim(text, process.stdout)}\n`);
    else process.stderr.write(`${text}\n`);
  };
  /** The answer that is being given. */
  let answering: AbortController | undefined;
  let interrupted = false;
  /** Ctrl-C that comes just after the answer's end does not lose the conversation: at an empty prompt it leaves the second time. */
  let leaving = false;
  const interrupt = (): void => {
    interrupted = true;
    if (answering) answering.abort();
    if (answering ? !terminal : !terminal || leaving) input.close();
    else if (!answering) {
      const typed = input.line !== '';
      input.write(null, { ctrl: true, name: 'e' });
      input.write(null, { ctrl: true, name: 'u' });
      if (typed) return;
      leaving = true;
      note('\n(Ctrl-C again, or Ctrl-D, ends the conversation)');
      input.prompt();
    }
  };
  // A terminal in readline's hands reports Ctrl-C as a key; a pipe's Ctrl-C is a signal.
  input.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);

  const answer = async (text: string): Promise<void> => {
    answering = new AbortController();
    try {
      for await (const part of conversation.answer(text, answering.signal)) {
        if (part.type === 'text') process.stdout.write(part.text);
        else note(`(${part.messages} of the oldest messages left out: the conversation no longer fits the context of ${pipe.info.contextLength} tokens)`);
      }
      process.stdout.write(terminal ? '\n\n' : '\n');
    } catch (error) {
      if (!answering.signal.aborted) {
        process.stderr.write(`parley: ${inFlags(describeError(error))}\n`);
        if (!terminal) process.exitCode = 1;
      } else if (terminal) note('\n(stopped)\n');
    } finally {
      answering = undefined;
    }
  };

  if (terminal) note(`${introduce(name, pipe)}\n/help says what can be typed; Ctrl-C stops an answer, Ctrl-D ends.\n`);
  try {
    for await (const line of lines(input, terminal)) {
      leaving = false;
      const text = line.trim();
      if (text === '') continue;
      if (text.startsWith('/')) {
        if ((await obey(text, conversation, note)) === 'exit') break;
      } else await answer(text);
      if (interrupted && !terminal) break;
      interrupted = false;
    }
    if (interrupted && !terminal) process.exitCode = 130;
  } finally {
    process.off('SIGINT', interrupt);
    input.close();
  }
}

/** Lines as they are wanted; on a terminal with a prompt before each. Ends with the input. */
async function* lines(input: Interface, terminal: boolean): AsyncGenerator<string, void> {
  const waiting: string[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  input.on('line', (line) => {
    waiting.push(line);
    wake?.();
  });
  input.on('close', () => {
    closed = true;
    wake?.();
  });
  for (;;) {
    if (terminal && !closed && waiting.length === 0) input.prompt();
    // What was typed during the answer stands in the middle of it: here again, where it is answered.
    else if (terminal && waiting[0] !== undefined) process.stdout.write(`> ${waiting[0]}\n`);
    while (waiting.length === 0 && !closed) await new Promise<void>((resolve) => (wake = resolve));
    const line = waiting.shift();
    if (line === undefined) break;
    yield line;
  }
  if (terminal) process.stdout.write('\n');
}

const COMMANDS = ['/help', '/reset', '/system', '/save', '/exit'];

async function obey(line: string, conversation: Conversation, note: (text: string) => void): Promise<'exit' | 'go on'> {
  const [, command = '', rest = ''] = /^(\/\S*)\s*(.*)$/s.exec(line) ?? [];
  switch (command) {
    case '/help':
      note(HELP);
      break;
    case '/reset':
      conversation.reset();
      note('A new conversation.');
      break;
    case '/system':
      if (rest !== '') conversation.system = rest;
      note(conversation.system === undefined ? 'There is no system message. Set one: /system TEXT' : `System message: ${conversation.system}`);
      break;
    case '/save':
      await save(rest, conversation, note);
      break;
    case '/exit':
    case '/quit':
      return 'exit';
    default: {
      const nearest = nearestName(command, COMMANDS);
      note(`There is no command ${command}: ${nearest === undefined ? '/help lists them.' : `did you mean ${nearest}?`}`);
    }
  }
  return 'go on';
}

async function save(file: string, { messages }: Conversation, note: (text: string) => void): Promise<void> {
  if (file === '') {
    note('Say where to: /save FILE');
    return;
  }
  try {
    await writeFile(file, `${JSON.stringify({ messages }, null, 2)}\n`, { flag: 'wx' });
    note(`${messages.length} messages saved in ${file}.`);
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    note(exists ? `${file} exists already: choose another name.` : `Not saved: ${describeError(error)}`);
  }
}
