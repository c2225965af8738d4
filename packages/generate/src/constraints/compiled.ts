/** Constraints that were compiled before: clients send the same schema with every request. */
import type { Tokenizer } from '@parley/tokenizer';
import { compileConstraint, type Constraint, type ConstraintSpec } from './constraint.ts';

/** Each keeps the masks of the positions it has seen: some megabytes with a large vocabulary. */
const KEPT = 32;
const compiled = new WeakMap<Tokenizer, Map<string, Constraint>>();

/** `compileConstraint`, which throws ConstraintError; the last ones asked for are kept by what they say. */
export function compiledConstraint(spec: ConstraintSpec, tokenizer: Tokenizer, ending: ReadonlySet<number>): Constraint {
  let known = compiled.get(tokenizer);
  if (known === undefined) compiled.set(tokenizer, known = new Map<string, Constraint>());
  const key = JSON.stringify([spec, [...ending].toSorted((a, b) => a - b)]);
  const constraint = known.get(key) ?? compileConstraint(spec, tokenizer, { ending });
  known.delete(key);
  known.set(key, constraint); // the last one asked for is the last in order
  const [oldest] = known.keys();
  if (known.size > KEPT && oldest !== undefined) known.delete(oldest);
  return constraint;
}
