/**
 * out = softmax(q·kᵀ·scale)·v as matrix products of register blocks, over blocks of keys, with the softmax kept up as they come
 * (Milakov & Gimelshein, 2018, arXiv:1805.02867; Dao et al., 2022, arXiv:2205.14135): no score leaves the L1 cache.
 *
 * The rows of one key head are its queries times the query heads that read it, query by query: row r is query r / group, head
 * r % group of the group. So grouped heads share what is packed of k, in decoding too. A chunk is a tile of such rows.
 *
 * A row's result is the same bits whatever rows are beside it and however the sequence was cut into past and present: blocks
 * of keys begin at multiples of KEYS of the sequence's own, every sum goes over keys in order, and a key that a row does not
 * see adds an exact zero.
 */
#include <cmath>

#include "blocks.h"
#include "kernels.h"

namespace parley {
namespace PARLEY_ISA {

/** Keys to a block: scores of 6 rows are 1.5 KiB, packed keys of size 64 are 16 KiB. A multiple of BLOCK_COLUMNS. */
constexpr int64_t KEYS = 64;
/** Most rows that share what a chunk packs of the keys: a multiple of BLOCK_ROWS. */
constexpr int64_t LARGEST_TILE = 96;

static_assert(
    sizeof(float) * (BLOCK_ROWS * KEYS + 2 * LARGEST_TILE + (2 * LARGEST_TILE + 2 * KEYS) * LARGEST_HEAD) <= SCRATCH_BYTES,
    "the largest tile fits the scratch memory");

namespace {

struct Work {
  float* out;
  float* logSumExp;
  const float* q;
  const float* k;
  const float* v;
  const int32_t* sequences;
  int64_t sequenceCount, heads, keyHeads, size, group;
  bool causal;
  int64_t window;
  float scale;
  int64_t tileRows, tiles;
};

/**
 * Turns a row's scores into exp(score − m), m the largest up to now, and zeros from `visible` to `reach`; moves what the row has
 * summed before to the new m, and adds the new ones to its total.
 */
inline void updateSoftmax(float* scores, int64_t visible, int64_t reach, float& largest, float& total, float* sums, int64_t wide) {
  if (visible == 0) {
    for (int64_t j = 0; j < reach; j++) scores[j] = 0;
    return;
  }
  const int64_t end = roundUp(visible, LANES);
  for (int64_t j = end; j < reach; j++) scores[j] = 0;
  for (int64_t j = visible; j < end; j++) scores[j] = -INFINITY;

  Float most = splat(-INFINITY);
  for (int64_t j = 0; j < end; j += LANES) most = max(load(scores + j), most);
  const float before = largest;
  const float now = maxLanes(most);
  const float m = now > before ? now : before;
  const Float shift = splat(m);
  Float sum = splat(0);
  for (int64_t j = 0; j < end; j += LANES) {
    const Float p = expToOne(load(scores + j) - shift);
    store(scores + j, p);
    sum = sum + p;
  }
  if (m != before) {
    const float shrink = expToOne(splat(before - m))[0];
    total *= shrink;
    scaleRow(sums, sums, wide, shrink);
    largest = m;
  }
  total += sumLanes(sum);
}

void attendTile(const Work& work, int64_t chunk, char* scratch) {
  // The last tiles first: where attention is causal they see the most keys.
  const int64_t pairs = work.sequenceCount * work.keyHeads;
  const int64_t pair = chunk % pairs;
  const int64_t tile = work.tiles - 1 - chunk / pairs;
  const int64_t keyHead = pair % work.keyHeads;
  const Span span = spanOf(work.sequences + pair / work.keyHeads * 4);
  const int64_t group = work.group, size = work.size, tileRows = work.tileRows;
  const int64_t firstRow = tile * tileRows;
  if (firstRow >= span.queryLength * group) return;
  const int64_t count = least(tileRows, span.queryLength * group - firstRow);
  const int64_t past = span.keyLength - span.queryLength;
  /** How many keys, from the sequence's first, a row of the tile sees. */
  const auto visibleTo = [&](int64_t r) { return work.causal ? past + (firstRow + r) / group + 1 : span.keyLength; };
  /** How many of these are before its window. */
  const auto hiddenTo = [&](int64_t r) { return work.window == 0 ? 0 : most(0, visibleTo(r) - work.window); };
  /** Where a row of the tile is in q and out as (N·H, D). */
  const auto rowOf = [&](int64_t r) {
    return (span.queryStart + (firstRow + r) / group) * work.heads + keyHead * group + (firstRow + r) % group;
  };

  const int64_t wide = roundUp(size, LANES);
  float* const scores = reinterpret_cast<float*>(scratch);  // (BLOCK_ROWS, KEYS)
  float* const largest = scores + BLOCK_ROWS * KEYS;        // (rows)
  float* const totals = largest + LARGEST_TILE;             // (rows)
  float* const sums = totals + LARGEST_TILE;                // (rows, D in vectors)
  float* const keys = sums + tileRows * wide;               // (KEYS / BLOCK_COLUMNS, D, BLOCK_COLUMNS)
  float* const values = keys + KEYS * size;                 // (KEYS, D in vectors), where D is not a multiple of LANES
  float* const queries = values + KEYS * wide;              // (rows, D), times scale

  for (int64_t r = 0; r < count; r++) {
    scaleRow(queries + r * size, work.q + rowOf(r) * size, size, work.scale);
    largest[r] = -INFINITY;
    totals[r] = 0;
  }
  memset(sums, 0, sizeof(float) * static_cast<size_t>(count * wide));

  const int64_t keyStride = work.keyHeads * size;
  const int64_t seen = visibleTo(count - 1);
  for (int64_t j = hiddenTo(0) / KEYS * KEYS; j < seen; j += KEYS) {
    const int64_t width = least(KEYS, seen - j);
    const int64_t offset = (span.keyStart + j) * keyStride + keyHead * size;
    packColumns(work.k + offset, keyStride, size, width, keys);
    const float* v = work.v + offset;
    int64_t vStride = keyStride;
    if (wide != size) {
      for (int64_t n = 0; n < width; n++) {
        memset(values + n * wide + wide - LANES, 0, sizeof(Float));
        copyRow(values + n * wide, v + n * keyStride, size);
      }
      v = values;
      vStride = wide;
    }
    for (int64_t r = 0; r < count; r += BLOCK_ROWS) {
      const int64_t rows = least(BLOCK_ROWS, count - r);
      // Keys of this block that the strip's last row sees; the others see no more.
      const int64_t reach = least(width, visibleTo(r + rows - 1) - j);
      if (reach <= 0) continue;
      multiplyRows<false>(
          rows, {queries + r * size, size, 1}, keys, BLOCK_COLUMNS, size * BLOCK_COLUMNS, ceilDiv(reach, LANES), size, scores, KEYS);
      for (int64_t i = 0; i < rows; i++) {
        int64_t visible = most(0, least(reach, visibleTo(r + i) - j));
        const int64_t hidden = hiddenTo(r + i) - j;
        if (hidden >= visible) visible = 0;
        else for (int64_t n = 0; n < hidden; n++) scores[i * KEYS + n] = -INFINITY;
        updateSoftmax(scores + i * KEYS, visible, reach, largest[r + i], totals[r + i], sums + (r + i) * wide, wide);
      }
      multiplyRows<true>(rows, {scores, KEYS, 1}, v, vStride, BLOCK_COLUMNS, wide / LANES, reach, sums + r * wide, wide);
    }
  }

  for (int64_t r = 0; r < count; r++) {
    const int64_t row = rowOf(r);
    scaleRow(work.out + row * size, sums + r * wide, size, 1 / totals[r]);
    if (work.logSumExp != nullptr) work.logSumExp[row] = largest[r] + std::log(totals[r]);
  }
}

}  // namespace

void attention(const AttentionArguments& args, Pool& pool) {
  if (args.maxQueryLength == 0) return;
  Work work = {args.out, args.logSumExp, args.q, args.k, args.v, args.sequences, args.sequenceCount, args.heads, args.keyHeads,
               args.headSize, 0, args.causal != 0, args.window, args.scale, 0, 0};
  work.group = work.heads / work.keyHeads;
  const int64_t rows = args.maxQueryLength * work.group;
  work.tileRows = least(LARGEST_TILE, roundUp(rows, BLOCK_ROWS));
  work.tiles = ceilDiv(rows, work.tileRows);
  parallelFor(pool, work.sequenceCount * work.keyHeads * work.tiles, [&work](uint32_t chunk, char* scratch) {
    attendTile(work, chunk, scratch);
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
