export { adapterName, listAdapters, type ListedAdapter, loadAdapter, loadAdapterConfig, resolveAdapter, saveAdapter } from './adapter.ts';
export { FileSource, writeAtomic } from './files.ts';
export {
  loadClassifier, loadConfig, loadGenerationConfig, loadLabels, loadModel, type LoadModelOptions, saveClassifier, saveModel,
  type SaveModelOptions, weightFileBytes,
} from './folder.ts';
export { ggufIn, saveGguf, type SaveGgufOptions } from './gguf.ts';
export { type CachedModel, findCached, listCached, listUnfinished, removeCached, type UnfinishedPull } from './hub/cache.ts';
export { HubError, type HubErrorKind } from './hub/errors.ts';
export { parseHubName } from './hub/name.ts';
export { type PullEvent, pullModel, type PullOptions } from './hub/pull.ts';
export { cacheFolder, findToken, hubEndpoint } from './hub/settings.ts';
export { type ListedModel, listModels, type ResolveOptions, resolveModel } from './resolve.ts';
