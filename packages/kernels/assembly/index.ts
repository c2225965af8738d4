/**
 * Parley's kernels: AssemblyScript without objects, over raw addresses in one memory shared by all threads.
 *
 * To add a kernel, write `export function name(args: usize, chunk: u32, scratch: usize): void` in a file here and put the name
 * beside that file in `../src/operations.ts`; the build makes the dispatch and its number. In the engine a launch is
 * `runtime.words[i] = …; runtime.floats[i] = …; runtime.run(operations.name, chunks)`.
 *
 * - `args` is where the host wrote the arguments, 4 bytes each: `load<u32>(args, 4 * i)`, `load<f32>(args, 4 * i)`.
 * - Chunks run on any thread, in any order, at the same time. A chunk's bounds may depend on the arguments, never on the
 *   number of threads, and a value is summed within one chunk or in a fixed order: then results are the same bits always.
 * - `scratch` is the running thread's own SCRATCH_BYTES, with anything in them, on a cache line.
 * - Addresses are unsigned and go to 4 GiB. Tensors start on a cache line, their rows anywhere.
 * - Vector constants of inner loops come from a table (`constant` in simd.ts): in place they are made anew at each use.
 * - Kernels do not write module globals, and static data is constant: each thread has its own instance, in the same memory.
 */
export { argumentsAddress, argumentWords, fail, heapBase, initialize, run, scratchBytes, stop, workerMain } from './pool';
export * from './dispatch';
