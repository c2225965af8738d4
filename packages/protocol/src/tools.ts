/** Functions that a model may call, as chat completions write them. */
import * as z from 'zod';

/** Functions in one request at most, as OpenAI has it. */
const MOST_TOOLS = 128;

export const functionName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'names of functions have 1 to 64 letters, digits, underscores and dashes');
/** A JSON schema; what of it can be enforced is judged where it is. */
export const parametersSchema = z.record(z.string(), z.unknown());

const onlyFunctions = 'functions can be called here: custom tools and tools of OpenAI\'s own are not offered';

export const chatTool = z.strictObject({
  type: z.literal('function', onlyFunctions),
  function: z.strictObject({ name: functionName, description: z.string().nullish(), parameters: parametersSchema.nullish(), strict: z.boolean().nullish() }),
});
export const chatTools = z.array(chatTool).max(MOST_TOOLS, `${MOST_TOOLS} functions at most`);

const named = z.strictObject({ type: z.literal('function', onlyFunctions), function: z.strictObject({ name: functionName }) });

export const chatToolChoice = z.union([
  z.enum(['none', 'auto', 'required'], { error: "has to be 'none', 'auto', 'required', a function, or allowed_tools" }),
  named,
  z.strictObject({ type: z.literal('allowed_tools'), allowed_tools: z.strictObject({ mode: z.enum(['auto', 'required']), tools: z.array(named).min(1) }) }),
]);

export type ChatTool = z.output<typeof chatTool>;
export type ChatToolChoice = z.output<typeof chatToolChoice>;

/** A call in a conversation. */
export const chatToolCall = z.strictObject({
  id: z.string().min(1),
  type: z.literal('function', onlyFunctions),
  /** `parsed_arguments`: what OpenAI's client adds for its caller and sends back. */
  function: z.strictObject({ name: functionName, arguments: z.string(), parsed_arguments: z.unknown().optional() }),
});

/** A call in an answer. */
export interface ToolCallMessage {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A part of a call in a stream: id and name come first, then the arguments bit by bit. */
export interface ToolCallChunk {
  readonly index: number;
  readonly id?: string;
  readonly type?: 'function';
  readonly function: { readonly name?: string; readonly arguments: string };
}
