import { expect, test, vi } from 'vitest';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EngineError } from '../errors.ts';
import { createNativeBackend } from '../backends/native/create.ts';
import type { InstructionSet } from '../backends/native/runtime.ts';
import { createWasmBackend } from '../backends/wasm/create.ts';
import { hasRelaxedSimd } from '../backends/wasm/features.ts';
import { Tensor } from '../tensor.ts';
import { type BackendChoice, chooseBackend, createBackend } from './create-backend.ts';
import { nativeKernels } from './native.ts';
import { nodePlatform } from './platform.ts';

const { addon, missing } = nativeKernels();

/** What `auto` is here. */
function expectedChoice(): BackendChoice {
  const { PARLEY_BACKEND: named = 'auto' } = process.env;
  if (named !== 'auto') return { name: named as BackendChoice['name'], reason: 'PARLEY_BACKEND says so' };
  if (addon === undefined) return { name: 'wasm', reason: `the native kernels cannot be used: ${missing}` };
  return { name: 'native', reason: expect.stringContaining(addon.instructionSets[0]!) as unknown as string };
}

test('auto is native where its kernels are built, otherwise wasm, and says why', async () => {
  await using backend = await createBackend();
  expect(backend.threads).toBe(nodePlatform.defaultThreads);
  expect(chooseBackend()).toEqual(expectedChoice());
  expect(backend.name).toBe(expectedChoice().name);
});

test('PARLEY_BACKEND says what auto is, and must name a backend', () => {
  vi.stubEnv('PARLEY_BACKEND', 'wasm');
  expect(chooseBackend().name).toBe('wasm');
  expect(chooseBackend({ backend: 'reference' }).name).toBe('reference');
  vi.stubEnv('PARLEY_BACKEND', 'cuda');
  expect(() => chooseBackend()).toThrow('the environment variable PARLEY_BACKEND is "cuda": set it to auto, native, wasm, reference');
  vi.unstubAllEnvs();
});

test('each option chooses', async () => {
  await using wasm = await createBackend({ backend: 'wasm' });
  expect(wasm.description).toContain(hasRelaxedSimd() ? 'wasm (relaxed SIMD' : 'wasm (plain SIMD');
  await using plain = await createBackend({ simd: 'plain', threads: 3 });
  expect(plain.description).toBe('wasm (plain SIMD, 3 threads)');
  await using reference = await createBackend({ backend: 'reference' });
  expect(reference.name).toBe('reference');
});

test.skipIf(addon === undefined)('the native backend takes every instruction set of the machine, and threads', async () => {
  for (const instructionSet of (addon?.instructionSets ?? []) as readonly InstructionSet[]) {
    await using backend = await createBackend({ backend: 'native', instructionSet, threads: 3 });
    expect(backend.description).toMatch(/^native \((AVX-512 VNNI|AVX2 with AVX-VNNI|AVX2|baseline), 3 threads\)$/);
  }
  await expect(createBackend({ backend: 'native', instructionSet: 'mmx' as 'avx2' })).rejects.toThrow('cannot run the mmx kernels: pass "');
});

test.skipIf(addon === undefined)('an addon of another build is refused', () => {
  const old = { ...addon!, fingerprint: 1 };
  expect(() => createNativeBackend(old, { threads: 1, limitBytes: 1 << 20 })).toThrow('run "npm run build -w @parley/kernels"');
});

test.skipIf(addon === undefined)('a native backend that is disposed computes no more, and its memory can still be given back', async () => {
  const backend = await createBackend({ backend: 'native' });
  const tensor = Tensor.from(backend, Float32Array.of(1, 2, 3));
  await backend[Symbol.asyncDispose]();
  expect(() => backend.fill(tensor, 1)).toThrow('this backend has been disposed');
  expect(() => backend.allocate(8)).toThrow('this backend has been disposed');
  tensor.dispose();
  expect(backend.stats().allocations).toBe(0);
});

test('options that do not go together are errors', async () => {
  await expect(createBackend({ backend: 'reference', threads: 2 })).rejects.toThrow('one thread, not 2');
  await expect(createBackend({ backend: 'reference', simd: 'plain' })).rejects.toThrow(EngineError);
  for (const backend of ['auto', 'wasm'] as const) await expect(createBackend({ backend, threads: 0 })).rejects.toThrow('threads is 0');
  await expect(createBackend({ backend: 'native', simd: 'plain' })).rejects.toThrow('simd is for the wasm backend, not for native');
  await expect(createBackend({ backend: 'wasm', instructionSet: 'avx2' })).rejects.toThrow('instructionSet is for the native backend');
});

test('kernels that are not built are an error that names the command', async () => {
  const missing = nodePlatform.loadKernels('absent' as 'plain');
  await expect(missing).rejects.toThrow('run "npm run build -w @parley/kernels"');
});

test('kernels of another list of operations are refused', async () => {
  // A module of the old kind: it exports fewer functions than the code expects, or another fingerprint.
  const bytes = Uint8Array.from(await nodePlatform.loadKernels('plain'));
  const name = new TextEncoder().encode('operationsFingerprint');
  const at = Buffer.from(bytes.buffer).indexOf(name);
  expect(at).toBeGreaterThan(0);
  bytes.set(new TextEncoder().encode('operationsFingerPRINT'), at);
  const old = { ...nodePlatform, defaultThreads: 1, loadKernels: () => Promise.resolve(bytes) };
  await expect(createWasmBackend(old, { simd: 'plain' })).rejects.toThrow(/npm run build -w @parley\/kernels/);
});

test.each(addon === undefined ? ['wasm'] : ['wasm', 'native'])('a process that does not dispose its %s backend still ends', async (name) => {
  const program = `
    import { createBackend } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const backend = await createBackend({ backend: '${name}', threads: 3 });
    console.log(backend.threads);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', program], { timeout: 30_000 });
  expect(stdout).toBe('3\n');
});
