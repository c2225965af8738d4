/** Learning rates over a run: a linear warm-up, then one of three shapes. */

export interface Schedule {
  /**
   * cosine: half a cosine from the peak to the final rate (Loshchilov & Hutter, 2017).
   * wsd: warm-up, stable, decay (Hu et al., 2024): the peak, then over the last `decayShare` linearly to the final rate.
   * constant: the peak.
   */
  readonly shape: 'cosine' | 'wsd' | 'constant';
  /** The highest learning rate. */
  readonly peak: number;
  /** What the last step comes down to, as a share of the peak. */
  readonly finalShare: number;
  /** Steps until the peak is reached: step i of w has the rate peak · i / w. */
  readonly warmup: number;
  /** Steps in all. */
  readonly steps: number;
  /** wsd: the share of all steps that decays. */
  readonly decayShare: number;
}

/** The rate of step `step`, counted from 1. Beyond the last step it stays at the final rate. */
export function learningRate(schedule: Schedule, step: number): number {
  const { shape, peak, finalShare, warmup, steps, decayShare } = schedule;
  if (step <= warmup) return (peak * step) / Math.max(1, warmup);
  const final = peak * finalShare;
  switch (shape) {
    case 'constant':
      return peak;
    case 'cosine': {
      const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
      return final + (peak - final) * 0.5 * (1 + Math.cos(Math.PI * progress));
    }
    case 'wsd': {
      const decay = Math.max(1, Math.round(steps * decayShare));
      const progress = Math.min(1, Math.max(0, (step - (steps - decay)) / decay));
      return peak + (final - peak) * progress;
    }
    default:
      return shape satisfies never;
  }
}
