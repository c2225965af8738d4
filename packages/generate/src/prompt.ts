/** From what is asked (text, tokens, a conversation) to the tokens the model reads, and how many may follow them. */
import { type ChatMessage, ChatTemplateError, type Tokenizer, type ToolDefinition } from '@parley/tokenizer';
import { ContextOverflowError, count, GenerateError, OptionError } from './errors.ts';
import type { Settings } from './options.ts';

/** `messages` are written out by the model's chat template, with the `tools` the assistant may call, and the assistant's turn is opened. */
export type Prompt = string | { readonly tokens: readonly number[] } | { readonly messages: readonly ChatMessage[]; readonly tools?: readonly ToolDefinition[] | undefined };

export interface PreparedPrompt {
  readonly tokens: readonly number[];
  readonly droppedMessages: number;
  /** New tokens at most. */
  readonly newTokens: number;
  /** Token ids that end a sequence. */
  readonly ending: ReadonlySet<number>;
}

export interface PromptSetting {
  readonly tokenizer: Tokenizer | null;
  readonly settings: Settings;
  readonly contextLength: number;
  /** Token ids a model may choose. */
  readonly vocabSize: number;
  /** The model's end-of-text tokens, if it names its own beside the tokenizer's. */
  readonly eosTokenId?: readonly number[] | undefined;
}

/** Throws OptionError, ContextOverflowError or GenerateError. */
export function preparePrompt(prompt: Prompt, setting: PromptSetting): PreparedPrompt {
  const { tokenizer, settings } = setting;
  const { tokens, droppedMessages } = encode(prompt, setting);
  if (tokens.length === 0) throw new GenerateError('the prompt has no tokens: the model needs at least one to go on from');
  const ending = new Set([...(settings.eosTokenId ?? setting.eosTokenId ?? tokenizerEnd(tokenizer)), ...settings.stopTokens]);
  if (typeof prompt === 'object' && 'messages' in prompt && settings.eosTokenId === null) {
    const turnEnd = endOfTurn(tokenizer);
    if (turnEnd !== undefined) ending.add(turnEnd);
  }
  const named = { logitBias: [...settings.logitBias.keys()], stopTokens: settings.stopTokens, eosTokenId: settings.eosTokenId ?? [] };
  for (const [option, ids] of Object.entries(named)) {
    const value = ids.find((token) => token >= setting.vocabSize);
    if (value === undefined) continue;
    throw new OptionError(`token ${value} is outside this model's vocabulary of ${count(setting.vocabSize)}: it cannot come up`, { option, value });
  }
  return { tokens, droppedMessages, newTokens: roomFor(tokens.length, setting), ending };
}

const tokenizerEnd = (tokenizer: Tokenizer | null): readonly number[] => (tokenizer?.eosTokenId === undefined ? [] : [tokenizer.eosTokenId]);

/** The special token that closes an assistant's turn, as the chat template writes it. */
function endOfTurn(tokenizer: Tokenizer | null): number | undefined {
  if (tokenizer === null) return undefined;
  const special = new Set(tokenizer.specialTokens.values());
  try {
    const { ids, mask } = tokenizer.encodeConversation([{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }]);
    return ids.findLast((id, i) => mask[i] === true && special.has(id));
  } catch (error) {
    // A template that rewrites earlier turns does not tell; the model's end-of-text tokens are what is left.
    if (error instanceof ChatTemplateError) return undefined;
    throw error;
  }
}

/** Tokens of a prompt as the model would read it, however long. Throws GenerateError. */
export function promptTokens(prompt: Prompt, setting: PromptSetting): readonly number[] {
  return encode(prompt, setting).tokens;
}

function encode(prompt: Prompt, setting: PromptSetting): { tokens: readonly number[]; droppedMessages: number } {
  if (typeof prompt === 'object' && 'tokens' in prompt) return { tokens: checkTokens(prompt.tokens, setting.vocabSize), droppedMessages: 0 };
  const { tokenizer } = setting;
  if (tokenizer === null) throw new GenerateError('this generator has no tokenizer: pass the prompt as tokens');
  if (typeof prompt === 'object') return encodeMessages(prompt, tokenizer, setting);
  const tokens = tokenizer.encode(prompt, { addSpecialTokens: true });
  // Of an empty prompt remains what texts begin with.
  if (tokens.length === 0 && tokenizer.bosTokenId !== undefined) tokens.push(tokenizer.bosTokenId);
  return { tokens, droppedMessages: 0 };
}

function checkTokens(tokens: readonly number[], vocabSize: number): readonly number[] {
  for (const token of tokens) {
    if (!Number.isInteger(token) || token < 0 || token >= vocabSize) {
      throw new GenerateError(`token ${token} of the prompt is outside this model's vocabulary of ${count(vocabSize)}`);
    }
  }
  return tokens;
}

