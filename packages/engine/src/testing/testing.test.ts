/** The suite must be able to fail: each kind of fault it is there for, committed on purpose. */
import { describe, expect, test } from 'vitest';
import type { Backend } from '../backend.ts';
import { ReferenceBackend } from '../backends/reference/reference.ts';
import * as ops from '../ops.ts';
import { Tensor } from '../tensor.ts';
import { EXACT, expectClose, expectSameBits } from './compare.ts';
import { expectGradients, type Graph } from './gradients.ts';
import { type Lab, run } from './lab.ts';

const backend = new ReferenceBackend();

/** Its activations' gradients are 1 % too large. */
class FaultyBackend extends ReferenceBackend {
  override readonly activationBackward: Backend['activationBackward'] = (args) => {
    backend.activationBackward(args);
    backend.scale({ out: args.dX, x: args.dX, factor: 1.01 });
  };
}

const results = (...values: number[]): Map<string, Float32Array> => new Map([['out', Float32Array.from(values)]]);

/** Runs an operation that writes where it should not, relative to a tensor of 5. */
async function writeAt(offset: number, to: (lab: Lab) => Tensor): Promise<void> {
  await run(backend, {
    what: 'fault',
    run: (lab) => {
      const { storage, byteOffset } = to(lab);
      backend.fill(new Tensor(backend, { storage, byteOffset: byteOffset + offset * 4 }, [1]), 1);
    },
  });
}

describe('the lab finds', () => {
  test('a write before the start, past the end, or to an input', async () => {
    const result = (lab: Lab): Tensor => lab.result('out', [5]);
    await expect(writeAt(-1, result)).rejects.toThrow('out f32 [5]: written 1 words before its start');
    await expect(writeAt(5, result)).rejects.toThrow('out f32 [5]: written 1 words past its end');
    await expect(writeAt(2, (lab) => lab.normal([5]))).rejects.toThrow('an input f32 [5]: element 2 was changed');
    await expect(writeAt(2, result)).resolves.toBeUndefined();
  });

  test('a result that is added to where it should be overwritten: NaN', async () => {
    const added = await run(backend, {
      what: 'add',
      run: (lab) => {
        const out = lab.result('out', [3]);
        backend.add({ out, a: out, b: lab.normal([3]) });
      },
    });
    expect([...(added.get('out') ?? [])]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  test('leaves nothing allocated', async () => {
    const { allocations } = backend.stats();
    await run(backend, { what: 'fill', run: (lab) => backend.fill(lab.result('out', [7]), 1) });
    expect(backend.stats().allocations).toBe(allocations);
  });
});

describe('comparison', () => {
  test('each, largest and absolute bounds add up; all zero is equality', () => {
    const close = (actual: number, tolerance: object) => () => expectClose(results(actual, 100), results(1, 100), tolerance, 'test');
    expect(close(1, EXACT)).not.toThrow();
    expect(close(1 + 1e-6, EXACT)).toThrow('1 of 2 differ (equal): [0] is');
    expect(close(1.009, { each: 0.01 })).not.toThrow();
    expect(close(1.011, { each: 0.01 })).toThrow('within 1e-2 of each');
    expect(close(1.9, { largest: 0.01 })).not.toThrow();
    expect(close(2.1, { largest: 0.01 })).toThrow('within 1e-2 of the largest');
    expect(close(1.4, { absolute: 0.5 })).not.toThrow();
    expect(close(1.6, { absolute: 0.5 })).toThrow('within 5e-1');
  });

  test('NaN and infinities are never close to numbers, however wide the tolerance', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      expect(() => expectClose(results(value), results(1), { absolute: 1e9 }, 'test')).toThrow('differ');
      expect(() => expectClose(results(1), results(value), { absolute: 1e9 }, 'test')).toThrow('differ');
      expect(() => expectClose(results(value), results(value), EXACT, 'test')).not.toThrow();
    }
  });

  test('bits: one ulp and the sign of zero count', () => {
    expect(() => expectSameBits(results(1), results(1), 'test')).not.toThrow();
    expect(() => expectSameBits(results(1 + 2 ** -23), results(1), 'test')).toThrow('not 1');
    expect(() => expectSameBits(results(-0), results(0), 'test')).toThrow('not 0');
    expect(() => expectSameBits(results(1, 2), results(1), 'test')).toThrow('2 elements, not 1');
  });
});

describe('finite differences find', () => {
  const graph: Graph = {
    name: 'silu',
    inputs: { x: { shape: [5, 7] } },
    build: (ctx, input) => ops.activation(ctx, input('x'), 'silu'),
  };

  test('a gradient that is 1 % off', async () => {
    await expect(expectGradients(new FaultyBackend(), graph)).rejects.toThrow('dx, direction');
    await expect(expectGradients(backend, graph)).resolves.toBeUndefined();
  });

  test('an input that no gradient reaches', async () => {
    const unused: Graph = { ...graph, inputs: { ...graph.inputs, y: { shape: [3] } } };
    await expect(expectGradients(backend, unused)).rejects.toThrow('no gradient reached y');
  });
});
