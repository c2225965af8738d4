/**
 * The f32 matrix product: out (M, N) = op(a) (M, K) · op(b) (K, N), in the manner of Goto and van de Geijn (2008).
 *
 * Registers hold a block of ROWS × COLUMNS of out while k passes. Both operands are packed for that: `a` in panels of up to ROWS
 * rows, `b` in panels of COLUMNS columns, each with k as its outer order, so that a block reads two streams. K is cut into parts
 * of `depth`, which are summed in registers, in order, and then added to out, in order: an element's bits depend on its row of
 * `a`, its column of `b` and K, and on nothing else: not on M, not on the tiles, not on the threads.
 *
 * Two ways to cut the work. Few rows: `a` is packed once, and each chunk packs the columns of `b` it uses, which nobody else does.
 * Many rows: `b` is packed once, and each chunk, a tile of out, packs its rows of `a` into its second-level cache.
 */
#include "kernels.h"
#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** The register block: ROWS · VECTORS sums, VECTORS of b and one of a fit into the registers. */
#if defined(__AVX512F__)
constexpr int64_t ROWS = 14, VECTORS = 2;
#elif defined(__AVX2__)
constexpr int64_t ROWS = 6, VECTORS = 2;
#elif defined(__aarch64__)
constexpr int64_t ROWS = 8, VECTORS = 3;
#else
constexpr int64_t ROWS = 4, VECTORS = 3;
#endif
constexpr int64_t COLUMNS = VECTORS * LANES;

/** Most of k summed in registers at a time: panels of `a` then stay in the first-level cache. */
constexpr int64_t LARGEST_DEPTH = 384;
/** A tile's rows of `a`, 215 KB, and its part of out, 430 KB, stay in a second-level cache of 1 MB and more. */
constexpr int64_t LARGEST_TILE_ROWS = 140, LARGEST_TILE_COLUMNS = 768;
/** Panels of `b` that are packed at a time: its rows, where k is their outer order, are then read a kilobyte at a time. */
constexpr int64_t PACKED_PANELS = 8;
/** How many steps of k ahead of its use a line of a panel of b is asked for. */
constexpr int64_t STEPS_AHEAD = 12;
/** Up to so many rows are "few". */
constexpr int64_t FEW_ROWS = LARGEST_TILE_ROWS;
/** What keeps threads evenly busy where one of them is slowed down. */
constexpr int64_t CHUNKS_PER_THREAD = 4;
/** Rows of `a` are packed for so many panels at least. */
constexpr int64_t SMALLEST_TILE_PANELS = 6;

/** `extent` cut into as few parts of at most `largest` as there can be, of much the same size. */
struct Parts {
  int64_t extent, count;
  INLINE_MEMBER int64_t start(int64_t part) const { return extent * part / count; }
  INLINE_MEMBER int64_t size(int64_t part) const { return start(part + 1) - start(part); }
};
INLINE Parts evenParts(int64_t extent, int64_t largest) { return {extent, most(1, ceilDiv(extent, largest))}; }

/** K cut into parts, the same for every product with this K. They start on whole cache lines of a row. */
struct Depths {
  int64_t K;
  Parts lines;
  INLINE_MEMBER int64_t count() const { return lines.count; }
  INLINE_MEMBER int64_t start(int64_t part) const { return least(K, lines.start(part) * LINE); }
  INLINE_MEMBER int64_t size(int64_t part) const { return start(part + 1) - start(part); }
  static constexpr int64_t LINE = 16;
};
INLINE Depths depthsOf(int64_t K) { return {K, evenParts(ceilDiv(K, Depths::LINE), LARGEST_DEPTH / Depths::LINE)}; }

/** How many rows ahead of their use the rows of a matrix that is read down its columns are asked for. */
constexpr int64_t ROWS_AHEAD = 6;
INLINE void prefetch(const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i);
}

struct Matrix {
  const float* data;
  /** Elements from one row as stored to the next. */
  int64_t stride;
  bool transposed;
};

/**
 * The rows first…first + panels.extent of `a`, packed: a panel of up to ROWS rows after the other, each [k][rows]. `k`, `depth`:
 * the part of k.
 */
