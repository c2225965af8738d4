/** `@parley/model/hub`: models from a hub, and the cache they are kept in. An entry of its own, since few starts need it. */
export { type CachedModel, findCached, listCached, listUnfinished, removeCached, type UnfinishedPull } from './hub/cache.ts';
export { HubError, type HubErrorKind } from './hub/errors.ts';
export { parseHubName } from './hub/name.ts';
export { type PullEvent, pullModel, type PullOptions } from './hub/pull.ts';
export { cacheFolder, findToken, hubEndpoint } from './hub/settings.ts';
