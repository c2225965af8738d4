import { Arena, Random, ReferenceBackend, Tensor } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { expect, test } from 'vitest';
import { Muon, orthogonalize, Workspace } from './muon.ts';
import { Optimizer } from './optimizer.ts';

const SETTINGS = { kind: 'muon', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: Infinity, momentum: 0.95, matrixRate: 1 } as const;

const normal = (random: Random, size: number): Float32Array => Float32Array.from({ length: size }, () => random.normal());

/** Columns of an n × k matrix with orthonormal columns (Gram–Schmidt). */
function orthonormal(random: Random, n: number, k: number): number[][] {
  const columns: number[][] = [];
  while (columns.length < k) {
    let column = [...normal(random, n)];
    for (const other of columns) {
      const dot = column.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0);
      column = column.map((value, i) => value - dot * (other[i] ?? 0));
    }
    const norm = Math.hypot(...column);
    columns.push(column.map((value) => value / norm));
  }
  return columns;
}

/** Σ over i of s_i · u_i · v_iᵀ, row-major. */
function compose(u: number[][], s: readonly number[], v: number[][]): Float32Array {
  const [rows, columns] = [u[0]?.length ?? 0, v[0]?.length ?? 0];
  return Float32Array.from({ length: rows * columns }, (_, at) =>
    s.reduce((sum, value, i) => sum + value * (u[i]?.[Math.floor(at / columns)] ?? 0) * (v[i]?.[at % columns] ?? 0), 0));
}

test.each([[12, 20], [20, 12], [16, 16]])(
  'Newton–Schulz keeps the singular vectors of a %i × %i matrix and takes singular values from 0.02 up to between 0.65 and 1.25',
  async (rows, columns) => {
    await using backend = new ReferenceBackend();
    const random = new Random(3);
    const k = Math.min(rows, columns);
    const [u, v] = [orthonormal(random, rows, k), orthonormal(random, columns, k)];
    const values = Array.from({ length: k }, (_, i) => 0.02 * (0.4 / 0.02) ** (i / (k - 1)));
    using x = Tensor.from(backend, compose(u, values, v), [rows, columns]);
    using room = new Workspace(backend, rows * columns, k);
    const result = await orthogonalize(backend, x, room).read();
    // uᵢᵀ · result · vⱼ: the new singular values on the diagonal, nothing beside it.
    for (const [i, left] of u.entries()) {
      for (const [j, right] of v.entries()) {
        let value = 0;
        for (const [at, element] of result.entries()) value += element * (left[Math.floor(at / columns)] ?? 0) * (right[at % columns] ?? 0);
        const [least, most] = i === j ? [0.65, 1.25] : [-1e-4, 1e-4];
        expect(value).toBeGreaterThan(least);
        expect(value).toBeLessThan(most);
      }
    }
  },
);

test.each(['reference', 'wasm'] as const)('an update has the root mean square 0.2 · rate of AdamW\'s, within a fifth, and decays the weights: %s', async (name) => {
  await using backend = await createBackend({ backend: name });
  const random = new Random(4);
  using weight = Tensor.from(backend, normal(random, 24 * 40), [24, 40]);
  weight.requiresGrad = true;
  const before = await weight.read();
  const muon = new Muon(backend, new Map([['model.layers.0.mlp.up_proj.weight', weight]]), { momentum: 0.95, weightDecay: 0.5 });
  using grad = gradientOf(weight);
  grad.write(normal(random, 24 * 40));
  await muon.update(0.01, 1);
  const after = await weight.read();
  const change = after.map((value, i) => value - (before[i] ?? 0) * (1 - 0.01 * 0.5));
  const rms = Math.sqrt(change.reduce((sum, value) => sum + value * value, 0) / change.length);
  expect(rms).toBeGreaterThan(0.01 * 0.2 * 0.8);
  expect(rms).toBeLessThan(0.01 * 0.2 * 1.2);
  expect(await grad.read()).toEqual(new Float32Array(24 * 40));
  muon.dispose();
});

test('the momentum is Nesterov\'s: of two equal gradients the second step has the direction of the first, and a gradient of zeros moves nothing', async () => {
  await using backend = new ReferenceBackend();
  using weight = Tensor.allocate(backend, [8, 8]);
  weight.requiresGrad = true;
  const muon = new Muon(backend, new Map([['w', weight]]), { momentum: 0.9, weightDecay: 0 });
  using grad = gradientOf(weight);
  await muon.update(0.1, 1);
  expect(await weight.read()).toEqual(new Float32Array(64));
  const gradient = normal(new Random(5), 64);
  grad.write(gradient);
  await muon.update(0.1, 1);
  const first = await weight.read();
  const [[, momentum] = []] = [...muon.moments];
  const kept = (await momentum?.read()) ?? [];
  expect(kept.length).toBe(64);
  for (const [i, value] of gradient.entries()) expect(kept[i]).toBeCloseTo(value, 6);
  grad.write(gradient);
  await muon.update(0.1, 1);
  const second = await weight.read();
  for (const [i, value] of first.entries()) expect(second[i]).toBeCloseTo(2 * value, 5);
  muon.dispose();
});

test('Muon takes the matrices between embedding and head, AdamW everything else; a matrix rate of 0.5 halves their step', async () => {
  await using backend = new ReferenceBackend();
  const names = ['model.embed_tokens.weight', 'model.layers.0.mlp.up_proj.weight', 'model.layers.0.input_layernorm.weight', 'lm_head.weight'];
  const step = async (matrixRate: number): Promise<{ moments: string[]; values: Float32Array[] }> => {
    using stack = new DisposableStack();
    const parameters = new Map(names.map((name) => [name, stack.use(Tensor.allocate(backend, name.includes('norm') ? [8] : [8, 8]))]));
    using optimizer = stack.use(new Optimizer({ backend, parameters: asTrained(parameters) }, { ...SETTINGS, matrixRate }));
    const random = new Random(6);
    for (const parameter of parameters.values()) stack.use(gradientOf(parameter)).write(normal(random, parameter.size));
    await optimizer.update(0.01, await optimizer.gradientNorm());
    return { moments: [...optimizer.moments.keys()].toSorted(), values: await Promise.all([...parameters.values()].map((parameter) => parameter.read())) };
  };
  const [full, half] = [await step(1), await step(0.5)];
  expect(full.moments).toEqual([
    'm.lm_head.weight', 'm.model.embed_tokens.weight', 'm.model.layers.0.input_layernorm.weight', 'momentum.model.layers.0.mlp.up_proj.weight',
    'v.lm_head.weight', 'v.model.embed_tokens.weight', 'v.model.layers.0.input_layernorm.weight',
  ]);
  for (const [index, name] of names.entries()) {
    const share = name.includes('up_proj') ? 0.5 : 1;
    for (const [i, value] of (full.values[index] ?? []).entries()) expect(half.values[index]?.[i]).toBeCloseTo(share * value, 7);
  }
});

function asTrained(parameters: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  for (const parameter of parameters.values()) parameter.requiresGrad = true;
  return parameters;
}

/** The parameter's gradient; as it owns memory, the arena gives none. */
function gradientOf(parameter: Tensor): Tensor {
  using arena = new Arena(parameter.backend);
  const grad = parameter.gradient(arena);
  if (grad === undefined) throw new Error('no gradient is required');
  return grad;
}
