export { type BackendOptions, createBackend } from './create-backend.ts';
export { nodePlatform } from './platform.ts';
