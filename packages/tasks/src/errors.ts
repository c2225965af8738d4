/** Errors of the task pipelines; those of generation itself pass through. */

export class TaskError extends Error {
  override name = 'TaskError';
}

/** A task that no pipeline exists for. */
export class UnknownTaskError extends TaskError {
  override name = 'UnknownTaskError';
  readonly task: string;
  readonly supported: readonly string[];

  constructor(task: string, supported: readonly string[]) {
    super(`there is no pipeline for the task "${task}": choose ${supported.map((name) => `"${name}"`).join(' or ')}`);
    this.task = task;
    this.supported = supported;
  }
}
