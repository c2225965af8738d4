/** The script of a sequence model's thread: it owns the backend and the model, and answers requests one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '@parley/generate/node';
import { type FromSequenceWorker, openLocal, type SequenceWorkerStart, type ToSequenceWorker } from './sequence-model.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker thread: use pipeline("text-classification")');
const send = (message: FromSequenceWorker): void => port.postMessage(message);
const open = new Map<number, AbortController>();

try {
  const { folder, options } = workerData as SequenceWorkerStart;
  await using model = await openLocal(folder, options);
  const { promise: disposed, resolve: dispose } = Promise.withResolvers<void>();
  port.on('message', (message: ToSequenceWorker) => {
    if (message.type === 'stop') open.get(message.id)?.abort();
    else if (message.type === 'dispose') dispose();
    else {
      const { id, sequences, question } = message;
      const controller = new AbortController();
      open.set(id, controller);
      model.answer(sequences, question, controller.signal)
        .then((answers) => send({ type: 'answer', id, answers }), (error: unknown) => send({ type: 'error', id, error: toWire(error) }))
        .finally(() => open.delete(id));
    }
  });
  send({ type: 'ready', info: model.info });
  await disposed;
} catch (error) {
  send({ type: 'failed', error: toWire(error) });
}
port.close();
