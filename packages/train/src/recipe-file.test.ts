import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RecipeError } from './errors.ts';
import { parseRecipe } from './recipe.ts';
import { loadRecipe } from './recipe-file.ts';
import { recipeHash } from './run-folder.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-recipes-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const DATA = 'data: { sources: [{ name: s, path: s.txt }] }\n';
const REST = 'name: own\ntokenizer: { vocab_size: 500 }\nmodel: { size: 2 }\nstages: [{ name: p, kind: pretrain, steps: 10 }]\n';

test('a recipe takes over what it does not say itself, from file to file, and is then as if it said all of it', async () => {
  write('ground.yaml', `seed: 7\nlicence: mit\n${DATA}`);
  write('middle.yaml', 'extends: ground.yaml\nlicence: cc0\nmodel: { size: 5 }\n');
  const { recipe, text } = await loadRecipe(write('own.yaml', `extends: middle.yaml\n${REST}`));
  expect(recipe).toMatchObject({ name: 'own', seed: 7, licence: 'cc0', model: { size: 2 }, data: { sources: [{ name: 's' }] } });
  const whole = parseRecipe(`${REST}seed: 7\nlicence: cc0\n${DATA}`);
  expect(recipeHash(recipe)).toBe(recipeHash(whole));
  expect(text).toMatch(/^# own\.yaml, which extends middle\.yaml, which extends ground\.yaml, put together\.\n/);
  expect(parseRecipe(text)).toEqual(recipe);
});

test('a recipe that extends none is kept as it was written', async () => {
  const path = write('plain.yaml', `# mine\n${REST}${DATA}`);
  expect((await loadRecipe(path)).text).toBe(`# mine\n${REST}${DATA}`);
});

test.each([
  ['extends: nowhere.yaml\n', /line 1, extends is "nowhere\.yaml": there is no such file/],
  ['extends: ../ground.yaml\n', /has to be the name of a file in the same folder/],
  ['extends: 3\n', /extends is 3: it has to be the name of a file/],
  ['extends: wrong.yaml\n', /extend itself \(wrong\.yaml, wrong\.yaml\)/],
  ['extends: list.yaml\n', /that file has no fields/],
  ['extend: ground.yaml\n', /unknown field "extend" \(did you mean "extends"\?\)/],
  ['extends: faulty.yaml\n', /faulty\.yaml, line 2, data\.sources\[0\] has the unknown field "pth" \(did you mean "path"\?\)/],
])('%j is refused', async (head, problem) => {
  write('list.yaml', '- 1\n');
  write('faulty.yaml', '# here\ndata: { sources: [{ name: s, pth: s.txt }] }\n');
  const path = write('wrong.yaml', head + REST);
  await expect(loadRecipe(path)).rejects.toThrow(problem);
  await expect(loadRecipe(path)).rejects.toThrow(RecipeError);
});

test('a text by itself has no file beside it to extend', () => {
  expect(() => parseRecipe(`extends: ground.yaml\n${REST}`)).toThrow(/extends is followed from a file to a file/);
});
