/** @parley/generate/node: models from folders, computing on a thread of their own. */
export { type AdapterChoice, LoadedGenerator, type LoadOptions, type ModelInfo } from './load.ts';
export { type ModelGenerator, openGenerator, type OpenOptions } from './open.ts';
export { fromWire, toWire, type WireError } from './wire-errors.ts';
export { WorkerGenerator } from './worker-generator.ts';
