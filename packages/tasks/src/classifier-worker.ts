/** The script of a classifier's thread: it owns the backend and the model, and answers requests one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '@parley/generate/node';
import { type ClassifierWorkerStart, type FromClassifierWorker, openLocalClassifier, type ToClassifierWorker } from './classifier.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker thread: use pipeline("text-classification")');
const send = (message: FromClassifierWorker): void => port.postMessage(message);
const open = new Map<number, AbortController>();

try {
  const { folder, options } = workerData as ClassifierWorkerStart;
  await using classifier = await openLocalClassifier(folder, options);
  const { promise: disposed, resolve: dispose } = Promise.withResolvers<void>();
  port.on('message', (message: ToClassifierWorker) => {
    if (message.type === 'stop') open.get(message.id)?.abort();
    else if (message.type === 'dispose') dispose();
    else {
      const { id, sequences } = message;
      const controller = new AbortController();
      open.set(id, controller);
      classifier.logits(sequences, controller.signal)
        .then((logits) => send({ type: 'answer', id, logits }), (error: unknown) => send({ type: 'error', id, error: toWire(error) }))
        .finally(() => open.delete(id));
    }
  });
  send({ type: 'ready', info: classifier.info });
  await disposed;
} catch (error) {
  send({ type: 'failed', error: toWire(error) });
}
port.close();
