/** How fast this machine multiplies matrices at best, and how fast training is beside that. */
import { setTimeout } from 'node:timers/promises';
import { type Backend, Tensor } from '@parley/engine';
import { parameterSpecs, type TransformerConfig } from '@parley/model';

/** Bursts and the pauses between them, in milliseconds: a neighbour that is busy for a moment spoils some, not all. */
const BURSTS = 5;
const BURST_MS = 80;
const PAUSE_MS = 40;

/**
 * The best rate seen so far on this machine, in GFLOP/s: of a probe at first, then of whatever ran faster. Other programs that
 * run during the probe make it too low; a training step that outdoes it shows that, and becomes the peak.
 */
export class Peak {
  #gflops: number;

  constructor(gflops: number) {
    this.#gflops = gflops;
  }

  /** Probes the backend's own f32 matmul at (n, n, n): the best of several short bursts, about half a second in all. */
  static async measure(backend: Backend, n = 512): Promise<Peak> {
    using a = Tensor.allocate(backend, [n, n]);
    using b = Tensor.allocate(backend, [n, n]);
    using out = Tensor.allocate(backend, [n, n]);
    backend.fill(a, 0.5);
    backend.fill(b, 0.25);
    const corner = out.reshape(n * n).rows(0, 1);
    const value = new Float32Array(1);
    let best = 0;
    for (let burst = 0; burst < BURSTS; burst++) {
      if (burst > 0) await setTimeout(PAUSE_MS);
      const end = performance.now() + BURST_MS;
      do {
        const started = performance.now();
        backend.matmul({ out, a, b, transposeB: true });
        await backend.read(corner, value);
        best = Math.max(best, (2 * n ** 3) / (performance.now() - started) / 1e6);
      } while (performance.now() < end);
    }
    return new Peak(best);
  }

  get gflops(): number {
    return this.#gflops;
  }

  /** What share of the peak an achieved rate is, 0 to 1: what is lost outside of matrix products. A higher rate raises the peak. */
  share(achievedGflops: number): number {
    this.#gflops = Math.max(this.#gflops, achievedGflops);
    return this.#gflops === 0 ? 0 : achievedGflops / this.#gflops;
  }
}

/** What a training step has to compute, whatever it computes besides. */
export interface TrainingWork {
  /** Tokens that go through the layers, padding not counted. */
  readonly tokens: number;
  /** Those of them whose logits are needed. */
  readonly targets: number;
  /** Pairs of a query and a key it sees: n (n + 1) / 2 for each causal sequence of n tokens. */
  readonly pairs: number;
}

/**
 * Floating-point operations of training, forward and backward: 6 for each weight of a matrix product and token that meets it,
 * and 12 · width for each layer, query and key (Chowdhery et al., 2022, appendix B).
 */
export function trainingFlops(config: TransformerConfig, { tokens, targets, pairs }: TrainingWork): number {
  const head = config.vocabSize * config.hiddenSize;
  let weights = config.tieEmbeddings ? 0 : -head;
  for (const { kind, shape } of parameterSpecs(config)) {
    if (kind === 'matrix') weights += shape.reduce((product, extent) => product * extent, 1);
  }
  return 6 * (weights * tokens + head * targets) + 12 * config.layers * config.heads * config.headSize * pairs;
}
