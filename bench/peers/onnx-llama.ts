/**
 * A Llama as ONNX, the way ONNX Runtime's own generator tools write one for its CPU provider: 4-bit matrices in MatMulNBits with int8
 * accumulation, grouped-query attention with its rotation in one node, norms fused with the residual. Weights are random: speed does
 * not depend on what they are. The logits' matrix has 8 bits, as in the GGUF file it is measured beside.
 */
import type { TransformerConfig } from '@parley/model';

type Field = Uint8Array;

/** Protocol buffers: a key, then a varint or a length and bytes. */
function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return bytes;
}
const concat = (parts: readonly Field[]): Field => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
};
const int = (field: number, value: number): Field => Uint8Array.from([...varint(field << 3), ...varint(value)]);
const float = (field: number, value: number): Field => concat([Uint8Array.from(varint((field << 3) | 5)), new Uint8Array(Float32Array.of(value).buffer)]);
const bytes = (field: number, value: Field): Field => concat([Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
const text = (field: number, value: string): Field => bytes(field, new TextEncoder().encode(value));
const message = (field: number, ...parts: readonly Field[]): Field => bytes(field, concat(parts));

const FLOAT = 1;
const UINT8 = 2;
const INT32 = 6;
const INT64 = 7;

const tensor = (name: string, type: number, dims: readonly number[], data: ArrayBufferView): Field => message(
  5, ...dims.map((extent) => int(1, extent)), int(2, type), text(8, name), bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
);
const value = (field: number, name: string, type: number, dims: readonly (number | string)[]): Field => message(
  field, text(1, name),
  message(2, message(1, int(1, type), message(2, ...dims.map((extent) => message(1, typeof extent === 'number' ? int(1, extent) : text(2, extent)))))),
);

interface NodeShape {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | { readonly float: number }>>;
  /** ONNX Runtime's own operators. */
  readonly own?: boolean;
}

const node = ({ type, inputs, outputs, attributes = {}, own = false }: NodeShape): Field => message(
  1, ...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)), text(3, outputs[0] ?? type), text(4, type),
  ...Object.entries(attributes).map(([name, of]) =>
    message(5, text(1, name), ...(typeof of === 'number' ? [int(3, of), int(20, 2)] : [float(2, of.float), int(20, 1)]))),
  ...(own ? [text(7, 'com.microsoft')] : []),
);