function encodeMessages(
  { messages, tools }: Extract<Prompt, { readonly messages: unknown }>,
  tokenizer: Tokenizer,
  setting: PromptSetting,
): { tokens: readonly number[]; droppedMessages: number } {
  if (tokenizer.chatTemplate === undefined) {
    throw new GenerateError('this model has no chat template: it completes texts, so pass the prompt as one');
  }
  const last = messages.at(-1);
  if (last === undefined) throw new GenerateError('the conversation has no messages: pass at least one of role "user"');
  if (last.role === 'assistant') throw new GenerateError('the last message is the assistant\'s: end the conversation with what it should answer');
  const encodeAll = (some: readonly ChatMessage[]): number[] => tokenizer.encodeChat([...some], { addGenerationPrompt: true, tools });
  const whole = encodeAll(messages);
  if (setting.settings.conversationOverflow === 'error') return { tokens: whole, droppedMessages: 0 };
  return trimConversation(messages, { encode: encodeAll, whole, room: setting.contextLength - reserve(setting) });
}

/** Room to keep for the answer when turns are left out: what was asked for, but not over a quarter of the context if it may end early. */
function reserve({ settings, contextLength }: PromptSetting): number {
  const quarter = Math.max(1, Math.floor(contextLength / 4));
  const asked = settings.maxNewTokens ?? quarter;
  return settings.contextOverflow === 'error' ? asked : Math.min(asked, quarter);
}

/**
 * Leaves out the oldest turns, a user's message with the answers to it, until the conversation has at most `room` tokens.
 * System messages and everything from the last user message on stay; if that is still too long, so it is returned.
 */
function trimConversation(
  messages: readonly ChatMessage[],
  options: { encode: (messages: readonly ChatMessage[]) => number[]; whole: readonly number[]; room: number },
): { tokens: readonly number[]; droppedMessages: number } {
  let kept = messages;
  let tokens = options.whole;
  while (tokens.length > options.room) {
    const lastUser = kept.findLastIndex(({ role }) => role === 'user');
    const oldest = kept.findIndex(({ role }) => role !== 'system');
    if (oldest < 0 || oldest >= lastUser) break;
    let next = oldest + 1;
    while (next < lastUser && (kept[next]?.role === 'assistant' || kept[next]?.role === 'tool')) next++;
    const [from, to] = [oldest, next];
    kept = kept.filter((message, i) => message.role === 'system' || i < from || i >= to);
    tokens = options.encode(kept);
  }
  return { tokens, droppedMessages: messages.length - kept.length };
}

/** 1 → "1 token". */
const some = (tokens: number): string => `${count(tokens)} ${tokens === 1 ? 'token' : 'tokens'}`;

/** New tokens at most after a prompt of this length. */
function roomFor(promptTokens: number, { settings, contextLength }: PromptSetting): number {
  const { maxNewTokens, maxLength, contextOverflow, minNewTokens, minLength } = settings;
  const asked = maxNewTokens ?? (maxLength === null ? null : maxLength - promptTokens);
  if (asked !== null && asked < 1) {
    throw new OptionError(
      `a maximum length of ${count(maxLength ?? 0)} tokens counts the prompt, which has ${count(promptTokens)}: raise it, or limit the new tokens`,
      { option: 'maxLength', value: maxLength },
    );
  }
  const room = fit(promptTokens, asked, { contextOverflow, contextLength });
  const wanted = Math.max(minNewTokens, minLength - promptTokens);
  if (wanted > room) {
    throw new OptionError(`${count(wanted)} new tokens at least, but ${count(room)} at most: lower the minimum or raise the maximum`, {
      option: 'minNewTokens', value: minNewTokens,
    });
  }
  return room;
}

function fit(promptTokens: number, asked: number | null, context: Pick<Settings, 'contextOverflow'> & { contextLength: number }): number {
  const { contextOverflow, contextLength } = context;
  const sizes = { promptTokens, newTokens: asked, contextLength };
  if (contextOverflow === 'slide') {
    if (asked !== null) return asked;
    throw new OptionError('with a sliding context the text never ends for lack of room: limit the new tokens', { option: 'maxNewTokens' });
  }
  if (promptTokens >= contextLength) {
    throw new ContextOverflowError(
      `a prompt of ${some(promptTokens)} leaves no room in this model's context of ${count(contextLength)}: ` +
        'shorten it, or let the context slide',
      sizes,
    );
  }
  const room = contextLength - promptTokens;
  if (asked === null) return room;
  if (asked > room && contextOverflow === 'error') {
    throw new ContextOverflowError(
      `a prompt of ${some(promptTokens)} and ${count(asked)} new ones need ${count(promptTokens + asked)}, ` +
        `and this model's context holds ${count(contextLength)}: shorten the prompt, ask for ${count(room)} at most, or let the context stop or slide`,
      sizes,
    );
  }
  return Math.min(asked, room);
}
