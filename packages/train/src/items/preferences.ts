/**
 * Pairs of answers to one conversation, of which one is preferred, in the shapes that are about: `prompt` (a text, or messages) or
 * `messages`, with `chosen` and `rejected` (texts, or messages); or `chosen` and `rejected` as two whole conversations. One JSON object a
 * line. Texts are taken as they are.
 */
import { createHash } from 'node:crypto';
import { DataError, isHeldOut, isWanted, type Place, readLines, sourceFiles, type SourceSpec } from '@parley/data';
import type { ChatMessage, Tokenizer } from '@parley/tokenizer';
import { z } from 'zod';
import { TrainError } from '../errors.ts';
import { type ItemDataOptions, itemsKey, MOST_ITEMS } from './labelled.ts';

/** A conversation in tokens, and which of them the judged answer says. */
export interface Answer {
  readonly ids: Int32Array;
  readonly spoken: Uint8Array;
}

export interface PreferencePair {
  readonly chosen: Answer;
  readonly rejected: Answer;
}

export interface PreferenceData {
  readonly train: readonly PreferencePair[];
  readonly heldOut: readonly PreferencePair[];
  readonly key: string;
  readonly notes: readonly string[];
}

const message = z.object({ role: z.enum(['system', 'user', 'assistant']), content: z.string() });
const text = z.union([z.string(), z.array(message).min(1)]);
const schema = z.object({ prompt: text.optional(), messages: z.array(message).min(1).optional(), chosen: text, rejected: text });

/** Prompt, chosen and rejected of one object. Throws DataError naming what is missing. */
export function parsePreference(object: Readonly<Record<string, unknown>>, place: Place): { prompt: ChatMessage[]; chosen: ChatMessage[]; rejected: ChatMessage[] } {
  const parsed = schema.safeParse(object);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new DataError(`is no preference (${field}): it needs "chosen" and "rejected", texts or messages, and "prompt" or "messages" before them`, place);
  }
  const { prompt, messages, chosen, rejected } = parsed.data;
  const answer = (said: string | ChatMessage[]): ChatMessage[] => (typeof said === 'string' ? [{ role: 'assistant', content: said }] : said);
  const before = messages ?? (typeof prompt === 'string' ? [{ role: 'user' as const, content: prompt }] : prompt);
  const [good, bad] = [answer(chosen), answer(rejected)];
  if (before !== undefined) return { prompt: before, chosen: good, rejected: bad };
  // Two whole conversations: what they begin with is the prompt, up to the answer that differs.
  let shared = 0;
  while (shared < Math.min(good.length, bad.length) - 1 && good[shared]?.role === bad[shared]?.role && good[shared]?.content === bad[shared]?.content) shared++;
  if (shared === 0) throw new DataError('has no prompt, and its two answers begin with nothing in common: give "prompt" or "messages"', place);
  return { prompt: good.slice(0, shared), chosen: good.slice(shared), rejected: bad.slice(shared) };
}

/** Throws TrainError where there is nothing to learn or too much to hold, DataError. */
export async function readPreferences(sources: readonly SourceSpec[], options: ItemDataOptions): Promise<PreferenceData> {
  const { tokenizer, contextLength, signal } = options;
  const train: PreferencePair[] = [];
  const heldOut: PreferencePair[] = [];
  const notes: string[] = [];
  const seen = new Set<string>();
  for (const source of sources) {
    const before = { train: train.length, heldOut: heldOut.length };
    const dropped = { 'not selected': 0, duplicate: 0, 'over the context': 0, 'both answers the same': 0 };
    for (const path of (await sourceFiles(source)).files) {
      for await (const { text: line, line: number } of readLines(path, signal)) {
        if (line.trim() === '') continue;
        const place = { path, line: number };
        const object = parseObject(line, place);
        if (!isWanted(object, source)) dropped['not selected']++;
        else {
          const { prompt, chosen, rejected } = parsePreference(object, place);
          const asked = source.system === undefined || prompt[0]?.role === 'system' ? prompt : [{ role: 'system' as const, content: source.system }, ...prompt];
          const pair = { chosen: encodeAnswer(tokenizer, asked, chosen), rejected: encodeAnswer(tokenizer, asked, rejected) };
          const digest = createHash('sha256').update(JSON.stringify(asked)).digest();
          const identity = createHash('sha256').update(JSON.stringify([asked, chosen, rejected])).digest('base64');
          if (JSON.stringify(chosen) === JSON.stringify(rejected)) dropped['both answers the same']++;
          else if (Math.max(pair.chosen.ids.length, pair.rejected.ids.length) - 1 > contextLength) dropped['over the context']++;
          else if (options.deduplicate && seen.has(identity)) dropped.duplicate++;
          else if (train.length - before.train + heldOut.length - before.heldOut < (source.maxDocuments ?? Infinity)) {
            seen.add(identity);
            (isHeldOut(digest, source.heldOut ?? options.heldOut) ? heldOut : train).push(pair);
          }
        }
        if (train.length > MOST_ITEMS) throw new TrainError(`there are more than ${MOST_ITEMS} pairs, and they are held in memory: take fewer with max_documents`);
      }
    }
    const lost = Object.entries(dropped).filter(([, count]) => count > 0).map(([reason, count]) => `${count} ${reason}`);
    notes.push(`${source.name}: ${train.length - before.train} pairs to train on, ${heldOut.length - before.heldOut} held out${lost.length > 0 ? `; dropped: ${lost.join(', ')}` : ''}`);
  }
  if (train.length === 0) throw new TrainError(`there is no pair of answers left to train on (${notes.join('; ')}): raise the context, or lower held_out`);
  return { train, heldOut, key: await itemsKey(sources, { kind: 'preferences' }, options), notes };
}

function parseObject(line: string, place: Place): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(line));
  } catch (error) {
    throw new DataError('is not a JSON object: one a line is expected', { ...place, cause: error });
  }
}

/** The conversation with its answer; only the answer counts as spoken, not what the assistant said in the prompt. */
function encodeAnswer(tokenizer: Tokenizer, prompt: readonly ChatMessage[], answer: readonly ChatMessage[]): Answer {
  const { ids, mask } = tokenizer.encodeConversation([...prompt, ...answer]);
  const spoken = Uint8Array.from(mask, (value) => (value ? 1 : 0));
  let runs = prompt.filter(({ role }) => role === 'assistant').length;
  for (let i = 0; i < spoken.length && runs > 0; i++) {
    if (spoken[i] === 1 && spoken[i + 1] !== 1) runs--;
    spoken[i] = 0;
  }
  return { ids: Int32Array.from(ids), spoken };
}
