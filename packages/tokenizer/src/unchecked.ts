/**
 * The one place where an index is trusted. For hot loops over typed arrays whose bounds the caller has already
 * established; V8 inlines it to a plain load.
 */
export const at = (array: Int32Array | Uint8Array | Uint16Array | Float64Array, index: number): number => array[index] as number;
