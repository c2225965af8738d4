/** Errors of the train package. Every message says what happened, with what value, and what to do about it. */

export class TrainError extends Error {
  override name = 'TrainError';
}

/** A recipe that cannot be followed. One problem a line, each with its path in the file, the value and the remedy. */
export class RecipeError extends TrainError {
  override name = 'RecipeError';
  readonly problems: readonly string[];

  constructor(path: string, problems: readonly string[], options: { cause?: unknown } = {}) {
    super(problems.length === 1 ? `${path}: ${problems[0]}` : `${path} has ${problems.length} problems:\n${problems.map((p) => `  ${p}`).join('\n')}`, options);
    this.problems = problems;
  }
}

/** The loss or the gradient is no longer a number. */
export class DivergenceError extends TrainError {
  override name = 'DivergenceError';
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;

  constructor(message: string, details: { step: number; loss: number; gradientNorm: number }) {
    super(message);
    this.step = details.step;
    this.loss = details.loss;
    this.gradientNorm = details.gradientNorm;
  }
}

/** A checkpoint or run folder that is missing, damaged, or of another recipe. */
export class CheckpointError extends TrainError {
  override name = 'CheckpointError';
}
