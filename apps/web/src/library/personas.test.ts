import { expect, test } from 'vitest';
import { withPersona } from './personas.ts';

const poet = { id: 'p', name: 'Poet', system: 'Rhyme.', parameters: { temperature: 1.2 } };

test('a persona brings its prompt and its parameters over those that were set', () => {
  const chat = { model: 'm', parameters: { temperature: 0.5, seed: 7, system: 'Be brief.' } };
  expect(withPersona(chat, poet)).toEqual({ model: 'm', personaId: 'p', parameters: { temperature: 1.2, seed: 7, system: 'Rhyme.' } });
});

test('a persona without a prompt takes away that of the one before', () => {
  expect(withPersona({ personaId: 'p', parameters: { system: 'Rhyme.' } }, { id: 'q', name: 'Plain', system: ' ' })).toEqual({ personaId: 'q', parameters: {} });
});

test('without a persona its prompt goes, and what else was set stays', () => {
  expect(withPersona({ personaId: 'p', parameters: { system: 'Rhyme.', seed: 7 } }, null)).toEqual({ parameters: { seed: 7 } });
});
