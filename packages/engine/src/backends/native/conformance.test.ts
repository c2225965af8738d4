/** Every instruction set that this machine has is held to the reference; where the kernels are not built there is none to hold. */
import { createBackend, nativeKernels } from '@parley/engine/node';
import { describeBackend } from '@parley/engine/testing';
import { expect, test } from 'vitest';
import type { InstructionSet } from './runtime.ts';

const { addon, missing } = nativeKernels();

test('the native kernels are there, or the reason why they are not', () => {
  expect([addon, missing].filter((one) => one !== undefined)).toHaveLength(1);
});

for (const name of (addon?.instructionSets ?? []) as readonly InstructionSet[]) {
  describeBackend(`native, ${name}`, ({ threads }) => createBackend({ backend: 'native', instructionSet: name, threads }), { threads: [1, 2, 3] });
}
