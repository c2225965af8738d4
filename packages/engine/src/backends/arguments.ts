import type { Backend } from '../backend.ts';
import type { Tensor } from '../tensor.ts';

type Operation = {
  [Name in keyof Backend]: Backend[Name] extends (args: infer A extends object) => void ? (A extends Tensor ? never : Name) : never;
}[keyof Backend];

/** The arguments of an operation of `Backend`. */
export type Args<Name extends Operation> = Parameters<Backend[Name]>[0];
