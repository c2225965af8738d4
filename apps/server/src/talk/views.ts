/** From what the store keeps to what the page gets, and from the store's errors to HTTP's. */
import { type AnswerDetails, ApiError, type ConversationSummary, type ErrorBody, invalidRequest, type ListedConversation, type Persona, type TalkMessage } from '@parley/protocol';
import { type Conversation, type ListedConversation as Listed, type Message, type Persona as KeptPersona, StoreError } from '../store/types.ts';

/** Of an answer whose process ended: there was nobody left to write down why. */
const INTERRUPTED: ErrorBody['error'] = {
  message: 'The server ended while this was being written. What had been written is here: ask again for the rest.', type: 'server_error', param: null, code: 'interrupted',
};

export const summaryOf = ({ id, title, createdAt, updatedAt, archived, settings }: Conversation): ConversationSummary => ({ id, title, createdAt, updatedAt, archived, settings });

export const listedOf = (listed: Listed): ListedConversation => ({ ...summaryOf(listed), match: listed.match });

/** `brief`: for lists, without what is large or of no use before somebody asks. */
export function messageOf(message: Message, { brief = false }: { readonly brief?: boolean } = {}): TalkMessage {
  const { id, conversationId, parentId, role, content, createdAt, status, model, finishReason, usage } = message;
  const { tokens, ...facts } = detailsOf(message) ?? {};
  const details: AnswerDetails = { ...facts, ...(tokens && !brief && { tokens }) };
  return {
    id, conversationId, parentId, role, content, createdAt, status, ...(model !== null && { model }),
    ...((finishReason === 'stop' || finishReason === 'length') && { finishReason }), ...(usage !== null && { usage }), ...(Object.keys(details).length > 0 && { details }),
  };
}

/** What is in the store was written by this server, or by its own export: its form is trusted. */
export function detailsOf({ status, details }: Pick<Message, 'status' | 'details'>): AnswerDetails | undefined {
  const kept = (details ?? undefined) as AnswerDetails | undefined;
  return status === 'failed' && kept?.error === undefined ? { ...kept, error: INTERRUPTED } : kept;
}

export const personaOf = ({ id, name, system, parameters }: KeptPersona): Persona => ({ id, name, system, ...(parameters !== null && { parameters }) });

/** Does what the store does; its errors become HTTP's. */
export async function kept<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof StoreError ? fromStore(error) : error;
  }
}

function fromStore(error: StoreError): ApiError {
  switch (error.code) {
    case 'not_found': return new ApiError(error.message, { status: 404, type: 'not_found_error', code: 'not_found', cause: error });
    case 'conflict': return new ApiError(error.message, { status: 409, code: 'conflict', cause: error });
    case 'invalid': return invalidRequest(error.message, null, 'invalid_value');
    case 'newer':
    case 'unavailable':
      return new ApiError('The database does not answer: try again.', { status: 503, code: 'store_unavailable', cause: error });
    default:
      error.code satisfies never;
      return new ApiError(error.message, { status: 500, cause: error });
  }
}

export const noConversation = (id: string, kind = 'conversation'): ApiError => new ApiError(`There is no ${kind} '${id}'.`, { status: 404, type: 'not_found_error', param: 'id', code: 'not_found' });
export const noMessage = (id: string, param = 'messageId'): ApiError =>
  new ApiError(`There is no message '${id}' in this conversation.`, { status: 404, type: 'not_found_error', param, code: 'not_found' });
