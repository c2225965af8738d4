export { MAXIMUM_PAGES, MINIMUM_PAGES, PAGE_BYTES } from './abi.ts';
export type { KernelExports, KernelVariant } from './abi.ts';
export { NATIVE_ARGUMENTS, nativeFingerprint, nativeOperations } from './native.ts';
export type { NativeAddon, NativeOperationName, NativePool } from './native.ts';
export { operations, operationsFingerprint } from './operations.ts';
export type { OperationName } from './operations.ts';
