/** Items of responses, and the messages of a conversation: the same things in two forms. */
import { invalidRequest, type ResponseInputItem, type ResponseInputResource, type ResponseOutputItem } from '@parley/protocol';
import type { ChatMessage, ToolCall } from '@parley/tokenizer';
import { argumentsOf } from '../tools/arguments.ts';

const textOf = (content: string | readonly { readonly text: string }[]): string => (typeof content === 'string' ? content : content.map(({ text }) => text).join(''));

export const newItemId = (prefix: 'resp' | 'msg' | 'fc' | 'fco' | 'call'): string => `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`;

/** What a request brings, as it is kept and listed. */
export function resourcesOf(input: string | readonly ResponseInputItem[]): ResponseInputResource[] {
  if (typeof input === 'string') return resourcesOf([{ type: 'message', role: 'user', content: input }]);
  return input.map((item): ResponseInputResource => {
    switch (item.type) {
      case 'function_call': return { type: 'function_call', id: item.id ?? newItemId('fc'), call_id: item.call_id, name: item.name, arguments: item.arguments, status: 'completed' };
      case 'function_call_output': return { type: 'function_call_output', id: item.id ?? newItemId('fco'), call_id: item.call_id, output: textOf(item.output), status: 'completed' };
      case 'message': {
        const id = item.id ?? newItemId('msg');
        const text = textOf(item.content);
        if (item.role === 'assistant') return { type: 'message', id, role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [], logprobs: [] }] };
        return { type: 'message', id, role: item.role, status: 'completed', content: [{ type: 'input_text', text }] };
      }
      default: return item satisfies never;
    }
  });
}

/**
 * The conversation that items are. `own`: where this request's items begin, which errors number from. Throws ApiError for results of
 * calls that nobody made, and for arguments that are no JSON.
 */
export function messagesOf(items: readonly (ResponseInputResource | ResponseOutputItem)[], own: number): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const names = new Map<string, string>();
  for (const [i, item] of items.entries()) {
    const last = messages.at(-1);
    switch (item.type) {
      case 'message':
        messages.push({ role: item.role === 'developer' ? 'system' : item.role, content: textOf(item.content) });
        break;
      case 'function_call': {
        names.set(item.call_id, item.name);
        const call: ToolCall = { id: item.call_id, name: item.name, arguments: argumentsOf(item.arguments, `input.${i - own}.arguments`) };
        // Calls belong to the words before them: one turn of the assistant's.
        if (last?.role === 'assistant') last.toolCalls = [...(last.toolCalls ?? []), call];
        else messages.push({ role: 'assistant', content: '', toolCalls: [call] });
        break;
      }
      case 'function_call_output': {
        const name = names.get(item.call_id);
        if (name === undefined) {
          throw invalidRequest(`No function was called with the id '${item.call_id}', so it has no output: give the function_call item before it, or previous_response_id.`, `input.${i - own}.call_id`, 'invalid_value');
        }
        messages.push({ role: 'tool', content: item.output, toolCallId: item.call_id, name });
        break;
      }
      default: item satisfies never;
    }
  }
  return messages;
}
