/** Whether an answer is one of OpenAI's: against the committed extract of its specification (apps/server/src/testing/openai-schemas.ts makes it). */
import { type AnySchema, Ajv2020 } from 'ajv/dist/2020.js';
import schemas from './openai-schemas.json' with { type: 'json' };

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(schemas as AnySchema, 'openai');

/** Throws what the specification has against a body. `schema`: a name of the specification, such as CreateChatCompletionResponse. */
export function conforms(schema: string, body: unknown): void {
  const validate = ajv.getSchema(`openai#/$defs/${schema}`);
  if (validate === undefined) throw new Error(`the extract of the specification has no schema ${schema}: add it to apps/server/src/testing/openai-schemas.ts`);
  if (validate(body) !== true) throw new Error(`${schema}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body).slice(0, 400)}`);
}
