/**
 * Traditional Chinese to simplified, by phrases and then characters (OpenCC's tables). One script halves what a small model
 * has to learn. Other languages pass through, but for Japanese: its characters are changed too, so leave `convert` off there.
 */
import * as OpenCC from 'opencc-js/t2cn';
import type { Document } from './document.ts';

/** `simplified`: of Taiwan's and Hong Kong's forms alike, words left as they are. */
export type Conversion = 'simplified';

/** The library's own types do not resolve under `nodenext`: this is the part of it that is used. */
const library = OpenCC as unknown as { Converter(options: { from: 't'; to: 'cn' }): (text: string) => string };

let toSimplified: ((text: string) => string) | undefined;

export function convertText(text: string, _to: Conversion): string {
  // Building the tables takes some 20 ms, so only for those who ask.
  toSimplified ??= library.Converter({ from: 't', to: 'cn' });
  return toSimplified(text);
}

export function convertDocument(document: Document, to: Conversion): Document {
  if (document.kind === 'text') return { ...document, text: convertText(document.text, to) };
  return { ...document, messages: document.messages.map((message) => ({ ...message, content: convertText(message.content, to) })) };
}
