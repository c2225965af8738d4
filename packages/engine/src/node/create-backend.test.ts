import { expect, test } from 'vitest';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EngineError } from '../errors.ts';
import { createWasmBackend } from '../backends/wasm/create.ts';
import { hasRelaxedSimd } from '../backends/wasm/features.ts';
import { createBackend } from './create-backend.ts';
import { nodePlatform } from './platform.ts';

test('auto is wasm with what the runtime has; each option chooses', async () => {
  {
    await using backend = await createBackend();
    expect(backend.name).toBe('wasm');
    expect(backend.threads).toBe(nodePlatform.defaultThreads);
    expect(backend.description).toContain(hasRelaxedSimd() ? 'wasm (relaxed SIMD' : 'wasm (plain SIMD');
  }
  await using plain = await createBackend({ backend: 'wasm', simd: 'plain', threads: 3 });
  expect(plain.description).toBe('wasm (plain SIMD, 3 threads)');
  await using reference = await createBackend({ backend: 'reference' });
  expect(reference.name).toBe('reference');
});

test('options that do not go together are errors', async () => {
  await expect(createBackend({ backend: 'reference', threads: 2 })).rejects.toThrow('one thread, not 2');
  await expect(createBackend({ backend: 'reference', simd: 'plain' })).rejects.toThrow(EngineError);
  await expect(createBackend({ threads: 0 })).rejects.toThrow('threads is 0');
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

test('a process that does not dispose its backend still ends', async () => {
  const program = `
    import { createBackend } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const backend = await createBackend({ threads: 3 });
    console.log(backend.threads);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', program], { timeout: 30_000 });
  expect(stdout).toBe('3\n');
});
