export { adapterName, listAdapters, type ListedAdapter, loadAdapter, loadAdapterConfig, resolveAdapter, saveAdapter } from './adapter.ts';
export { FileSource, writeAtomic } from './files.ts';
export {
  loadClassifier, loadConfig, loadGenerationConfig, loadLabels, loadModel, type LoadModelOptions, saveClassifier, saveModel,
  type SaveModelOptions, weightFileBytes,
} from './folder.ts';
export { ggufIn, saveGguf, type SaveGgufOptions } from './gguf.ts';
export { type ListedModel, listModels, type ResolveOptions, resolveModel } from './resolve.ts';
