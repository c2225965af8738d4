/** Beam search with the model: the running beams of all prompts in one packed batch. Answers come when their search is over. */
import { streamOf } from './answer.ts';
import { type Beam, type BeamRow, BeamSearch, type FinishedBeam } from './beams.ts';
import { Clock } from './clock.ts';
import type { Job } from './decode.ts';
import { GenerateError } from './errors.ts';
import type { GenerateEvent } from './events.ts';
import { reportOn } from './log-probabilities.ts';
import { LogitsProcessors } from './processors.ts';
import type { PreparedPrompt } from './prompt.ts';
import { type Feed, logSoftmax, Runner } from './runner.ts';
import { Sampler } from './sampler.ts';
import { StopBytes, TextStream } from './text.ts';

interface Search {
  readonly first: number;
  readonly prompt: PreparedPrompt;
  readonly beams: BeamSearch;
  readonly processors: LogitsProcessors;
}

export async function* beamDecode(job: Job): AsyncGenerator<GenerateEvent, void> {
  const { model, tokenizer, prompts, settings, vocabSize } = job;
  const { numBeams, numReturnSequences } = settings;
  const longest = Math.max(...prompts.map(({ tokens, newTokens }) => tokens.length + newTokens));
  using runner = new Runner(model, { slots: prompts.length * numBeams, capacity: longest, vocabSize, signal: job.signal, chunk: job.chunk });
  const sampler = new Sampler(vocabSize, settings);
  const stopBytes = tokenizer === null ? null : new StopBytes(tokenizer, settings);
  const clock = new Clock();

  const searches = prompts.map((prompt, p): Search => ({
    first: p * numReturnSequences,
    prompt,
    processors: new LogitsProcessors(vocabSize, settings, [...prompt.ending]),
    beams: new BeamSearch(vocabSize, {
      numBeams, lengthPenalty: settings.lengthPenalty, earlyStopping: settings.earlyStopping,
      prompt: prompt.tokens, maxLength: prompt.tokens.length + prompt.newTokens,
      slots: Array.from({ length: numBeams }, (_, b) => p * numBeams + b),
      endingTokens: prompt.ending.size,
      endsWith: (tokens, token) => {
        if (prompt.ending.has(token)) return { reason: 'stop', stop: token };
        const stop = stopBytes?.completedBy(tokens, prompt.tokens.length, token) ?? null;
        return stop === null ? null : { reason: 'stop', stop };
      },
      draw: settings.sample ? streamOf(job.seeds[p] ?? 0, 0) : undefined,
    }),
  }));

  /** One step of all searches on the rows of the last run. */
  const advance = (running: readonly Search[]): void => {
    let place = 0;
    for (const { beams, processors, prompt } of running) {
      const rows = beams.running.map((beam): BeamRow => {
        const scores = runner.row(place++);
        const report = settings.logProbabilities === null ? undefined : reportOn(scores, settings.logProbabilities);
        logSoftmax(scores);
        processors.apply(scores, { tokens: beam.tokens, promptLength: prompt.tokens.length });
        if (settings.sample) sampler.warp(scores);
        return { scores, report };
      });
      const { length } = beams.running[0]?.tokens ?? [];
      for (const { from, to } of beams.advance(rows)) runner.copySlot(from, to, length ?? 0);
    }
  };

  await clock.prefill(() => runner.run(searches.map(({ prompt, beams }): Feed => feedOf(beams.running[0] as Beam, prompt.tokens))));
  clock.promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  let running: readonly Search[] = searches;
  for (;;) {
    const stepped = running;
    clock.choosing(() => advance(stepped));
    running = stepped.filter(({ beams }) => !beams.done);
    for (const search of stepped.filter(({ beams }) => beams.done)) {
      for (const event of eventsOf(search, job)) {
        if (event.type === 'token') clock.completionTokens++;
        yield event;
      }
    }
    if (running.length === 0) break;
    const feeds = running.flatMap(({ beams }) => beams.running.map((beam) => feedOf(beam, beam.tokens.slice(-1))));
    await clock.decode(feeds.length, () => runner.run(feeds));
  }
  yield { type: 'done', usage: clock.usage, timings: clock.timings };
}

const feedOf = ({ slot, tokens }: Beam, fed: readonly number[]): Feed => ({ slot, tokens: fed, past: tokens.length - fed.length });

/** The answers of a search that is over, told as if they had been streamed. */
function* eventsOf({ first, beams, prompt }: Search, { tokenizer, settings }: Job): Generator<GenerateEvent, void> {
  const best = beams.finished.slice(0, settings.numReturnSequences);
  if (best.length < settings.numReturnSequences) {
    throw new GenerateError(`beam search found ${best.length} different answers, and ${settings.numReturnSequences} were asked for: ask for fewer`);
  }
  for (const [r, beam] of best.entries()) yield* replay(first + r, beam, { prompt, text: new TextStream(tokenizer, settings) });
}

function* replay(index: number, beam: FinishedBeam, as: { prompt: PreparedPrompt; text: TextStream }): Generator<GenerateEvent, void> {
  const generated = beam.tokens.slice(as.prompt.tokens.length);
  for (const [i, token] of generated.entries()) {
    const step = as.text.push(token);
    const isLast = i === generated.length - 1;
    const text = isLast && step.stopped === null ? step.text + as.text.flush().text : step.text;
    const logProbabilities = beam.logProbabilities[i];
    yield { type: 'token', index, token, text, ...(logProbabilities && { logProbabilities }) };
  }
  yield { type: 'end', index, finishReason: beam.ending.reason, stop: beam.ending.stop, score: beam.score };
}
