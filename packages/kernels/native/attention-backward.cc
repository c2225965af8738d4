/**
 * Gradients of attention. Probabilities are computed again from logSumExp (Dao et al., 2022, arXiv:2205.14135, appendix B.4):
 * P = exp(q·kᵀ·scale − logSumExp), dP = dOut·vᵀ, Δ = dOut·out, dS = P·(dP − Δ),
 * dQ += dS·k·scale, dK += dSᵀ·q·scale, dV += Pᵀ·dOut, over the rows of a key head as in attention.cc.
 *
 * All five products are register blocks over pairs of a block of keys and a tile of rows. One writer a row of each gradient, and
 * a fixed order: dK and dV are summed over tiles in a chunk's scratch and added once, dQ is added to over blocks of keys in order.
 *
 * A chunk is (sequence, key head). Where these are too few for the threads there are two launches instead: for dK and dV cut by
 * blocks of keys, then for dQ cut by tiles of rows, which computes P and dP twice: 7 products for 5, and the same bits.
 */
#include "blocks.h"
#include "kernels.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Keys to a block, a multiple of BLOCK_COLUMNS, and rows to a tile, of BLOCK_ROWS. */
constexpr int64_t KEYS = 64;
constexpr int64_t ROWS = 48;
/** Computing probabilities twice, 7 products for 5, is worth it when it keeps threads from idling more than that. */
constexpr double SPLIT_COST = 1.4;

static_assert(
    sizeof(float) * (2 * ROWS + 2 * ROWS * KEYS + (5 * KEYS + 2 * ROWS + BLOCK_ROWS) * LARGEST_HEAD) <= SCRATCH_BYTES,
    "the largest tile fits the scratch memory");

struct Work {
  float* dQ;
  float* dK;
  float* dV;
  const float* dOut;
  const float* out;
  const float* logSumExp;
  const float* q;
  const float* k;
  const float* v;
  const int32_t* sequences;
  int64_t heads, keyHeads, size, group;
  bool causal;
  int64_t window;
  float scale;
  /** Chunks among which a sequence and key head's blocks of keys, or tiles of rows, are dealt: one of the two is 1. */
  int64_t keyParts, rowParts;
};

/** Σ a·b over `size` numbers. */
inline float dot(const float* a, const float* b, int64_t size) {
  Float sum = splat(0);
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) sum = fma(load(a + i), load(b + i), sum);
  if (i < size) sum = fma(load(a + i, size - i), load(b + i, size - i), sum);
  return sumLanes(sum);
}

/** out += x · factor over `size` numbers. */
inline void addTo(float* out, const float* x, int64_t size, float factor) {
  const Float by = splat(factor);
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) store(out + i, fma(load(x + i), by, load(out + i)));
  if (i < size) store(out + i, fma(load(x + i, size - i), by, load(out + i, size - i)), size - i);
}

/** A row's scores become probabilities and dP becomes dS, both zero from `visible` to KEYS. */
inline void differentiate(float* p, float* dS, int64_t visible, float logSumExp, float delta) {
  const Float shift = splat(logSumExp), from = splat(delta);
  int64_t j = 0;
  for (; j < visible; j += LANES) {
    const Float probability = expToOne(load(p + j) - shift);
    store(p + j, probability);
    store(dS + j, probability * (load(dS + j) - from));
  }
  for (int64_t i = visible; i < j; i++) p[i] = dS[i] = 0;
  for (; j < KEYS; j += LANES) {
    store(p + j, splat(0));
    store(dS + j, splat(0));
  }
}

/** total (rows, D) += weightsᵀ · x over x's rows `from` to `end`: weights (rows of x, KEYS), of which this is `rows` columns. */
inline void sumOverRows(const float* weights, int64_t rows, const float* x, float* total, int64_t from, int64_t end, int64_t wide) {
  multiplyRows<true>(
      rows, {weights + from * KEYS, 1, KEYS}, x + from * wide, wide, BLOCK_COLUMNS, wide / LANES, end - from, total, wide);
}

