/** The script of a generator's thread: it owns the backend, the model and the tokenizer, and answers requests side by side. */
import { parentPort, workerData } from 'node:worker_threads';
import { LoadedGenerator } from './load.ts';
import type { FromWorker, ToWorker, WorkerStart } from './protocol.ts';
import { toWire } from './wire-errors.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker thread: use openGenerator()');
const send = (message: FromWorker): void => port.postMessage(message);

const open = new Map<number, AbortController>();

async function answer(generator: LoadedGenerator, { id, prompts, options }: Extract<ToWorker, { type: 'generate' }>): Promise<void> {
  const controller = new AbortController();
  open.set(id, controller);
  try {
    for await (const event of generator.generate(prompts, { ...options, signal: controller.signal })) send({ type: 'event', id, event });
    send({ type: 'end', id });
  } catch (error) {
    send(controller.signal.aborted ? { type: 'end', id } : { type: 'error', id, error: toWire(error) });
  } finally {
    open.delete(id);
  }
}

async function call(generator: LoadedGenerator, { id, method, argument }: Extract<ToWorker, { type: 'call' }>): Promise<void> {
  const controller = new AbortController();
  open.set(id, controller);
  try {
    const value = method === 'stats' ? await generator.stats()
      : method === 'countTokens' ? await generator.countTokens(argument)
      : method === 'tokenize' ? await generator.tokenize(argument)
      : method === 'detokenize' ? await generator.detokenize(argument)
      : await generator.embed(argument, { signal: controller.signal });
    send({ type: 'result', id, value });
  } catch (error) {
    send({ type: 'error', id, error: toWire(error) });
  } finally {
    open.delete(id);
  }
}

async function serve(generator: LoadedGenerator): Promise<void> {
  const { promise: disposed, resolve: dispose } = Promise.withResolvers<void>();
  port?.on('message', (message: ToWorker) => {
    if (message.type === 'generate') void answer(generator, message);
    else if (message.type === 'call') void call(generator, message);
    else if (message.type === 'stop') open.get(message.id)?.abort();
    else dispose();
  });
  send({ type: 'ready', info: generator.info });
  await disposed;
  await generator.dispose();
}

try {
  const { folder, options } = workerData as WorkerStart;
  await serve(await LoadedGenerator.load(folder, options));
} catch (error) {
  send({ type: 'failed', error: toWire(error) });
}
port.close();
