import { invalidRequest } from '@parley/protocol';

/** The value of a call's arguments. Throws ApiError naming the field they came in. */
export function argumentsOf(json: string, param: string): unknown {
  try {
    // Functions without arguments are called with nothing by some.
    return json.trim() === '' ? {} : (JSON.parse(json) as unknown);
  } catch (error) {
    throw invalidRequest(`'${param}' is not JSON: ${error instanceof Error ? error.message : String(error)}`, param, 'invalid_value');
  }
}
