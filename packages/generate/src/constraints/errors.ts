import { GenerateError } from '../errors.ts';

/** A constraint that cannot be enforced as it stands: names the part and the remedy. */
export class ConstraintError extends GenerateError {
  override name = 'ConstraintError';
}
