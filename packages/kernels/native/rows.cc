/** Rows that move, and sums over rows. */
#include "kernels.h"
#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Columns to a chunk where chunks are slices of the columns: whole cache lines, and few enough to sum in registers. */
constexpr int64_t SLICE = 64;

}  // namespace

void scatterRows(const ScatterRowsArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  const int32_t* const rows = args.rows;
  const int64_t count = args.count, columns = args.columns, grain = rowGrain(columns * 4);
  parallelFor(pool, ceilDiv(count, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(count, n + grain); n < end; n++) {
      std::memcpy(out + rows[n] * columns, x + n * columns, columns * 4);
    }
  });
}

void gatherRows(const GatherRowsArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  const int32_t* const rows = args.rows;
  const int64_t count = args.count, columns = args.columns, grain = rowGrain(columns * 4);
  parallelFor(pool, ceilDiv(count, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(count, n + grain); n < end; n++) {
      std::memcpy(out + n * columns, x + rows[n] * columns, columns * 4);
    }
  });
}

void gatherRowsBackward(const GatherRowsBackwardArguments& args, Pool& pool) {
  float* const dTable = args.dTable;
  const float* const dOut = args.dOut;
  const int32_t* const ids = args.ids;
  const int64_t count = args.count, columns = args.columns;
  // Rows may repeat: a thread has some of the columns of all of them.
  parallelFor(pool, ceilDiv(columns, SLICE), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * SLICE, width = least(SLICE, columns - first);
    for (int64_t n = 0; n < count; n++) {
      float* const to = dTable + ids[n] * columns + first;
      const float* const from = dOut + n * columns + first;
      forLanes(width, [&](int64_t i, auto part) ALWAYS { store(to + i, load(to + i, part) + load(from + i, part), part); });
    }
  });
}

void sumRows(const SumRowsArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  const int64_t rows = args.rows, columns = args.columns;
  parallelFor(pool, ceilDiv(columns, SLICE), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * SLICE, width = least(SLICE, columns - first);
    if (width == SLICE) {
      Float sums[SLICE / LANES];
      for (Float& sum : sums) sum = splat(0);
      for (int64_t n = 0; n < rows; n++) {
        const float* const row = x + n * columns + first;
#pragma GCC unroll 16
        for (int64_t j = 0; j < SLICE / LANES; j++) sums[j] += load(row + j * LANES);
      }
      for (int64_t j = 0; j < SLICE / LANES; j++) {
        float* const to = out + first + j * LANES;
        store(to, load(to) + sums[j]);
      }
      return;
    }
    forLanes(width, [&](int64_t i, auto part) ALWAYS {
      Float sum = splat(0);
      for (int64_t n = 0; n < rows; n++) sum += load(x + n * columns + first + i, part);
      store(out + first + i, load(out + first + i, part) + sum, part);
    });
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
