/** Answers of tests against OpenAI's own specification. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type AnySchema, Ajv } from 'ajv';

const SPECIFICATION = resolve(import.meta.dirname, '../../../../../shared/api/openai-openapi.json');

/** Throws what the specification has against a body. Where it is absent, the client's own reading is all the proof there is. */
export const conforms: (schema: string, body: unknown) => void = (() => {
  if (!existsSync(SPECIFICATION)) return () => {};
  const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: false, discriminator: false });
  ajv.addSchema(withNull(JSON.parse(readFileSync(SPECIFICATION, 'utf8'))) as AnySchema, 'openai');
  return (schema, body) => {
    const validate = ajv.getSchema(`openai#/components/schemas/${schema}`);
    if (validate === undefined) throw new Error(`the specification has no schema ${schema}`);
    if (validate(body) !== true) throw new Error(`${schema}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body).slice(0, 400)}`);
  };
})();

/** OpenAPI 3.0 says nullable where JSON schema has a type "null"; ajv understands it only beside a type. */
function withNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNull);
  if (typeof value !== 'object' || value === null) return value;
  const { nullable, ...rest } = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNull(inner)]));
  if (nullable !== true) return nullable === undefined ? rest : { ...rest, nullable };
  const { enum: values } = rest;
  return 'type' in rest ? { ...rest, nullable: true, ...(Array.isArray(values) && { enum: [...(values as unknown[]), null] }) } : { anyOf: [rest, { type: 'null' }] };
}
