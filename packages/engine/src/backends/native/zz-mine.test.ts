import { createRequire } from 'node:module';
import { describeBackend } from '@parley/engine/testing';
import type { NativeAddon } from '@parley/kernels';
import { createNativeBackend } from './create.ts';

const addon = createRequire(import.meta.url)(process.env['NATIVE'] ?? '/work/main/packages/kernels/build/native.node') as NativeAddon;
for (const set of ['avx512', 'avx2', 'baseline'] as const) {
  describeBackend(`native, ${set}`, ({ threads }) => Promise.resolve(createNativeBackend(addon, { threads, limitBytes: 8e9, instructionSet: set })), { threads: [1, 2, 3] });
}
