/** A process that runs a recipe with the reference backend: `node run-recipe.ts RECIPE OUTPUT [resume]`. Killed by run.test.ts. */
import { ReferenceBackend } from '@parley/engine';
import { loadRecipe } from '../recipe.ts';
import { run } from '../run.ts';

const [path = '', output = '', resume] = process.argv.slice(2);
await using backend = new ReferenceBackend();
const { recipe, folder, text } = await loadRecipe(path);
await run({
  recipe, folder, text, output, backend, resume: resume === 'resume',
  onEvent: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
});