INLINE void packRows(const Matrix& a, int64_t first, const Parts& panels, int64_t k, int64_t depth, float* to) {
  if (a.transposed) {
    // Along the rows as they are stored, which is what the memory likes; each leaves a piece in every panel.
    const float* from = a.data + k * a.stride + first;
    int32_t starts[LARGEST_TILE_ROWS + 1];
    for (int64_t p = 0; p <= panels.count; p++) starts[p] = static_cast<int32_t>(panels.start(p));
    for (int64_t i = 0; i < depth; i++, from += a.stride) {
      // What a whole vector reads beyond these rows lies in the next row, if there is one.
      const bool readable = i + 1 < depth && a.stride >= LANES;
      if (i + ROWS_AHEAD < depth) prefetch(from + ROWS_AHEAD * a.stride, panels.extent);
      for (int64_t p = 0; p < panels.count; p++) {
        const int64_t start = starts[p], rows = starts[p + 1] - start;
        float* const target = to + start * depth + i * rows;
        for (int64_t r = 0; r < rows; r += LANES) {
          // What a whole vector writes beyond these rows, within the panel, is overwritten with the next k.
          const int64_t room = (depth - i) * rows - r, count = least(LANES, rows - r);
          if (readable && room >= LANES) store(target + r, load(from + start + r));
          else store(target + r, load(from + start + r, count), count);
        }
      }
    }
    return;
  }
  for (int64_t p = 0; p < panels.count; p++) {
    const int64_t start = panels.start(p), rows = panels.size(p);
    for (int64_t r = 0; r < rows; r += LANES) {
      const int64_t count = least(LANES, rows - r);
      const float* const from = a.data + (first + start + r) * a.stride + k;
      float* const target = to + start * depth + r;
      for (int64_t i = 0; i < depth; i += LANES) {
        const int64_t width = least(LANES, depth - i);
        Float block[LANES];
#pragma GCC unroll 16
        for (int64_t j = 0; j < LANES; j++) {
          if (j >= count) block[j] = splat(0);
          else block[j] = width == LANES ? load(from + j * a.stride + i) : load(from + j * a.stride + i, width);
        }
        transposeLanes(block);
        float* const square = target + i * rows;
        if (rows <= LANES && (i + LANES - 1) * rows + LANES <= depth * rows) {
          // What is written beyond these rows, within the panel, is overwritten with the next k.
#pragma GCC unroll 16
          for (int64_t j = 0; j < LANES; j++) store(square + j * rows, block[j]);
        } else {
#pragma GCC unroll 16
          for (int64_t j = 0; j < LANES; j++) {
            if (j < width) store(square + j * rows, block[j], count);
          }
        }
      }
    }
  }
}

/** One panel of up to COLUMNS columns of a `b` that is stored (N, K). */
INLINE void packTransposedPanel(const Matrix& b, int64_t first, int64_t columns, int64_t k, int64_t depth, float* to) {
  for (int64_t c = 0; c < COLUMNS; c += LANES) {
    const int64_t count = most(0, least(LANES, columns - c));
    const float* const from = b.data + (first + c) * b.stride + k;
    for (int64_t i = 0; i < depth; i += LANES) {
      const int64_t width = least(LANES, depth - i);
      Float block[LANES];
      if (count == LANES && width == LANES) {
#pragma GCC unroll 16
        for (int64_t j = 0; j < LANES; j++) block[j] = load(from + j * b.stride + i);
      } else {
        for (int64_t j = 0; j < LANES; j++) block[j] = j < count ? load(from + j * b.stride + i, width) : splat(0);
      }
      transposeLanes(block);
      float* const target = to + i * COLUMNS + c;
      if (width == LANES) {
#pragma GCC unroll 16
        for (int64_t j = 0; j < LANES; j++) store(target + j * COLUMNS, block[j]);
      } else {
        for (int64_t j = 0; j < width; j++) store(target + j * COLUMNS, block[j]);
      }
    }
  }
}

/**
 * `columns` columns of `b` from the first on, packed: a panel of COLUMNS after the other, each [k][COLUMNS] with zeros past the
 * last column. `k`, `depth`: the part of k.
 */
INLINE void packColumns(const Matrix& b, int64_t first, int64_t columns, int64_t k, int64_t depth, float* to) {
  if (!b.transposed) {
    // Along the rows as they are stored, which is what the memory likes; each leaves a piece in every panel.
    const float* from = b.data + k * b.stride + first;
    for (int64_t i = 0; i < depth; i++, from += b.stride, to += COLUMNS) {
      if (i + ROWS_AHEAD < depth) prefetch(from + ROWS_AHEAD * b.stride, columns);
      float* target = to;
      int64_t c = 0;
      for (; c + COLUMNS <= columns; c += COLUMNS, target += depth * COLUMNS) {
#pragma GCC unroll 4
        for (int64_t j = 0; j < COLUMNS; j += LANES) store(target + j, load(from + c + j));
      }
      if (c == columns) continue;
      for (int64_t j = 0; j < COLUMNS; j += LANES) {
        const int64_t count = most(0, least(LANES, columns - c - j));
        store(target + j, count == 0 ? splat(0) : load(from + c + j, count));
      }
    }
    return;
  }
  for (int64_t c = 0; c < columns; c += COLUMNS, to += depth * COLUMNS) {
    packTransposedPanel(b, first + c, least(COLUMNS, columns - c), k, depth, to);
  }
}

