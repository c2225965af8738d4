/**
 * Conversations made of a plain text: what one passage says is the user's turn and what follows it is the answer. A model
 * tuned on them replies by going on in the manner of the text, which is the most a text without questions can teach.
 */
import type { ChatMessage } from '@parley/tokenizer';
import type { Conversation, TextDocument } from './document.ts';

export interface DialogueOptions {
  /** A turn is at most about this long, in UTF-16 units. Default 240. */
  readonly turnCharacters?: number;
  /** Turns of a conversation, half of them answers. Default 4. */
  readonly turns?: number;
}

/** The conversations a text holds. Sentences are never cut; one longer than four turns ends the conversation before it. */
export function* dialogues(document: TextDocument, options: DialogueOptions = {}): Generator<Conversation> {
  const { turnCharacters = 240, turns = 4 } = options;
  let messages: ChatMessage[] = [];
  const finish = function* (): Generator<Conversation> {
    const whole = messages.slice(0, messages.length - (messages.length % 2));
    if (whole.length > 0) yield { kind: 'conversation', messages: whole, path: document.path, line: document.line };
    messages = [];
  };
  for (const passage of passages(document.text, turnCharacters)) {
    if (passage === null) {
      yield* finish();
      continue;
    }
    messages.push({ role: messages.length % 2 === 0 ? 'user' : 'assistant', content: passage });
    if (messages.length === turns) yield* finish();
  }
  yield* finish();
}

/** Runs of whole sentences of about half to a whole `limit`; null where a sentence is too long to be a turn. */
function* passages(text: string, limit: number): Generator<string | null> {
  let passage = '';
  for (const sentence of sentences(text)) {
    if (sentence.length > 4 * limit) {
      if (passage !== '') yield passage;
      passage = '';
      yield null;
    } else if (passage !== '' && passage.length + sentence.length + 1 > limit) {
      yield passage;
      passage = sentence;
    } else {
      passage = passage === '' ? sentence : `${passage} ${sentence}`;
    }
    if (passage.length >= limit / 2) {
      yield passage;
      passage = '';
    }
  }
  if (passage !== '') yield passage;
}

function* sentences(text: string): Generator<string> {
  const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
  for (const paragraph of text.split(/\n\s*\n/)) {
    for (const { segment } of segmenter.segment(paragraph.replace(/\s*\n\s*/g, ' '))) {
      const sentence = segment.trim();
      if (sentence !== '') yield sentence;
    }
  }
}
