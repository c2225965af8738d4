export { createApp, type AppOptions } from './app.ts';
export { legacyEngines, Models, type ModelsOptions, type OpenModel } from './models.ts';
export { type Server, serve, type ServeOptions } from './serve.ts';