/** The bytes of the model. Inputs: input_ids, seqlens_k, total_length, past_key.N, past_value.N; outputs: logits of the last row, present_key.N, present_value.N. */
export function onnxLlama(config: TransformerConfig, positions: number): Uint8Array {
  const { hiddenSize: width, layers, heads, keyValueHeads, headSize, intermediateSize, vocabSize, ropeTheta, normEpsilon } = config;
  const parts: Field[] = [];
  let state = 1;
  const random = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) >>> 24);
  const constant = (name: string, type: number, dims: readonly number[], data: ArrayBufferView): string => {
    parts.push(tensor(name, type, dims, data));
    return name;
  };
  const add = (shape: NodeShape): void => void parts.push(node(shape));
  const linear = (name: string, input: string, { inputs, outputs, bits = 4 }: { inputs: number; outputs: number; bits?: number }): string => {
    const blocks = inputs / 32;
    constant(`${name}.codes`, UINT8, [outputs, blocks, 4 * bits], random(outputs * blocks * 4 * bits));
    constant(`${name}.scales`, FLOAT, [outputs * blocks], new Float32Array(outputs * blocks).fill(bits === 4 ? 0.005 : 0.0003));
    add({
      type: 'MatMulNBits', inputs: [input, `${name}.codes`, `${name}.scales`], outputs: [name], own: true,
      attributes: { K: inputs, N: outputs, bits, block_size: 32, accuracy_level: 4 },
    });
    return name;
  };
  const ones = constant('ones', FLOAT, [width], new Float32Array(width).fill(1));
  const epsilon = { epsilon: { float: normEpsilon } };
  constant('table', FLOAT, [vocabSize, width], Float32Array.from(random(vocabSize * width), (byte) => (byte - 128) / 6400));
  const half = headSize / 2;
  const angles = Float64Array.from({ length: positions * half }, (_, i) => Math.floor(i / half) * ropeTheta ** (-(i % half) / half));
  constant('cos', FLOAT, [positions, half], Float32Array.from(angles, Math.cos));
  constant('sin', FLOAT, [positions, half], Float32Array.from(angles, Math.sin));

  add({ type: 'Gather', inputs: ['table', 'input_ids'], outputs: ['embedded'] });
  add({ type: 'SimplifiedLayerNormalization', inputs: ['embedded', ones], outputs: ['norm.0'], attributes: { ...epsilon, axis: -1, stash_type: 1 } });
  let residual = 'embedded';
  let normed = 'norm.0';
  const addAndNorm = (name: string, delta: string): void => {
    add({
      type: 'SkipSimplifiedLayerNormalization', inputs: [residual, delta, ones], outputs: [`${name}.norm`, '', '', `${name}.sum`], attributes: epsilon, own: true,
    });
    [normed, residual] = [`${name}.norm`, `${name}.sum`];
  };
  const inputs: Field[] = [
    value(11, 'input_ids', INT64, [1, 'rows']), value(11, 'seqlens_k', INT32, [1]), value(11, 'total_length', INT32, []),
  ];
  const outputs: Field[] = [value(12, 'logits', FLOAT, [1, 1, vocabSize])];
  for (let layer = 0; layer < layers; layer++) {
    const at = (name: string): string => `${layer}.${name}`;
    for (const kind of ['key', 'value']) {
      inputs.push(value(11, `past_${kind}.${layer}`, FLOAT, [1, keyValueHeads, 'past', headSize]));
      outputs.push(value(12, `present_${kind}.${layer}`, FLOAT, [1, keyValueHeads, 'present', headSize]));
    }
    const qkv = linear(at('qkv'), normed, { inputs: width, outputs: (heads + 2 * keyValueHeads) * headSize });
    add({
      type: 'GroupQueryAttention', own: true,
      inputs: [qkv, '', '', `past_key.${layer}`, `past_value.${layer}`, 'seqlens_k', 'total_length', 'cos', 'sin'],
      outputs: [at('attention'), `present_key.${layer}`, `present_value.${layer}`],
      attributes: { num_heads: heads, kv_num_heads: keyValueHeads, do_rotary: 1, scale: { float: headSize ** -0.5 } },
    });
    addAndNorm(at('middle'), linear(at('o'), at('attention'), { inputs: heads * headSize, outputs: width }));
    const gate = linear(at('gate'), normed, { inputs: width, outputs: intermediateSize });
    const up = linear(at('up'), normed, { inputs: width, outputs: intermediateSize });
    add({ type: 'Sigmoid', inputs: [gate], outputs: [at('sigmoid')] });
    add({ type: 'Mul', inputs: [gate, at('sigmoid')], outputs: [at('silu')] });
    add({ type: 'Mul', inputs: [at('silu'), up], outputs: [at('gated')] });
    addAndNorm(at('end'), linear(at('down'), at('gated'), { inputs: intermediateSize, outputs: width }));
  }
  constant('last', INT64, [1], BigInt64Array.of(-1n));
  add({ type: 'Gather', inputs: [normed, 'last'], outputs: ['last_row'], attributes: { axis: 1 } });
  linear('logits', 'last_row', { inputs: width, outputs: vocabSize, bits: 8 });
  const opset = (domain: string, version: number): Field => message(8, text(1, domain), int(2, version));
  return concat([int(1, 8), opset('', 17), opset('com.microsoft', 1), message(7, text(2, 'llama'), ...parts, ...inputs, ...outputs)]);
}
