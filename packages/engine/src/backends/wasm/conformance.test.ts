import { createBackend } from '@parley/engine/node';
import { describeBackend } from '@parley/engine/testing';

for (const simd of ['relaxed', 'plain'] as const) {
  describeBackend(`wasm, ${simd} SIMD`, ({ threads }) => createBackend({ backend: 'wasm', simd, threads }), { threads: [1, 2, 3] });
}

// Where an address is negative to whoever takes it for a signed number. Memory that nobody touches costs address space only.
describeBackend('wasm, above 2 GiB', async () => {
  const backend = await createBackend({ backend: 'wasm', threads: 2 });
  backend.allocate(2.5 * 2 ** 30);
  while (backend.stats().allocatedBytes < 2.51 * 2 ** 30) backend.allocate(1 << 20); // what was free below it
  return backend;
});
