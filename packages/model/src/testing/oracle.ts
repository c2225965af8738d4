/**
 * GPT-2 and Llama once more, as plain loops in float64 over one sequence, straight from the papers' formulas: slow, obvious,
 * and sharing nothing with the engine. What the real model computes is held against it.
 */

type Row = number[];
type Rows = Row[];
export type Weights = ReadonlyMap<string, Float32Array>;

/** A weight's values as they are named in parameters.ts. */
const get = (weights: Weights, name: string): Float32Array => {
  const values = weights.get(name);
  if (values === undefined) throw new Error(`the oracle has no ${name}`);
  return values;
};

/** y = W x + b, W (out, in). */
function affine(weights: Weights, name: string, x: Row): Row {
  const w = get(weights, `${name}.weight`);
  const b = weights.get(`${name}.bias`);
  const y: Row = [];
  for (let o = 0; o < w.length / x.length; o++) {
    let sum = b === undefined ? 0 : b[o]!;
    for (let i = 0; i < x.length; i++) sum += w[o * x.length + i]! * x[i]!;
    y.push(sum);
  }
  return y;
}

const plus = (a: Row, b: Row): Row => a.map((value, i) => value + b[i]!);
const lookup = (table: Float32Array, index: number, width: number): Row => [...table.subarray(index * width, (index + 1) * width)];

/** Softmax attention of one head: query t over keys 0…t. */
function attend(queries: Rows, keys: Rows, values: Rows): Rows {
  return queries.map((query, t) => {
    const dot = (key: Row): number => key.reduce((sum, value, i) => sum + value * query[i]!, 0);
    const scores = keys.slice(0, t + 1).map((key) => dot(key) / Math.sqrt(query.length));
    const highest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - highest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return query.map((_, i) => weights.reduce((sum, weight, s) => sum + (weight / total) * values[s]![i]!, 0));
  });
}

const head = (row: Row, index: number, size: number): Row => row.slice(index * size, (index + 1) * size);

/** Radford et al., 2019. Returns logits of every position. */
export function gpt2Oracle(
  weights: Weights,
  size: { layers: number; heads: number; hiddenSize: number; epsilon: number },
  tokens: readonly number[],
): Rows {
  const width = size.hiddenSize;
  const norm = (x: Row, name: string): Row => {
    const mean = x.reduce((sum, value) => sum + value, 0) / width;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const gain = get(weights, `${name}.weight`);
    const bias = get(weights, `${name}.bias`);
    return x.map((value, i) => ((value - mean) / Math.sqrt(variance + size.epsilon)) * gain[i]! + bias[i]!);
  };
  const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const embedding = get(weights, 'model.embed_tokens.weight');
  const positions = get(weights, 'model.embed_positions.weight');

  let x = tokens.map((token, t) => plus(lookup(embedding, token, width), lookup(positions, t, width)));
  for (let layer = 0; layer < size.layers; layer++) {
    const name = `model.layers.${layer}`;
    const normed = x.map((row) => norm(row, `${name}.input_layernorm`));
    const project = (part: string): Rows => normed.map((row) => affine(weights, `${name}.self_attn.${part}_proj`, row));
    const [q, k, v] = [project('q'), project('k'), project('v')];
    const attended: Rows = tokens.map(() => []);
    for (let h = 0; h < size.heads; h++) {
      const pick = (rows: Rows): Rows => rows.map((row) => head(row, h, width / size.heads));
      for (const [t, row] of attend(pick(q), pick(k), pick(v)).entries()) attended[t]!.push(...row);
    }
    x = x.map((row, t) => plus(row, affine(weights, `${name}.self_attn.o_proj`, attended[t]!)));
    x = x.map((row) => {
      const inner = affine(weights, `${name}.mlp.up_proj`, norm(row, `${name}.post_attention_layernorm`)).map(gelu);
      return plus(row, affine(weights, `${name}.mlp.down_proj`, inner));
    });
  }
  return x.map((row) => affine(new Map([['head.weight', embedding]]), 'head', norm(row, 'model.norm')));
}

/** Touvron et al., 2023, with grouped-query attention (Ainslie et al., 2023). Returns logits of every position. */
export function llamaOracle(
  weights: Weights,
  size: { layers: number; heads: number; keyValueHeads: number; headSize: number; hiddenSize: number; epsilon: number; theta: number },
  tokens: readonly number[],
): Rows {
  const norm = (x: Row, name: string): Row => {
    const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
    const gain = get(weights, `${name}.weight`);
    return x.map((value, i) => (value / Math.sqrt(meanSquare + size.epsilon)) * gain[i]!);
  };
  const silu = (x: number): number => x / (1 + Math.exp(-x));
  /** Element i and element i + D/2 are one complex number, turned by t·θ^(−2i/D). */
  const turn = (row: Row, t: number): Row => {
    const half = size.headSize / 2;
    return row.map((value, i) => {
      const angle = t * size.theta ** ((-2 * (i % half)) / size.headSize);
      const partner = i < half ? -row[i + half]! : row[i - half]!;
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  };
  const embedding = get(weights, 'model.embed_tokens.weight');
  const output = weights.get('lm_head.weight') ?? embedding;

  let x = tokens.map((token) => lookup(embedding, token, size.hiddenSize));
  for (let layer = 0; layer < size.layers; layer++) {
    const name = `model.layers.${layer}`;
    const normed = x.map((row) => norm(row, `${name}.input_layernorm`));
    const project = (part: string): Rows => normed.map((row) => affine(weights, `${name}.self_attn.${part}_proj`, row));
    const [q, k, v] = [project('q'), project('k'), project('v')];
    const attended: Rows = tokens.map(() => []);
    for (let h = 0; h < size.heads; h++) {
      const shared = Math.floor(h / (size.heads / size.keyValueHeads));
      const queries = q.map((row, t) => turn(head(row, h, size.headSize), t));
      const keys = k.map((row, t) => turn(head(row, shared, size.headSize), t));
      const values = v.map((row) => head(row, shared, size.headSize));
      for (const [t, row] of attend(queries, keys, values).entries()) attended[t]!.push(...row);
    }
    x = x.map((row, t) => plus(row, affine(weights, `${name}.self_attn.o_proj`, attended[t]!)));
    x = x.map((row) => {
      const inner = norm(row, `${name}.post_attention_layernorm`);
      const gate = affine(weights, `${name}.mlp.gate_proj`, inner).map(silu);
      const up = affine(weights, `${name}.mlp.up_proj`, inner);
      return plus(row, affine(weights, `${name}.mlp.down_proj`, gate.map((value, i) => value * up[i]!)));
    });
  }
  return x.map((row) => affine(new Map([['head.weight', output]]), 'head', norm(row, 'model.norm')));
}
