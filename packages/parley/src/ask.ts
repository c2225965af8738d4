/** Questions to the person at the terminal. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from './errors.ts';
import { Interrupted } from './interrupts.ts';

/** Yes or no. Throws UsageError where nobody can be asked. */
export async function agreed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new UsageError('nobody can be asked here: say --yes');
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await reader.question(question)).trim());
  } finally {
    reader.close();
  }
}

/** What is typed of a hidden line so far, after another key; null: it is cancelled; done: Enter was among them. Exported for its test. */
export function typeHidden(line: string, keys: string): { readonly line: string; readonly done: boolean } | null {
  let typed = line;
  for (const key of keys) {
    if (key === '\u0003') return null;
    if (key === '\r' || key === '\n' || key === '\u0004') return { line: typed, done: true };
    if (key === '\u007f' || key === '\b') typed = Array.from(typed).slice(0, -1).join('');
    else if (key === '\u0015') typed = '';
    else if (key >= ' ') typed += key;
  }
  return { line: typed, done: false };
}

/** A line that is not shown. Throws Interrupted on Ctrl-C. */
async function hiddenLine(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  try {
    return await new Promise<string>((resolve, reject) => {
      let line = '';
      stdin.on('data', function read(keys: string) {
        const state = typeHidden(line, keys);
        if (state !== null && !state.done) {
          line = state.line;
          return;
        }
        stdin.off('data', read);
        if (state === null) reject(new Interrupted('stopped by Ctrl-C'));
        else resolve(state.line);
      });
    });
  } finally {
    stdin.setRawMode(false).pause();
    stderr.write('\n');
  }
}

/** Typed twice at a terminal; otherwise the first line of the standard input. */
export async function newPassword(name: string): Promise<string> {
  if (process.stdin.isTTY) {
    const password = await hiddenLine(`Password for ${name} (not shown): `);
    if (await hiddenLine('Once more: ') !== password) throw new UsageError('the passwords are not the same');
    return password;
  }
  let text = '';
  for await (const piece of process.stdin.setEncoding('utf8')) text += String(piece);
  const [password = ''] = text.split(/\r?\n/);
  if (password === '') throw new UsageError('no password came: type it at a terminal, or send it on the standard input');
  return password;
}
