/** Errors of the tokenizer. Every message says what happened, with what value, and what to do about it. */

export class TokenizerError extends Error {
  override name = 'TokenizerError';
}

/** A tokenizer.json or tokenizer_config.json that is malformed, or that asks for something Parley does not do. */
export class TokenizerFormatError extends TokenizerError {
  override name = 'TokenizerFormatError';
  /** Where in the file, like `model.merges[17]`. */
  readonly field: string;

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(`${field}: ${message}`, options);
    this.field = field;
  }
}

/** A chat template that is missing, fails, or cannot be used in the way asked for. */
export class ChatTemplateError extends TokenizerError {
  override name = 'ChatTemplateError';
}

/** A file that cannot be read or written as a tokenizer. */
export class TokenizerFileError extends TokenizerError {
  override name = 'TokenizerFileError';
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super(`${path}: ${message}`, options);
    this.path = path;
  }
}
