/** A process that runs a recipe: `node run-recipe.ts RECIPE OUTPUT reference|wasm [resume]`. Killed by run.test.ts. */
import { createBackend } from '@parley/engine/node';
import { loadRecipe } from '../recipe-file.ts';
import { run } from '../run.ts';

const [path = '', output = '', backendName, resume] = process.argv.slice(2);
await using backend = await createBackend(backendName === 'wasm' ? { backend: 'wasm', threads: 2 } : { backend: 'reference' });
const { recipe, folder, text } = await loadRecipe(path);
await run({
  recipe, folder, text, output, backend, resume: resume === 'resume',
  onEvent: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
});
