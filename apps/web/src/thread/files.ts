/** Text files that are put into a message: each as a block of code under its name. */

export const LIMIT_BYTES = 200_000;

export type ReadFile = { readonly text: string } | { readonly problem: 'notText' | 'tooLarge' };

/** Whether it is text is told by its bytes: valid UTF-8 without NUL. */
export async function readTextFile(file: File): Promise<ReadFile> {
  if (file.size > LIMIT_BYTES) return { problem: 'tooLarge' };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    return text.includes('\0') ? { problem: 'notText' } : { text: fenced(file.name, text) };
  } catch {
    return { problem: 'notText' };
  }
}

/** Fenced by more backticks than the text has in a row. */
export function fenced(name: string, text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  const extension = /\.([a-z\d]{1,10})$/i.exec(name)?.[1] ?? '';
  return `${name}:\n${fence}${extension}\n${text.replace(/\r\n?/g, '\n').replace(/\n$/, '')}\n${fence}\n`;
}
