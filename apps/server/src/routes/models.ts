/** GET /v1/models, /v1/models/{id}. */
import { ApiError, type ModelList, type ModelObject } from '@parley/protocol';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import type { Models } from '../models.ts';
import { seconds } from '../wire.ts';

export function modelRoutes(app: Hono<Environment>, models: Models): void {
  const created = seconds();
  const object = (id: string): ModelObject => ({ id, object: 'model', created, owned_by: models.ownerOf(id) ?? 'parley' });
  app.get('/v1/models', async (context) => context.json({ object: 'list', data: (await models.list()).map(object) } satisfies ModelList));
  // Names from the hub have a slash in them.
  app.get('/v1/models/:id{.+}', async (context) => {
    const id = context.req.param('id');
    const known = await models.list();
    if (known.includes(id)) return context.json(object(id));
    throw new ApiError(`The model '${id}' does not exist here. There are: ${known.join(', ')}.`, { status: 404, type: 'not_found_error', param: 'model', code: 'model_not_found' });
  });
}
