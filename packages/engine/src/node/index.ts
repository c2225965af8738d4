export {
  type BackendChoice, type BackendName, type BackendOptions, BACKENDS, chooseBackend, createBackend,
} from './create-backend.ts';
export { nativeKernels, type NativeKernels } from './native.ts';
export { nodePlatform } from './platform.ts';
