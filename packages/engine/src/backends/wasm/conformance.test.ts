import { createBackend } from '@parley/engine/node';
import { describeBackend } from '@parley/engine/testing';

for (const simd of ['relaxed', 'plain'] as const) {
  describeBackend(`wasm, ${simd} SIMD`, ({ threads }) => createBackend({ backend: 'wasm', simd, threads }), { threads: [1, 2, 3] });
}
