/** Models of next to no size, with random weights and chat templates that write functions each in their own way. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { llamaConfig, Transformer } from '@parley/model';
import { saveModel } from '@parley/model/node';
import { CHATML_TEMPLATE, Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';

const turns = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const listed = "{% if tools %}{{ '<|im_start|>system\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}";

/** The lines that matter of the published ones; `chatml` knows nothing of functions. */
export const TEMPLATES: Readonly<Record<string, string>> = {
  chatml: CHATML_TEMPLATE,
  hermes: `{# <tool_call> #}${listed}${turns}`,
  llama: `{# "parameters": ipython #}${listed}${turns}`,
  mistral: `{# [TOOL_CALLS] #}${listed}${turns}`,
  'mistral-args': `{# [TOOL_CALLS] [ARGS] #}${listed}${turns}`,
};

/** A model's folder under a temporary one, by the template's name. Its context has 2,048 tokens. */
export async function tinyModel(form: string): Promise<{ readonly folder: string } & AsyncDisposable> {
  const text = ['Hello! How are you? {"name": "get_weather", "arguments": {"city": "Köln"}}', 'It is sunny in 北京 <tool_call>', 'true false null 12 3.5 [TOOL_CALLS]'];
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', ...(form.startsWith('mistral') ? ['[TOOL_CALLS]', '[ARGS]'] : [])];
  const trained = await trainTokenizer(Array.from({ length: 8 }, () => text).flat(), { vocabSize: 360, specialTokens: special, pattern: 'gpt4' });
  const tokenizer = Tokenizer.fromJSON(trained.toJSON(), { ...trained.configToJSON(), eos_token: '<|im_end|>', bos_token: '<|endoftext|>', chat_template: TEMPLATES[form] });
  const parent = await mkdtemp(join(tmpdir(), 'parley-tiny-'));
  const folder = join(parent, form);
  const config = llamaConfig({ vocabSize: tokenizer.vocabSize, contextLength: 2048, hiddenSize: 32, heads: 2, keyValueHeads: 1, layers: 1, intermediateSize: 48 });
  using model = Transformer.initialize(new ReferenceBackend(), config, new Random(1));
  await saveTokenizer(tokenizer, folder);
  await saveModel(model, folder);
  return { folder, [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) };
}
