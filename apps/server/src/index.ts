export { createApp, type AppOptions } from './app.ts';
export { ConfigError, parseServerConfig, readServerConfig, type ServerConfig } from './config.ts';
export { Gate, type GateOptions } from './gate/gate.ts';
export { createLog, type Log, type LogFormat } from './gate/log.ts';
export { legacyEngines, Models, type ModelsOptions, type OpenModel, type RemoteModel } from './models.ts';
export { pageFolder } from './page-folder.ts';
export { type ProviderConfig, providerConfig, ProviderError, providersFromFlags } from './providers/settings.ts';
export { type Server, serve, type ServeOptions } from './serve.ts';
export { dataFolder, type Location, storeUrl } from './store/location.ts';
