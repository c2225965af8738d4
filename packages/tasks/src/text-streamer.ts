/** Streamers, as transformers and Transformers.js have them: objects that are handed tokens while they are generated. */
import type { Tokenizer } from '@parley/tokenizer';

export interface Streamer {
  /**
   * First the prompt's tokens, then each new one. `text`: the text that is certain by now, where the caller knows it better than
   * the tokens tell, because of stop strings.
   */
  put(tokens: readonly number[], text?: string): void;
  /** The text is complete. */
  end(): void;
}

export interface TextStreamerOptions {
  /** Leave out the prompt. Default false. */
  readonly skip_prompt?: boolean;
  /** Default true. */
  readonly skip_special_tokens?: boolean;
  /** Gets each piece of text. Default: it is written to the standard output. */
  readonly callback_function?: (text: string) => void;
  /** Gets each token as it comes. */
  readonly token_callback_function?: (tokens: readonly number[]) => void;
}

/** Passes text on as soon as its characters are complete. */
export class TextStreamer implements Streamer {
  readonly #tokenizer: Tokenizer;
  readonly #options: TextStreamerOptions;
  #decoder: ReturnType<Tokenizer['createDecoder']>;
  #prompt = true;

  constructor(tokenizer: Tokenizer, options: TextStreamerOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#decoder = this.#newDecoder();
  }

  put(tokens: readonly number[], text?: string): void {
    const isPrompt = this.#prompt;
    this.#prompt = false;
    if (isPrompt && this.#options.skip_prompt === true) return;
    if (!isPrompt) this.#options.token_callback_function?.(tokens);
    this.#write(text ?? tokens.map((token) => this.#decoder.push(token)).join(''));
  }

  end(): void {
    this.#write(this.#decoder.flush());
    if (this.#options.callback_function === undefined) this.#write('\n');
    // Ready for another text.
    this.#prompt = true;
    this.#decoder = this.#newDecoder();
  }

  #newDecoder(): ReturnType<Tokenizer['createDecoder']> {
    return this.#tokenizer.createDecoder({ skipSpecialTokens: this.#options.skip_special_tokens ?? true });
  }

  #write(text: string): void {
    if (text === '') return;
    if (this.#options.callback_function) this.#options.callback_function(text);
    else process.stdout.write(text);
  }
}
