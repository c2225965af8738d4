/** Every instruction set that this machine has is held to the reference; without the native kernels there is nothing to hold. */
import { createBackend, nativeKernels } from '@parley/engine/node';
import { describeBackend } from '@parley/engine/testing';
import { describe, test } from 'vitest';
import type { InstructionSet } from './runtime.ts';

const { addon, missing } = nativeKernels();
if (addon === undefined) {
  describe('native', () => {
    test.skip(`not built: ${missing}`, () => undefined);
  });
}
for (const name of (addon?.instructionSets ?? []) as readonly InstructionSet[]) {
  describeBackend(`native, ${name}`, ({ threads }) => createBackend({ backend: 'native', instructionSet: name, threads }), { threads: [1, 2, 3] });
}
