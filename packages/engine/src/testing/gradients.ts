/**
 * Gradients against central finite differences, through `ops` and the tape.
 *
 * With u a random direction (normal in every element) of one input and L the scalar loss, summed in double precision,
 *   g·u ≈ [8·(L(x + hu) − L(x − hu)) − (L(x + 2hu) − L(x − 2hu))] / 12h
 * (the five-point rule, whose error is of order h⁴). In single precision L carries some 1e-7 of relative noise, which the
 * division turns into 1e-7 / h: at h = 1/64 both errors are near 1e-5 of ‖g‖. g·u has the deviation ‖g‖, so differences are
 * measured in ‖g‖; an error in one of n equal elements shows as 1/√n of it.
 */
import { describe, expect, test } from 'vitest';
import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import type { Context } from '../ops.ts';
import { Random } from '../random.ts';
import { Tape } from '../tape.ts';
import { type Shape, Tensor } from '../tensor.ts';
import { graphs } from './graphs.ts';
import { sizeOf } from './lab.ts';

export interface Graph {
  readonly name: string;
  /** The inputs that are differentiated: shapes, and what they are drawn from (default: normal, mean 0, deviation 1). */
  readonly inputs: Readonly<Record<string, { shape: Shape; mean?: number; deviation?: number }>>;
  /** From the inputs to the output. L is a random weighted sum of its elements. */
  readonly build: (ctx: Context, inputs: (name: string) => Tensor) => Tensor;
  /** Where the output is crossEntropy's losses: L is scale · Σ losses, and the backward pass starts on its own. */
  readonly lossScale?: number;
}

export interface GradientOptions {
  readonly step?: number;
  /** Of ‖g‖. */
  readonly tolerance?: number;
  readonly directions?: number;
  readonly seed?: number;
}

const STEP = 1 / 64;
const TOLERANCE = 1e-3;

type Values = Map<string, Float32Array>;

/** Throws unless the tape's gradient of every input agrees with finite differences. */
export async function expectGradients(backend: Backend, graph: Graph, options: GradientOptions = {}): Promise<void> {
  const { step = STEP, tolerance = TOLERANCE, directions = 3, seed = 1 } = options;
  const random = new Random(seed);
  const values: Values = new Map();
  for (const [name, { shape, mean = 0, deviation = 1 }] of Object.entries(graph.inputs)) {
    values.set(name, Float32Array.from({ length: sizeOf(shape) }, () => mean + deviation * random.normal()));
  }
  const { gradients, weights } = await differentiate(backend, graph, values, random);
  for (const [name, gradient] of gradients) {
    const norm = Math.sqrt(dot(gradient, gradient));
    for (let i = 0; i < directions; i++) {
      const direction = Float32Array.from(gradient, () => random.normal());
      const loss = async (distance: number): Promise<number> => {
        const x = values.get(name) ?? new Float32Array();
        return evaluate(backend, graph, new Map(values).set(name, x.map((value, j) => value + distance * (direction[j] ?? 0))), weights);
      };
      const numeric = await directionalDerivative(loss, step);
      const error = Math.abs(numeric - dot(gradient, direction)) / norm;
      expect(error, `d${name}, direction ${i}: ${dot(gradient, direction)} by the tape, ${numeric} by differences; off by`)
        .toBeLessThanOrEqual(tolerance);
    }
  }
}

/** f′(0) by the five-point rule. */
export async function directionalDerivative(f: (distance: number) => Promise<number>, h: number): Promise<number> {
  const [far, near] = [await f(2 * h) - await f(-2 * h), await f(h) - await f(-h)];
  return (8 * near - far) / (12 * h);
}

/** The tape's gradients, and the weights of the outputs in L. */
async function differentiate(backend: Backend, graph: Graph, values: Values, random: Random): Promise<{ gradients: Values; weights: Float32Array }> {
  using stack = new DisposableStack();
  const arena = stack.use(new Arena(backend));
  const inputs = upload(backend, graph, values, stack);
  for (const input of inputs.values()) input.requiresGrad = true;
  const tape = new Tape();
  const out = graph.build({ arena, tape }, (name) => named(inputs, name));
  const weights = Float32Array.from({ length: out.size }, () => graph.lossScale ?? random.normal());
  if (graph.lossScale === undefined) {
    const dOut = out.gradient(arena);
    if (!dOut) throw new Error(`${graph.name}: the output requires no gradient`);
    dOut.write(weights);
  }
  tape.backward();
  const gradients: Values = new Map();
  for (const [name, input] of inputs) {
    if (!input.grad) throw new Error(`${graph.name}: no gradient reached ${name}`);
    gradients.set(name, await input.grad.read());
  }
  return { gradients, weights };
}

/** L, without a tape. */
async function evaluate(backend: Backend, graph: Graph, values: Values, weights: Float32Array): Promise<number> {
  using stack = new DisposableStack();
  const arena = stack.use(new Arena(backend));
  const inputs = upload(backend, graph, values, stack);
  return dot(await graph.build({ arena, tape: null }, (name) => named(inputs, name)).read(), weights);
}

function upload(backend: Backend, graph: Graph, values: Values, stack: DisposableStack): Map<string, Tensor> {
  return new Map([...values].map(([name, data]) => [name, stack.use(Tensor.from(backend, data, graph.inputs[name]?.shape))]));
}

function named(inputs: Map<string, Tensor>, name: string): Tensor {
  const input = inputs.get(name);
  if (!input) throw new Error(`this graph declares no input ${name}`);
  return input;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

export function describeGradients(backendOf: () => Backend): void {
  describe(`gradients within ${TOLERANCE.toExponential()} of central differences, step 1/64`, () => {
    for (const graph of graphs) {
      test(`${graph.name}`, async () => {
        const backend = backendOf();
        const { allocations } = backend.stats();
        await expectGradients(backend, graph);
        expect(backend.stats().allocations).toBe(allocations);
      });
    }

    test('gradients of two passes add up', async () => {
      const backend = backendOf();
      const graph = graphs.find(({ lossScale }) => lossScale !== undefined);
      if (!graph) throw new Error('no graph ends in a loss');
      const gradientsAfter = async (passes: number): Promise<Float32Array[]> => {
        using stack = new DisposableStack();
        const arena = stack.use(new Arena(backend));
        const random = new Random(3);
        const values: Values = new Map(Object.entries(graph.inputs).map(([name, { shape }]) => [
          name, Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
        ]));
        const inputs = upload(backend, graph, values, stack);
        for (const input of inputs.values()) input.requiresGrad = true;
        for (let pass = 0; pass < passes; pass++) {
          arena.reset();
          const tape = new Tape();
          graph.build({ arena, tape }, (name) => named(inputs, name));
          tape.backward();
        }
        return Promise.all([...inputs.values()].map(async ({ grad }) => grad?.read() ?? new Float32Array()));
      };
      const [once, twice] = [await gradientsAfter(1), await gradientsAfter(2)];
      once.forEach((gradient, i) => {
        gradient.forEach((value, j) => expect(Math.abs((twice[i]?.[j] ?? 0) - 2 * value)).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(value))));
      });
    });
  });
}
