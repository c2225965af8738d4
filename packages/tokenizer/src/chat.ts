/**
 * Conversations as text: Hugging Face's chat templates (Jinja), and what keeps a message from being taken for markup.
 *
 * A template's output is parsed for special tokens, so a message that contains `<|im_end|>` could end its own turn and
 * speak as someone else. Before rendering, the first character of every special token inside a message is therefore
 * exchanged for a stand-in, a character that occurs nowhere in the conversation, and put back once the special tokens
 * have been found: the message comes out as it was, as text. Messages without such strings reach the template untouched.
 */
import { Template } from '@huggingface/jinja';
import type { AddedTokenMatcher } from './added-tokens.ts';
import { ChatTemplateError } from './errors.ts';
import { type CallForm, callFormOf, plainMessages, templateMessage } from './tool-calls.ts';

export interface ChatMessage {
  /** `tool`: what a function that the assistant called has answered. */
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  /** Functions the assistant calls; `content` may then be ''. */
  toolCalls?: readonly ToolCall[] | undefined;
  /** Of `tool`: which call this answers, and the function's name. */
  toolCallId?: string | undefined;
  name?: string | undefined;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** The value, not its JSON: templates write it themselves. */
  readonly arguments: unknown;
}

/** A function the assistant may call, as OpenAI's API and Hugging Face's templates have it. `parameters`: a JSON schema. */
export interface ToolDefinition {
  readonly type: 'function';
  readonly function: { readonly name: string; readonly description?: string | undefined; readonly parameters?: unknown };
}

export interface ChatOptions {
  /** Ends with the beginning of an assistant's turn, for the model to go on from. */
  addGenerationPrompt: boolean;
  /** Functions the assistant may call. Templates that know nothing of them get them in words. */
  tools?: readonly ToolDefinition[] | undefined;
}

export interface EncodedConversation {
  ids: number[];
  /** As long as `ids`: true on what the assistant says, the token that ends its turn included. */
  mask: boolean[];
}

/** Parley's own template: ChatML. */
export const CHATML_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export class ChatTemplate {
  readonly source: string;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #inTemplate: boolean;
  /** How the model writes calls of functions. */
  readonly callForm: CallForm;
  #template: Template | undefined;

  /** @param variables what a template may refer to beside the messages: `bos_token`, `eos_token`, … */
  constructor(source: string, variables: Readonly<Record<string, string>>) {
    this.source = source;
    this.#variables = variables;
    const { form, inTemplate } = callFormOf(source);
    this.callForm = form;
    this.#inTemplate = inTemplate;
  }

  /** @throws ChatTemplateError when the template cannot be parsed or fails, `raise_exception` included. */
  render(messages: readonly ChatMessage[], { addGenerationPrompt, tools = [] }: ChatOptions): string {
    const written = this.#inTemplate ? messages : plainMessages(messages, tools);
    try {
      this.#template ??= new Template(this.source);
      return this.#template.render({
        ...this.#variables, messages: written.map((message) => templateMessage(message, this.callForm)), add_generation_prompt: addGenerationPrompt,
        ...(this.#inTemplate && tools.length > 0 && { tools }),
      });
    } catch (cause) {
      const roles = messages.map(({ role }) => role).join(', ') || 'none';
      throw new ChatTemplateError(
        `the chat template failed on messages with the roles ${roles}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }
}

/** Roles are written into markup by templates (`'<|' + role + '|>'`), so they are names and nothing else. */
export function checkMessages(messages: readonly ChatMessage[]): void {
  messages.forEach(({ role, content }, i) => {
    if (typeof role !== 'string' || !/^[A-Za-z][\w-]*$/.test(role)) {
      throw new ChatTemplateError(`message ${i} has the role ${JSON.stringify(role)}: expected system, user, assistant or tool`);
    }
    if (typeof content !== 'string') {
      throw new ChatTemplateError(`message ${i} (${role}) has content of type ${typeof content}: expected a string`);
    }
  });
}

/** Stand-ins for the characters that would let a message be read as markup; one set for one conversation. */
export class StandIns {
  readonly #matcher: AddedTokenMatcher;
  readonly #specials: readonly string[];
  readonly #taken: string;
  readonly #standIns = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  #next = 0;

  /**
   * @param specials the special tokens' strings, and `matcher` that finds them.
   * @param taken every text that is going to be rendered, and the template: no stand-in occurs in it.
   */
  constructor(specials: readonly string[], matcher: AddedTokenMatcher, taken: readonly string[]) {
    this.#specials = specials;
    this.#matcher = matcher;
    this.#taken = taken.join('\n');
  }

  /** A message's content, in which no special token can be found, nor one made with what the template puts around it. */
  protect(content: string): string {
    const text = content.toWellFormed();
    const places = new Set<number>();
    for (const { index } of this.#matcher.starts(text)) places.add(index);
    // The template may trim: what touches the markup is the content without white space around it.
    const core = text.trim();
    const offset = text.length - text.trimStart().length;
    if (core !== '') {
      for (const special of this.#specials) {
        for (let cut = 1; cut < special.length; cut++) {
          const head = special.slice(0, cut);
          const tail = special.slice(cut);
          if (core.endsWith(head)) places.add(offset + core.length - head.length);
          if (core.startsWith(tail) || tail.startsWith(core)) places.add(offset);
        }
      }
    }
    if (places.size === 0) return content;
    let protectedText = '';
    let done = 0;
    for (const place of [...places].sort((a, b) => a - b)) {
      const character = String.fromCodePoint(text.codePointAt(place) as number);
      if (place < done) continue; // inside a pair already exchanged
      protectedText += text.slice(done, place) + this.#standIn(character);
      done = place + character.length;
    }
    return protectedText + text.slice(done);
  }

  /** Puts the original characters back. */
  restore(text: string): string {
    let restored = text;
    for (const [standIn, original] of this.#originals) restored = restored.replaceAll(standIn, original);
    return restored;
  }

  #standIn(character: string): string {
    let standIn = this.#standIns.get(character);
    if (standIn === undefined) {
      do standIn = candidate(this.#next++);
      while (this.#taken.includes(standIn));
      this.#standIns.set(character, standIn);
      this.#originals.set(standIn, character);
    }
    return standIn;
  }
}

/** Characters that text does not use: 32 noncharacters, then those for private use. */
function candidate(n: number): string {
  if (n < 32) return String.fromCharCode(0xfdd0 + n);
  if (n < 32 + 0x1900) return String.fromCharCode(0xe000 + n - 32);
  throw new ChatTemplateError('the conversation contains every private-use character, so none is left to protect special tokens in it with');
}
