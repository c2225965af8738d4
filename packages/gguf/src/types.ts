/**
 * The types of GGUF (ggml's description of the format, docs/gguf.md): of metadata values, by their number in the file, and of tensors,
 * whose values lie in blocks of a fixed number of bytes along a row.
 */

export const VALUE_TYPES = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64'] as const;
export type GgufType = (typeof VALUE_TYPES)[number];

/** A metadata value with its type in the file. */
export type GgufValue =
  | { readonly type: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64'; readonly value: number }
  | { readonly type: 'u64' | 'i64'; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | GgufArray;

/** All items are of one type. The values of arrays in an array are arrays with their own types. */
export interface GgufArray {
  readonly type: 'array';
  readonly items: GgufType;
  readonly value: readonly (number | bigint | boolean | string | GgufArray)[];
}

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** A value without its type: 64-bit integers are numbers where a number can hold them. */
export type GgufPlain = number | bigint | boolean | string | readonly GgufPlain[];

/** The fewest bytes a value of a type takes in a file. */
export const MINIMUM_BYTES: Readonly<Record<GgufType, number>> = {
  u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 8, array: 12, u64: 8, i64: 8, f64: 8,
};

/** Where tensors begin unless `general.alignment` says otherwise: multiples of this. */
export const GGUF_ALIGNMENT = 32;

/** Tensor types: their number in the file, the values of a block, its bytes. Types that only ever hold activations are left out. */
export const TENSOR_TYPES = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q5_0: { id: 6, values: 32, bytes: 22 },
  Q5_1: { id: 7, values: 32, bytes: 24 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q2_K: { id: 10, values: 256, bytes: 84 },
  Q3_K: { id: 11, values: 256, bytes: 110 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q5_K: { id: 13, values: 256, bytes: 176 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  IQ2_XXS: { id: 16, values: 256, bytes: 66 },
  IQ2_XS: { id: 17, values: 256, bytes: 74 },
  IQ3_XXS: { id: 18, values: 256, bytes: 98 },
  IQ1_S: { id: 19, values: 256, bytes: 50 },
  IQ4_NL: { id: 20, values: 32, bytes: 18 },
  IQ3_S: { id: 21, values: 256, bytes: 110 },
  IQ2_S: { id: 22, values: 256, bytes: 82 },
  IQ4_XS: { id: 23, values: 256, bytes: 136 },
  I8: { id: 24, values: 1, bytes: 1 },
  I16: { id: 25, values: 1, bytes: 2 },
  I32: { id: 26, values: 1, bytes: 4 },
  I64: { id: 27, values: 1, bytes: 8 },
  F64: { id: 28, values: 1, bytes: 8 },
  IQ1_M: { id: 29, values: 256, bytes: 56 },
  BF16: { id: 30, values: 1, bytes: 2 },
  TQ1_0: { id: 34, values: 256, bytes: 54 },
  TQ2_0: { id: 35, values: 256, bytes: 66 },
  MXFP4: { id: 39, values: 32, bytes: 17 },
} as const satisfies Record<string, { id: number; values: number; bytes: number }>;

export type TensorType = keyof typeof TENSOR_TYPES;

/** Bytes of so many values, a whole number of blocks. */
export const tensorBytes = (type: TensorType, values: number): number => (values / TENSOR_TYPES[type].values) * TENSOR_TYPES[type].bytes;

/** Metadata as plain data, for whoever reads it. */
export function plainMetadata(metadata: GgufMetadata): Readonly<Record<string, GgufPlain>> {
  const plain = (value: number | bigint | boolean | string | GgufArray): GgufPlain => {
    if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    return typeof value === 'object' ? value.value.map(plain) : value;
  };
  const entries = Array.from(metadata, ([key, { value, type }]) => [key, type === 'array' ? value.map(plain) : plain(value)] as const);
  return Object.fromEntries(entries);
}
