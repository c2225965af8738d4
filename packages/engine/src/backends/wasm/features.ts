/** What the runtime's WebAssembly can do, found out by validating modules of a few bytes. */

/** A module with one function `() -> v128` of the given body, and the memory section if any. */
function moduleWith(body: readonly number[], memory: readonly number[] = []): Uint8Array {
  const code = [0, ...body, 0x0b];
  const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const types = [1, 5, 1, 0x60, 0, 1, 0x7b]; // type 0: () -> v128
  const functions = [3, 2, 1, 0]; // function 0 of type 0
  return Uint8Array.from([...header, ...types, ...functions, ...memory, 10, code.length + 2, 1, code.length, ...code]);
}

/** i32.const 0, i8x16.splat */
const ZEROS = [0x41, 0, 0xfd, 0x0f];
/** One memory, shared, of 1 page at most 1. */
const SHARED_MEMORY = [5, 4, 1, 3, 1, 1];

export function hasSharedSimd(): boolean {
  return WebAssembly.validate(moduleWith(ZEROS, SHARED_MEMORY));
}

/** f32x4.relaxed_madd and i16x8.relaxed_dot_i8x16_i7x16_s. */
export function hasRelaxedSimd(): boolean {
  const dot = [...ZEROS, ...ZEROS, 0xfd, 0x92, 0x02];
  return WebAssembly.validate(moduleWith([...dot, ...ZEROS, ...ZEROS, 0xfd, 0x85, 0x02]));
}
