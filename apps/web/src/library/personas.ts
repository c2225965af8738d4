/** Saved personas: read once, kept in step with what is changed here, and chosen for a conversation. */
import type { NewPersona, Persona, TalkParameters, TalkSettings } from '@parley/protocol';
import { useEffect } from 'react';
import { type RequestError, toRequestError } from '../api.ts';
import { setChat } from '../chat-settings.ts';
import { client } from '../client.ts';
import { createStore, page, useStore } from '../state.ts';
import { without } from './parameters.ts';

interface PersonasState {
  /** Null: not read yet. By name. */
  readonly list: readonly Persona[] | null;
  readonly error: RequestError | null;
}

const personas = createStore<PersonasState>({ list: null, error: null });

export async function loadPersonas(): Promise<void> {
  try {
    personas.set({ list: sorted(await client.personas()), error: null });
  } catch (error) {
    personas.set({ error: toRequestError(error) });
  }
}

const sorted = (list: readonly Persona[]): readonly Persona[] => list.toSorted((a, b) => a.name.localeCompare(b.name));

/** Reads them when first used. */
export function usePersonas(): PersonasState {
  const list = useStore(personas, (state) => state.list);
  const error = useStore(personas, (state) => state.error);
  useEffect(() => {
    if (personas.get().list === null) void loadPersonas();
  }, []);
  return { list, error };
}

/** Throws `RequestError`. */
export async function savePersona(id: string | null, persona: NewPersona & { parameters: TalkParameters }): Promise<Persona> {
  const saved = id === null ? await client.createPersona(persona) : await client.updatePersona(id, persona);
  personas.set(({ list }) => ({ list: sorted([...(list ?? []).filter((each) => each.id !== saved.id), saved]) }));
  // A conversation that uses it goes on with what it says now.
  if (id !== null && page.get().chat.personaId === id) await choosePersona(saved);
  return saved;
}

/** Throws `RequestError`. */
export async function deletePersona(id: string): Promise<void> {
  await client.removePersona(id);
  personas.set(({ list }) => ({ list: (list ?? []).filter((each) => each.id !== id) }));
  if (page.get().chat.personaId === id) await choosePersona(null);
}

/** `chat` with a persona's prompt and parameters, or with none: the prompt goes with the persona, the other parameters stay. */
export function withPersona(before: TalkSettings, persona: Persona | null): TalkSettings {
  const chat = without(before, 'personaId');
  const parameters = without(before.parameters ?? {}, 'system');
  if (persona === null) return { ...chat, parameters };
  return { ...chat, personaId: persona.id, parameters: { ...parameters, ...persona.parameters, ...(persona.system.trim() !== '' && { system: persona.system }) } };
}

/** For the open conversation, or where none is open for new ones. Throws `RequestError`. */
export const choosePersona = (persona: Persona | null): Promise<void> => setChat(withPersona(page.get().chat, persona));
