/**
 * Scaled dot-product attention (Vaswani et al., 2017, arXiv:1706.03762) with grouped key/value heads (Ainslie et al., 2023,
 * arXiv:2305.13245), over sequences packed end to end. The backward pass keeps no probabilities: it computes them again from
 * logSumExp, as FlashAttention does (Dao et al., 2022, arXiv:2205.14135, appendix B.4).
 */
import type { Tensor } from '../../tensor.ts';
import { type Args, floats, integers } from './memory.ts';
import { addScaled, at, dot, doubleAt, integerAt } from './vectors.ts';

/** One sequence: its queries are rows of q and out, its keys rows of k and v. */
interface Span {
  readonly queryStart: number;
  readonly queryLength: number;
  readonly keyStart: number;
  readonly keyLength: number;
}

function spans(sequences: Tensor): Span[] {
  const values = integers(sequences); // (S, 4)
  return Array.from({ length: values.length / 4 }, (_, s) => ({
    queryStart: integerAt(values, s * 4),
    queryLength: integerAt(values, s * 4 + 1),
    keyStart: integerAt(values, s * 4 + 2),
    keyLength: integerAt(values, s * 4 + 3),
  }));
}

/** How many keys, from the sequence's first, the i-th query sees: up to and with its own place. */
function visibleKeys({ queryLength, keyLength }: Span, i: number, causal: boolean): number {
  return causal ? keyLength - queryLength + i + 1 : keyLength;
}

/** The first of them, where there is a window. */
function firstVisible(visible: number, window: number | undefined): number {
  return window === undefined ? 0 : Math.max(0, visible - window);
}

/**
 * For every query and head: s_j = q·k_j·scale, p = softmax(s), out = Σ_j p_j·v_j.
 * q, out (N, H, D); k, v (R, K, D); logSumExp (N, H).
 */
export function attention({ out, logSumExp, q, k, v, sequences, causal, window, scale }: Args<'attention'>): void {
  const [H, D, K] = [q.dim(1), q.dim(2), k.dim(1)];
  const outValues = floats(out);
  const lse = logSumExp && floats(logSumExp);
  const [qs, ks, vs] = [floats(q), floats(k), floats(v)];
  const sums = new Float64Array(D);

  for (const span of spans(sequences)) {
    const scores = new Float64Array(span.keyLength);
    for (let i = 0; i < span.queryLength; i++) {
      const visible = visibleKeys(span, i, causal);
      const first = firstVisible(visible, window);
      for (let h = 0; h < H; h++) {
        const keyHead = Math.floor(h / (H / K));
        const queryRow = (span.queryStart + i) * H + h; // of q, out as (N·H, D)
        const keyRow = (j: number): number => (span.keyStart + j) * K + keyHead; // of k, v as (R·K, D)

        let largest = -Infinity;
        for (let j = first; j < visible; j++) {
          const score = dot(qs, queryRow * D, ks, keyRow(j) * D, D) * scale;
          scores[j] = score;
          largest = Math.max(largest, score);
        }
        // Softmax does not change when every score is moved by as much: moved by the largest, no exponential overflows.
        let total = 0;
        sums.fill(0);
        for (let j = first; j < visible; j++) {
          const weight = Math.exp(doubleAt(scores, j) - largest);
          total += weight;
          addScaled(sums, 0, weight, vs, keyRow(j) * D, D);
        }
        for (let d = 0; d < D; d++) outValues[queryRow * D + d] = doubleAt(sums, d) / total;
        if (lse) lse[queryRow] = largest + Math.log(total);
      }
    }
  }
}

/**
 * With P = exp(s − logSumExp), dP_j = dOut·v_j and Δ = dOut·out = Σ_j P_j·dP_j:
 * dS_j = P_j·(dP_j − Δ), dQ += Σ_j dS_j·k_j·scale, dK_j += dS_j·q·scale, dV_j += P_j·dOut,
 * the last two summed over all queries that see key j and all query heads that read its head.
 */
export function attentionBackward(args: Args<'attentionBackward'>): void {
  const { dQ, dK, dV, dOut, out, logSumExp, q, k, v, sequences, causal, window, scale } = args;
  const [H, D, K] = [q.dim(1), q.dim(2), k.dim(1)];
  const group = H / K;
  const [dOuts, outs, lse] = [floats(dOut), floats(out), floats(logSumExp)];
  const [qs, ks, vs] = [floats(q), floats(k), floats(v)];
  const [dQs, dKs, dVs] = [dQ && floats(dQ), dK && floats(dK), dV && floats(dV)];
  const dQuery = new Float64Array(D);

  for (const span of spans(sequences)) {
    for (let keyHead = 0; keyHead < K; keyHead++) {
      const dKeys = new Float64Array(span.keyLength * D); // of this sequence and head
      const dValues = new Float64Array(span.keyLength * D);
      for (let i = 0; i < span.queryLength; i++) {
        const visible = visibleKeys(span, i, causal);
        const first = firstVisible(visible, window);
        for (let h = keyHead * group; h < (keyHead + 1) * group; h++) {
          const queryRow = (span.queryStart + i) * H + h;
          const delta = dot(dOuts, queryRow * D, outs, queryRow * D, D);
          dQuery.fill(0);
          for (let j = first; j < visible; j++) {
            const key = ((span.keyStart + j) * K + keyHead) * D;
            const p = Math.exp(dot(qs, queryRow * D, ks, key, D) * scale - at(lse, queryRow));
            const dP = dot(dOuts, queryRow * D, vs, key, D);
            const dS = p * (dP - delta) * scale;
            addScaled(dQuery, 0, dS, ks, key, D);
            addScaled(dKeys, j * D, dS, qs, queryRow * D, D);
            addScaled(dValues, j * D, p, dOuts, queryRow * D, D);
          }
          if (dQs) for (let d = 0; d < D; d++) dQs[queryRow * D + d] = at(dQs, queryRow * D + d) + doubleAt(dQuery, d);
        }
      }
      for (let j = 0; j < span.keyLength; j++) {
        const key = ((span.keyStart + j) * K + keyHead) * D;
        if (dKs) for (let d = 0; d < D; d++) dKs[key + d] = at(dKs, key + d) + doubleAt(dKeys, j * D + d);
        if (dVs) for (let d = 0; d < D; d++) dVs[key + d] = at(dVs, key + d) + doubleAt(dValues, j * D + d);
      }
    }
  }
}
