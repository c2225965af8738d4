export { Arena } from './arena.ts';
export type { Activation, Backend, MemoryStats } from './backend.ts';
export { EngineError, formatBytes, LifetimeError, MemoryLimitError, ShapeError } from './errors.ts';
export * as ops from './ops.ts';
export { IGNORE_INDEX } from './ops.ts';
export type { AttentionArgs, Context, CrossEntropyArgs } from './ops.ts';
export { Random, type RandomState } from './random.ts';
export { Tape } from './tape.ts';
export { type DType, type Lifetime, type Shape, type Storage, Tensor } from './tensor.ts';