void differentiatePair(const Work& work, int64_t chunk, char* scratch) {
  const int64_t parts = work.keyParts * work.rowParts;
  const int64_t keyPart = chunk % parts % work.keyParts, rowPart = chunk % parts / work.keyParts;
  const int64_t pair = chunk / parts;
  const int64_t keyHead = pair % work.keyHeads;
  const Span span = spanOf(work.sequences + pair / work.keyHeads * 4);
  const int64_t group = work.group, size = work.size;
  const int64_t rowCount = span.queryLength * group;
  const int64_t past = span.keyLength - span.queryLength;
  const auto visibleTo = [&](int64_t row) { return work.causal ? past + row / group + 1 : span.keyLength; };
  /** Where a row is in q, out and dOut as (N·H, D). */
  const auto rowOf = [&](int64_t row) { return (span.queryStart + row / group) * work.heads + keyHead * group + row % group; };
  /** How many of these are before its window. */
  const auto hiddenTo = [&](int64_t row) { return work.window == 0 ? 0 : most(0, visibleTo(row) - work.window); };
  /** The first row that sees a key. */
  const auto firstSeeing = [&](int64_t key) { return work.causal && key > past ? (key - past) * group : 0; };

  const int64_t wide = roundUp(size, LANES);
  float* const sums = reinterpret_cast<float*>(scratch);  // logSumExp of a tile's rows
  float* const deltas = sums + ROWS;
  float* const p = deltas + ROWS;         // (ROWS, KEYS)
  float* const dS = p + ROWS * KEYS;                      // (ROWS, KEYS), first as dP
  float* const keys = dS + ROWS * KEYS;                   // (KEYS, D in vectors)
  float* const queries = keys + KEYS * wide;              // (ROWS, D in vectors), times scale
  float* const dOuts = queries + ROWS * wide;             // (ROWS, D in vectors)
  float* const dKeys = dOuts + ROWS * wide;               // (KEYS, D in vectors)
  float* const dValues = dKeys + KEYS * wide;             // (KEYS, D in vectors)
  float* const dQueries = dValues + KEYS * wide;          // (BLOCK_ROWS, D in vectors)
  float* const packedKeys = dQueries + BLOCK_ROWS * wide; // panels of keys: (KEYS / BLOCK_COLUMNS, D, BLOCK_COLUMNS)
  float* const packedValues = packedKeys + KEYS * size;   // and of values

  // Columns past D are read by the blocks and never written.
  memset(keys, 0, sizeof(float) * static_cast<size_t>((KEYS + 2 * ROWS) * wide));

  const int64_t keyStride = work.keyHeads * size;
  for (int64_t j = keyPart * KEYS; j < span.keyLength; j += work.keyParts * KEYS) {
    const int64_t width = least(KEYS, span.keyLength - j);
    const int64_t offset = (span.keyStart + j) * keyStride + keyHead * size;
    if (work.dQ != nullptr) {
      for (int64_t n = 0; n < width; n++) copyRow(keys + n * wide, work.k + offset + n * keyStride, size);
    }
    packColumns(work.k + offset, keyStride, size, width, packedKeys);
    packColumns(work.v + offset, keyStride, size, width, packedValues);
    memset(dKeys, 0, sizeof(float) * static_cast<size_t>(2 * KEYS * wide));

    for (int64_t tile = rowPart; tile * ROWS < rowCount; tile += work.rowParts) {
      const int64_t first = tile * ROWS;
      if (first + ROWS <= firstSeeing(j)) continue;
      if (hiddenTo(first) >= j + width) break;  // from here on the window is past this block
      const int64_t count = least(ROWS, rowCount - first);
      for (int64_t r = 0; r < count; r++) {
        const int64_t row = rowOf(first + r);
        scaleRow(queries + r * wide, work.q + row * size, size, work.scale);
        copyRow(dOuts + r * wide, work.dOut + row * size, size);
        sums[r] = work.logSumExp[row];
        deltas[r] = dot(work.dOut + row * size, work.out + row * size, size);
      }

      for (int64_t r = 0; r < count; r += BLOCK_ROWS) {
        const int64_t rows = least(BLOCK_ROWS, count - r);
        float* const x = p + r * KEYS;
        float* const y = dS + r * KEYS;
        const int64_t reach = most(0, least(width, visibleTo(first + r + rows - 1) - j));
        const int64_t vectors = ceilDiv(reach, LANES);
        const int64_t next = size * BLOCK_COLUMNS;
        multiplyRows<false>(rows, {queries + r * wide, wide, 1}, packedKeys, BLOCK_COLUMNS, next, vectors, size, x, KEYS);
        multiplyRows<false>(rows, {dOuts + r * wide, wide, 1}, packedValues, BLOCK_COLUMNS, next, vectors, size, y, KEYS);
        for (int64_t i = 0; i < rows; i++) {
          const int64_t visible = most(0, least(width, visibleTo(first + r + i) - j));
          differentiate(x + i * KEYS, y + i * KEYS, visible, sums[r + i], deltas[r + i]);
          const int64_t hidden = least(hiddenTo(first + r + i) - j, visible);
          for (int64_t n = 0; n < hidden; n++) x[i * KEYS + n] = y[i * KEYS + n] = 0;
        }
        if (work.dQ != nullptr && reach != 0) {
          multiplyRows<false>(rows, {y, KEYS, 1}, keys, wide, BLOCK_COLUMNS, wide / LANES, reach, dQueries, wide);
          for (int64_t i = 0; i < rows; i++) addTo(work.dQ + rowOf(first + r + i) * size, dQueries + i * wide, size, work.scale);
        }
      }

      // Keys are the rows of these blocks: p and dS are read down their columns.
      for (int64_t n = 0; n < width; n += BLOCK_ROWS) {
        // Rows before the first that sees a key of the strip have zeros for it.
        const int64_t from = most(0, firstSeeing(j + n) - first);
        if (from >= count) break;
        const int64_t rows = least(BLOCK_ROWS, width - n);
        if (work.dV != nullptr) sumOverRows(p + n, rows, dOuts, dValues + n * wide, from, count, wide);
        if (work.dK != nullptr) sumOverRows(dS + n, rows, queries, dKeys + n * wide, from, count, wide);
      }
    }

    for (int64_t n = 0; n < width; n++) {
      const int64_t at = offset + n * keyStride;
      if (work.dV != nullptr) addTo(work.dV + at, dValues + n * wide, size, 1);
      if (work.dK != nullptr) addTo(work.dK + at, dKeys + n * wide, size, 1);
    }
  }
}