/** What becomes of a block's sums. */
struct Target {
  float* out;
  int64_t stride;
  /** Columns of the block that exist. */
  int64_t columns;
  /** Added to, or overwritten (with the bias, if there is one, added). */
  bool add;
  const float* bias;
};

/** What `multiplyBlock` does with its sums, where not all columns of the block exist. */
__attribute__((noinline)) void storeEdge(int64_t rows, int64_t width, const float* sums, const Target& target) {
  for (int64_t r = 0; r < rows; r++) {
    float* const out = target.out + r * target.stride;
    forLanes(target.columns, [&](int64_t i, auto part) ALWAYS {
      const Float sum = load(sums + r * width + i, part);
      if (target.add) store(out + i, load(out + i, part) + sum, part);
      else store(out + i, target.bias != nullptr ? sum + load(target.bias + i, part) : sum, part);
    });
  }
}

/** a [depth][R] · b [depth][COLUMNS], of which V vectors. */
template <int64_t R, int64_t V>
void multiplyBlock(int64_t depth, const float* a, const float* b, const Target& target) {
  Float sums[R][V];
#pragma GCC unroll 16
  for (int64_t r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < V; j++) sums[r][j] = splat(0);
  }
  // Sums are added to lines of out that nobody has touched for long.
#pragma GCC unroll 16
  for (int64_t r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < V * LANES; j += 16) __builtin_prefetch(target.out + r * target.stride + j, 1);
  }
  for (int64_t k = 0; k < depth; k++) {
    Float columns[V];
#pragma GCC unroll 4
    for (int64_t j = 0; j < V; j++) columns[j] = load(b + j * LANES);
    // A panel of b does not fit the first-level cache beside one of a.
#pragma GCC unroll 4
    for (int64_t j = 0; j < V * LANES; j += 16) __builtin_prefetch(b + STEPS_AHEAD * COLUMNS + j);
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; r++) {
      const Float row = splat(a[r]);
#pragma GCC unroll 4
      for (int64_t j = 0; j < V; j++) sums[r][j] = fma(row, columns[j], sums[r][j]);
    }
    a += R;
    b += COLUMNS;
  }
  if (target.columns != V * LANES) {
    float edge[R * V * LANES];
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; r++) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < V; j++) store(edge + (r * V + j) * LANES, sums[r][j]);
    }
    storeEdge(R, V * LANES, edge, target);
    return;
  }
  float* out = target.out;
#pragma GCC unroll 16
  for (int64_t r = 0; r < R; r++, out += target.stride) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < V; j++) {
      float* const to = out + j * LANES;
      if (target.add) store(to, load(to) + sums[r][j]);
      else store(to, target.bias != nullptr ? sums[r][j] + load(target.bias + j * LANES) : sums[r][j]);
    }
  }
}

using Block = void (*)(int64_t depth, const float* a, const float* b, const Target& target);
template <int64_t V>
struct Blocks {
  /** By the number of rows, from 1. */
  Block ofRows[ROWS + 1];
  template <int64_t R = 1>
  constexpr void add() {
    ofRows[R] = multiplyBlock<R, V>;
    if constexpr (R < ROWS) add<R + 1>();
  }
  constexpr Blocks() : ofRows() { add(); }
};
constexpr Blocks<VECTORS> WIDE;
constexpr Blocks<1> NARROW;

/** One panel of `a` with one of `b`. */
INLINE void multiplyPanels(int64_t rows, int64_t depth, const float* a, const float* b, const Target& target) {
  const Block block = target.columns <= LANES ? NARROW.ofRows[rows] : WIDE.ofRows[rows];
  block(depth, a, b, target);
}

struct Product {
  Matrix a, b;
  float* out;
  const float* bias;
  int64_t M, N, K;
  bool accumulate;
  Depths depths;

  INLINE_MEMBER Target target(int64_t row, int64_t column, int64_t part) const {
    return {out + row * N + column, N, least(COLUMNS, N - column), accumulate || part > 0, bias == nullptr ? nullptr : bias + column};
  }
};

