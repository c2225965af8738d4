/** What a request says about functions, as what generation needs: descriptions for the prompt, and a constraint that holds the calls. */
import type { ConstraintSpec, TagsSpec } from '@parley/generate';
import { type ChatTool, type ChatToolChoice, invalidRequest } from '@parley/protocol';
import type { CallForm, ToolDefinition } from '@parley/tokenizer';

export interface FunctionTool {
  readonly name: string;
  readonly description?: string | null | undefined;
  /** A JSON schema of an object; absent: a function without arguments. */
  readonly parameters?: Readonly<Record<string, unknown>> | null | undefined;
}

export interface FunctionChoice {
  readonly mode: 'none' | 'auto' | 'required';
  /** Only these may be called. */
  readonly names?: readonly string[] | undefined;
}

export interface ToolPlan {
  readonly definitions: readonly ToolDefinition[];
  readonly constraint: TagsSpec;
  readonly form: CallForm;
  /** What may be called, in the order of the constraint's tags. */
  readonly names: readonly string[];
}

export interface ToolRequest {
  readonly tools: readonly FunctionTool[];
  readonly choice: FunctionChoice;
  /** More than one call in an answer, where the model's form has room for it. Absent: where the model may choose; a call that has to be is one. */
  readonly parallel?: boolean | null | undefined;
  /** What an answer without calls has to be. */
  readonly text?: ConstraintSpec | undefined;
}

/** A model that has not learnt functions repeats its call until its context is full: so many are more than anybody asks for at once. */
const MOST_CALLS = 16;

/** Null where nothing may be called: the model then hears of no functions. Throws ApiError. */
export function planTools({ tools, choice, parallel, text }: ToolRequest, form: CallForm): ToolPlan | null {
  const names = tools.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw invalidRequest(`'tools' has two functions named '${twice}': give each a name of its own`, 'tools', 'invalid_value');
  const missing = choice.names?.find((name) => !names.includes(name));
  if (missing !== undefined) throw invalidRequest(`'tool_choice' names the function '${missing}', which is not among 'tools'`, 'tool_choice', 'invalid_value');
  if (tools.length === 0 && choice.mode === 'required') throw invalidRequest("'tool_choice' asks for a call, and 'tools' has nothing to call", 'tool_choice', 'invalid_value');
  if (tools.length === 0 || choice.mode === 'none') return null;
  const callable = tools.filter(({ name }) => choice.names?.includes(name) ?? true);
  return {
    form, names: callable.map(({ name }) => name),
    // All of them, also where few may be called: the prompt then stays the same from request to request.
    definitions: tools.map(({ name, description, parameters }) => ({
      type: 'function', function: { name, ...(typeof description === 'string' && { description }), parameters: parameters ?? { type: 'object', properties: {} } },
    })),
    constraint: {
      type: 'tags', trigger: form.trigger, at: form.at, open: form.open, separator: form.separator, close: form.close,
      least: choice.mode === 'required' ? 1 : 0, most: form.several && (parallel ?? choice.mode === 'auto') ? MOST_CALLS : 1,
      tags: callable.map(({ name, parameters }) => ({ name: `the function ${name}`, begin: form.begin(name), schema: schemaOf(name, parameters), end: form.end })),
      ...(text && { text }),
    },
  };
}

/** Arguments are an object. One that lists its properties and does not say that there are others has no others. */
function schemaOf(name: string, parameters: FunctionTool['parameters']): Readonly<Record<string, unknown>> {
  const { type, ...rest } = parameters ?? { properties: {} };
  if (type !== undefined && type !== 'object') {
    throw invalidRequest(`The parameters of the function '${name}' are of type ${JSON.stringify(type)}: arguments are an object`, 'tools', 'invalid_function_parameters');
  }
  if (['$ref', 'anyOf', 'oneOf', 'allOf'].some((keyword) => rest[keyword] !== undefined)) return { ...(type !== undefined && rest['$ref'] === undefined && { type }), ...rest };
  const closed = rest['properties'] !== undefined && rest['additionalProperties'] === undefined;
  return { type: 'object', ...rest, ...(closed && { additionalProperties: false }) };
}

export const functionOf = ({ function: { name, description, parameters } }: ChatTool): FunctionTool => ({ name, description, parameters });

/** OpenAI's default: none where there is nothing to call, auto otherwise. */
export function choiceOf(choice: ChatToolChoice | null | undefined, tools: readonly unknown[]): FunctionChoice {
  if (choice === null || choice === undefined) return { mode: tools.length === 0 ? 'none' : 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  if (choice.type === 'function') return { mode: 'required', names: [choice.function.name] };
  const { mode, tools: allowed } = choice.allowed_tools;
  return { mode, names: allowed.map((each) => each.function.name) };
}