void launch(const Work& work, int64_t pairs, Pool& pool) {
  parallelFor(pool, pairs * work.keyParts * work.rowParts, [&work](uint32_t chunk, char* scratch) {
    differentiatePair(work, chunk, scratch);
  });
}

}  // namespace

void attentionBackward(const AttentionBackwardArguments& args, Pool& pool) {
  if (args.maxQueryLength == 0) return;
  Work work = {args.dQ, args.dK, args.dV, args.dOut, args.out, args.logSumExp, args.q, args.k, args.v, args.sequences,
               args.heads, args.keyHeads, args.headSize, 0, args.causal != 0, args.window, args.scale, 1, 1};
  work.group = work.heads / work.keyHeads;
  const int64_t pairs = args.sequenceCount * work.keyHeads;
  const int64_t threads = pool.threads();
  // The bits are the same either way, so this may depend on the number of threads.
  if (static_cast<double>(ceilDiv(pairs, threads) * threads) <= SPLIT_COST * static_cast<double>(pairs)) {
    launch(work, pairs, pool);
    return;
  }
  if (work.dK != nullptr || work.dV != nullptr) {
    Work keysOnly = work;
    keysOnly.dQ = nullptr;
    keysOnly.keyParts = ceilDiv(args.keyRows, KEYS);
    launch(keysOnly, pairs, pool);
  }
  if (work.dQ != nullptr) {
    work.dK = work.dV = nullptr;
    work.rowParts = ceilDiv(args.maxQueryLength * work.group, ROWS);
    launch(work, pairs, pool);
  }
}

}  // namespace PARLEY_ISA
}  // namespace parley