void fewRows(const Product& p, Pool& pool) {
  const Parts panels = evenParts(p.M, ROWS);
  // One row is packed as it is.
  float* packed = nullptr;
  const bool direct = p.M == 1 && !p.a.transposed;
  if (!direct) {
    packed = reinterpret_cast<float*>(pool.workspace(static_cast<size_t>(p.M * p.K * 4)));
    if (packed == nullptr) return;
    parallelFor(pool, p.depths.count(), [&](uint32_t part, char*) {
      const int64_t k = p.depths.start(part), depth = p.depths.size(part);
      packRows(p.a, 0, panels, k, depth, packed + p.M * k);
    });
  }
  parallelFor(pool, ceilDiv(p.N, COLUMNS), [&](uint32_t chunk, char* scratch) {
    float* const b = reinterpret_cast<float*>(scratch);
    const int64_t column = chunk * COLUMNS;
    for (int64_t part = 0; part < p.depths.count(); part++) {
      const int64_t k = p.depths.start(part), depth = p.depths.size(part);
      packColumns(p.b, column, least(COLUMNS, p.N - column), k, depth, b);
      const float* const a = direct ? p.a.data + k : packed + p.M * k;
      for (int64_t i = 0; i < panels.count; i++) {
        multiplyPanels(panels.size(i), depth, a + panels.start(i) * depth, b, p.target(panels.start(i), column, part));
      }
    }
  });
}

/** How out is cut into tiles: parts of the rows, and of the panels of columns. */
struct Tiling {
  Parts rows, columns;
};
INLINE Tiling tilingOf(int64_t M, int64_t N, int64_t threads) {
  const int64_t panels = ceilDiv(N, COLUMNS);
  int64_t tileRows = LARGEST_TILE_ROWS, tilePanels = LARGEST_TILE_COLUMNS / COLUMNS;
  for (;;) {
    Tiling tiling = {evenParts(M, tileRows), evenParts(panels, tilePanels)};
    if (tiling.rows.count * tiling.columns.count >= CHUNKS_PER_THREAD * threads || (tileRows <= ROWS * 3 && tilePanels <= SMALLEST_TILE_PANELS)) {
      // Tiles take much the same time: as many for each thread.
      if (threads > 1 && tiling.rows.count * tiling.columns.count % threads != 0 && tiling.rows.count > threads) {
        tiling.rows.count = roundUp(tiling.rows.count, threads);
      }
      return tiling;
    }
    if (tilePanels > SMALLEST_TILE_PANELS && tilePanels * COLUMNS >= 2 * tileRows) tilePanels = most(SMALLEST_TILE_PANELS, (tilePanels + 1) / 2);
    else tileRows /= 2;
  }
}

void manyRows(const Product& p, Pool& pool) {
  const int64_t panels = ceilDiv(p.N, COLUMNS), width = panels * COLUMNS;
  float* const packed = reinterpret_cast<float*>(pool.workspace(static_cast<size_t>(width * p.K * 4)));
  if (packed == nullptr) return;
  const Depths depths = p.depths;
  const Parts groups = evenParts(panels, PACKED_PANELS);
  parallelFor(pool, groups.count * depths.count(), [&](uint32_t chunk, char*) {
    const int64_t part = chunk / groups.count, group = chunk % groups.count;
    const int64_t k = depths.start(part), depth = depths.size(part), column = groups.start(group) * COLUMNS;
    packColumns(p.b, column, least(groups.size(group) * COLUMNS, p.N - column), k, depth, packed + k * width + column * depth);
  });
  const Tiling tiling = tilingOf(p.M, p.N, pool.threads());
  parallelFor(pool, tiling.rows.count * tiling.columns.count, [&](uint32_t chunk, char* scratch) {
    float* const a = reinterpret_cast<float*>(scratch);
    const int64_t tileRow = chunk % tiling.rows.count, tileColumn = chunk / tiling.rows.count;
    const int64_t firstRow = tiling.rows.start(tileRow);
    const Parts rows = evenParts(tiling.rows.size(tileRow), ROWS);
    for (int64_t part = 0; part < depths.count(); part++) {
      const int64_t k = depths.start(part), depth = depths.size(part);
      packRows(p.a, firstRow, rows, k, depth, a);
      for (int64_t panel = tiling.columns.start(tileColumn); panel < tiling.columns.start(tileColumn + 1); panel++) {
        const int64_t column = panel * COLUMNS;
        const float* const b = packed + k * width + column * depth;
        for (int64_t i = 0; i < rows.count; i++) {
          multiplyPanels(rows.size(i), depth, a + rows.start(i) * depth, b, p.target(firstRow + rows.start(i), column, part));
        }
      }
    }
  });
}

}  // namespace

void matmul(const MatmulArguments& args, Pool& pool) {
  const int64_t M = args.M, N = args.N, K = args.K;
  const bool transposeA = args.transposeA != 0, transposeB = args.transposeB != 0;
  if (M == 0 || N == 0) return;
  const Product product = {
      {args.a, transposeA ? M : K, transposeA},
      {args.b, transposeB ? K : N, transposeB},
      args.out, args.bias, M, N, K, args.accumulate != 0,
      depthsOf(K),
  };
  if (M <= FEW_ROWS) fewRows(product, pool);
  else manyRows(product, pool);
}

}  // namespace PARLEY_ISA
}  // namespace parley
