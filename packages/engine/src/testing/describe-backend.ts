/** The conformance suite: what a backend must pass to be one. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Backend } from '../backend.ts';
import { ReferenceBackend } from '../backends/reference/reference.ts';
import { describeBatches } from './batches.ts';
import { attentionCases } from './cases/attention.ts';
import type { Case } from './cases/case.ts';
import { elementwiseCases } from './cases/elementwise.ts';
import { lossCases } from './cases/loss.ts';
import { matmulCases } from './cases/matmul.ts';
import { movementCases } from './cases/movement.ts';
import { normalizationCases } from './cases/normalization.ts';
import { optimizerCases } from './cases/optimizer.ts';
import { quantizedCases } from './cases/quantized.ts';
import { rotaryCases } from './cases/rotary.ts';
import { describeTolerance, expectClose, expectSameBits } from './compare.ts';
import { describeGradients } from './gradients.ts';
import { type Program, type Results, run } from './lab.ts';
import { describeMemory } from './memory.ts';

export interface SuiteOptions {
  /** Thread counts to compare; results must be the same bits with each. Default: [1]. */
  readonly threads?: readonly number[];
}

/** Makes the backend under test; the suite disposes it. */
export type MakeBackend = (options: { threads: number }) => Promise<Backend>;

const CASES: readonly Case[] = [
  ...movementCases, ...matmulCases, ...quantizedCases, ...normalizationCases, ...rotaryCases, ...attentionCases,
  ...elementwiseCases, ...lossCases, ...optimizerCases,
];

/** The reference's results, for all the backends of a test file. */
const expectations = new Map<Program, Promise<Results>>();
const reference = new ReferenceBackend();

function expectedOf(program: Program): Promise<Results> {
  const expected = expectations.get(program) ?? run(reference, program);
  expectations.set(program, expected);
  return expected;
}

/**
 * Declares the tests of one backend; call it at the top of a test file. Every operation, forward and backward, is compared
 * with the reference at the tolerance that the test's name says, and gives the same bits on every number of threads; then
 * memory, batches against single rows, and gradients against finite differences.
 */
export function describeBackend(name: string, makeBackend: MakeBackend, { threads = [1] }: SuiteOptions = {}): void {
  describe(`${name}`, () => {
    const backends: Backend[] = [];
    beforeAll(async () => {
      for (const count of threads) backends.push(await makeBackend({ threads: count }));
    });
    afterAll(async () => {
      for (const backend of backends) await backend[Symbol.asyncDispose]();
    });
    const first = (): Backend => {
      const [backend] = backends;
      if (!backend) throw new Error(`${name} did not start`);
      return backend;
    };
    const last = (): Backend => backends.at(-1) ?? first();

    describe(`operations${threads.length > 1 ? `, the same bits on ${threads.join(', ')} threads` : ''}`, () => {
      for (const { name: caseName, tolerance, programs } of CASES) {
        test(`${caseName}: ${describeTolerance(tolerance)}`, async () => {
          for (const program of programs) {
            const expected = await expectedOf(program);
            const single = await run(first(), program);
            expectClose(single, expected, tolerance, program.what);
            for (const backend of backends.slice(1)) {
              expectSameBits(await run(backend, program), single, `${program.what}, ${backend.threads} threads against 1`);
            }
          }
        });
      }
    });
    describeBatches(last);
    describeMemory(last);
    describeGradients(last);
  });
}
