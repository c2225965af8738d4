/**
 * Products of activations in int8 with weights in q4 or q8 (layout: quantized.h).
 *
 * Activations are quantized first, into tiles of 16 (where vectors have 16 lanes), 8, 4, 2 or 1 tokens. A block of 32 columns of
 * a tile of T tokens is, in bytes:
 *
 *     32·T codes   [token][column], signed −127…127, so that one 32-bit load gives every lane a token's four columns
 *      4·T scales  [token]
 *      4·T sums    [token]: −zero · Σ codes, what the products with unsigned weights start from to come out signed
 *
 * That is 40 bytes a token, so the tile of token t starts at byte 40·t·blocks. Within a block everything is whole numbers; a
 * row's blocks are summed in f32 from first to last, by the same instructions for every size of tile, so that a token's result
 * does not depend on its company.
 *
 * A block's weights are unpacked into registers once for all tokens of a tile, and the tokens' chains of dot products run four
 * side by side: one after the other they fill the scheduler with waiting instructions. 2.7 GHz Xeon, one thread, q4, 256 tokens:
 * 205 billion products a second of 234 that the two vector ports allow; 188 with two chains, 176 with one.
 */
#include "kernels.h"
#include "quantized.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Bytes a token takes in each block of a tile. */
constexpr int64_t TOKEN_BLOCK = 40;
constexpr int64_t LARGEST_TILE = LANES == 16 ? 16 : 4;
/** Tokens quantized at a time: at 1536 columns 1 MB, which stays in the second-level cache. */
constexpr int64_t SLAB = 512;
/** Vectors that a line of 16 rows takes. */
constexpr int PARTS = GROUP / LANES;
/** Vectors of sums of a product with one token: groups of weights read side by side, so as many streams of memory. */
constexpr int SINGLE_VECTORS = 4;
/**
 * Bytes ahead of its use that weights are asked for: where the processor's own prefetching stops, at the end of a page, this
 * goes on. One thread from memory: 15 GB/s without, 25 with 1, 2 or 4 KB and four streams.
 */
constexpr int64_t AHEAD = 4096;
/** The most weights to a chunk, in bytes, which stay in the second-level cache for all tokens, and the least worth handing out. */
constexpr int64_t LARGEST_CHUNK = 128 << 10;
constexpr int64_t SMALLEST_CHUNK = 16 << 10;

/** Whether the dot product takes weights up to 255 as they are. Otherwise q8 is made signed, and its sums do not start lower. */
#if defined(__AVX512VNNI__) || defined(PARLEY_DOT_AVXVNNI) || !defined(__AVX2__)
constexpr bool UNSIGNED_WEIGHTS = true;
#else
constexpr bool UNSIGNED_WEIGHTS = false;
#endif

/** The tile that the next of `left` tokens are in. One too large by a token is faster than two. */
INLINE int64_t tileSize(int64_t left) {
  if (LARGEST_TILE == 16 && left >= 15) return 16;
  if (LARGEST_TILE == 16 && left >= 7) return 8;
  return left >= 3 ? 4 : left;
}

INLINE Int splatAt(const uint8_t* p) {
  int32_t x;
  memcpy(&x, p, 4);
  return splatInt(x);
}
INLINE float floatAt(const uint8_t* p) {
  float x;
  memcpy(&x, p, 4);
  return x;
}

/** A block's weights of one vector of rows, four columns to a lane. */
template <int BITS>
INLINE void unpack(const uint8_t* w, Int weights[8]) {
  constexpr int LINES = codeLines(BITS);
#pragma GCC unroll 8
  for (int j = 0; j < LINES; j++) {
    const Int line = loadInt(reinterpret_cast<const int32_t*>(w + j * LINE));
    if (BITS == 4) {
      weights[2 * j] = line & splatInt(0x0f0f0f0f);
      weights[2 * j + 1] = line >> 4 & splatInt(0x0f0f0f0f);
    } else {
      weights[j] = line;
#if defined(__AVX2__) && !defined(__AVX512F__)
      if (!UNSIGNED_WEIGHTS) weights[j] = (Int)_mm256_sub_epi8((__m256i)line, _mm256_set1_epi8(ZERO8));
#endif
    }
  }
}

/** sums[q] += Σ weights · the 32 codes at a + 32·q, exact. */
template <int BITS, int Q>
INLINE void dot(const Int weights[8], const uint8_t* a, Int sums[Q]) {
#if defined(__AVX512VNNI__)
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
      sums[q] = (Int)_mm512_dpbusd_epi32((__m512i)sums[q], (__m512i)weights[j], (__m512i)splatAt(a + 32 * q + 4 * j));
      // Keeps the chains side by side, as they are written.
      asm("" : "+v"(sums[q]));
    }
  }
#elif defined(PARLEY_DOT_AVXVNNI)
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
      sums[q] = (Int)_mm256_dpbusd_avx_epi32((__m256i)sums[q], (__m256i)weights[j], (__m256i)splatAt(a + 32 * q + 4 * j));
      asm("" : "+x"(sums[q]));
    }
  }
#elif defined(__AVX2__)
#pragma GCC unroll 4
  for (int q = 0; q < Q; q++) {
    const __m256i ones = _mm256_set1_epi16(1);
    if (BITS == 4) {
      // Two products are at most 2·15·127 in magnitude: eight times that is an i16.
      __m256i words = _mm256_maddubs_epi16((__m256i)weights[0], (__m256i)splatAt(a + 32 * q));
#pragma GCC unroll 8
      for (int j = 1; j < 8; j++) {
        words = _mm256_add_epi16(words, _mm256_maddubs_epi16((__m256i)weights[j], (__m256i)splatAt(a + 32 * q + 4 * j)));
      }
      sums[q] += (Int)_mm256_madd_epi16(words, ones);
    } else {
      // |w| · sign(w)·a: two products are at most 2·127·127, an i16.
#pragma GCC unroll 8
      for (int j = 0; j < 8; j++) {
        const __m256i w = (__m256i)weights[j];
        const __m256i words = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8((__m256i)splatAt(a + 32 * q + 4 * j), w));
        sums[q] += (Int)_mm256_madd_epi16(words, ones);
      }
    }
  }
#elif defined(__SSE2__)
  // Products of 16 bits: the bytes at even places, and those at odd ones.
  for (int q = 0; q < Q; q++) {
    for (int j = 0; j < 8; j++) {
      const __m128i w = (__m128i)weights[j], x = (__m128i)splatAt(a + 32 * q + 4 * j);
      const __m128i even = _mm_madd_epi16(_mm_srai_epi16(_mm_slli_epi16(x, 8), 8), _mm_and_si128(w, _mm_set1_epi16(255)));
      const __m128i odd = _mm_madd_epi16(_mm_srai_epi16(x, 8), _mm_srli_epi16(w, 8));
      sums[q] += (Int)_mm_add_epi32(even, odd);
    }
  }
#else
  typedef uint32_t Unsigned __attribute__((vector_size(LANES * 4)));
  for (int q = 0; q < Q; q++) {
    for (int j = 0; j < 8; j++) {
      const Int x = splatAt(a + 32 * q + 4 * j);
      const Unsigned w = (Unsigned)weights[j];
      for (int byte = 0; byte < 4; byte++) sums[q] += (Int)(w >> 8 * byte & 255) * (x << (24 - 8 * byte) >> 24);
    }
  }
#endif
}

struct Work {
  float* out;
  const uint8_t* w;
  const uint8_t* tiles;
  const float* bias;
  int64_t tokens, rows, blocks;
};

/**
 * Groups `group`, group + apart, … (STREAMS of them) of the weights with the tile at `token`: out = product + bias. Of each
 * group the rows of vectors `part` to part + AT_ONCE.
 */
template <int BITS, int T, int STREAMS, int AT_ONCE>
INLINE void multiplyBlock(const Work& work, int64_t group, int64_t apart, int part, int64_t token) {
  constexpr int Q = T < 4 ? T : LANES == 16 ? 4 : 2;
  constexpr int LINES = codeLines(BITS);
  const int64_t groupBytes = work.blocks * blockBytes(BITS);
  const uint8_t* w = work.w + group * groupBytes + part * LANES * 4;
  const uint8_t* a = work.tiles + token * work.blocks * TOKEN_BLOCK;
  Float sums[STREAMS][AT_ONCE][T];
#pragma GCC unroll 4
  for (int s = 0; s < STREAMS; s++) {
#pragma GCC unroll 4
    for (int v = 0; v < AT_ONCE; v++) {
#pragma GCC unroll 16
      for (int t = 0; t < T; t++) sums[s][v][t] = splat(0);
    }
  }
  // What is written is asked for before the work that it waits for.
  const int64_t present = work.tokens - token;
  if (T >= 4) {
    const float* out = work.out + token * work.rows + group * GROUP;
    for (int64_t t = 0; t < least(T, present); t++) __builtin_prefetch(out + t * work.rows, 1);
  }
  for (int64_t b = 0; b < work.blocks; b++, w += blockBytes(BITS), a += T * TOKEN_BLOCK) {
#pragma GCC unroll 4
    for (int s = 0; s < STREAMS; s++) {
      const uint8_t* stream = w + s * apart * groupBytes;
#pragma GCC unroll 9
      for (int j = 0; j <= LINES; j++) __builtin_prefetch(stream + j * LINE + AHEAD);
#pragma GCC unroll 4
      for (int v = 0; v < AT_ONCE; v++) {
        const uint8_t* vector = stream + v * LANES * 4;
        Int weights[8];
        unpack<BITS>(vector, weights);
        const Float scales = load(reinterpret_cast<const float*>(vector + LINES * LINE));
#pragma GCC unroll 16
        for (int t = 0; t < T; t += Q) {
          Int products[Q];
#pragma GCC unroll 4
          for (int q = 0; q < Q; q++) products[q] = BITS == 4 || UNSIGNED_WEIGHTS ? splatAt(a + 36 * T + 4 * (t + q)) : splatInt(0);
          dot<BITS, Q>(weights, a + 32 * t, products);
#pragma GCC unroll 4
          for (int q = 0; q < Q; q++) {
            const Float scale = scales * splat(floatAt(a + 32 * T + 4 * (t + q)));
            sums[s][v][t + q] = fma(__builtin_convertvector(products[q], Float), scale, sums[s][v][t + q]);
          }
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int s = 0; s < STREAMS; s++) {
#pragma GCC unroll 4
    for (int v = 0; v < AT_ONCE; v++) {
      const int64_t row = (group + s * apart) * GROUP + (part + v) * LANES;
      const int64_t count = work.rows - row;
      float* out = work.out + token * work.rows + row;
      if (count >= LANES) {
        const Float bias = work.bias == nullptr ? splat(0) : load(work.bias + row);
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) {
          if (t < present) store(out + t * work.rows, sums[s][v][t] + bias);
        }
      } else if (count > 0) {
        const Float bias = work.bias == nullptr ? splat(0) : load(work.bias + row, count);
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) {
          if (t < present) store(out + t * work.rows, sums[s][v][t] + bias, count);
        }
      }
    }
  }
}

/** Groups start…end of the weights with the tile at `token`. */
template <int BITS, int T>
void multiplyTile(const Work& work, int64_t start, int64_t end, int64_t token) {
  for (int64_t group = start; group < end; group++) {
    for (int part = 0; part < PARTS; part++) multiplyBlock<BITS, T, 1, 1>(work, group, 0, part, token);
  }
}

/** As multiplyTile for one token or two. One group after the other, memory's latency would not be hidden. */
template <int BITS, int T>
void multiplyStreams(const Work& work, int64_t start, int64_t end, int64_t token) {
  constexpr int STREAMS = SINGLE_VECTORS / PARTS;
  const int64_t apart = (end - start) / STREAMS;
  for (int64_t group = start; group < start + apart; group++) multiplyBlock<BITS, T, STREAMS, PARTS>(work, group, apart, 0, token);
  for (int64_t group = start + STREAMS * apart; group < end; group++) multiplyBlock<BITS, T, 1, PARTS>(work, group, 0, 0, token);
}

/** All tokens with groups start…end of the weights, which stay in the cache meanwhile. */
template <int BITS>
void multiply(const Work& work, int64_t start, int64_t end) {
  for (int64_t token = 0; token < work.tokens;) {
    const int64_t size = tileSize(work.tokens - token);
    switch (size) {
      case 1: multiplyStreams<BITS, 1>(work, start, end, token); break;
      case 2: multiplyStreams<BITS, 2>(work, start, end, token); break;
      case 4: multiplyTile<BITS, 4>(work, start, end, token); break;
#if defined(__AVX512F__)
      case 8: multiplyTile<BITS, 8>(work, start, end, token); break;
      case 16: multiplyTile<BITS, 16>(work, start, end, token); break;
#endif
      default: __builtin_unreachable();
    }
    token += size;
  }
}

/** The tile of tokens `token` to token + size, of which `present` are there; the others are zeros. */
void quantizeTile(const float* a, int64_t columns, int zero, int64_t size, int64_t present, uint8_t* tile) {
  for (int64_t b = 0; b < columns / BLOCK; b++, tile += size * TOKEN_BLOCK) {
    float* const scales = reinterpret_cast<float*>(tile + size * BLOCK);
    int32_t* const sums = reinterpret_cast<int32_t*>(scales + size);
    if (present < size) memset(tile, 0, static_cast<size_t>(size * TOKEN_BLOCK));
    for (int64_t t = 0; t < present; t++) {
      int8_t* const codes = reinterpret_cast<int8_t*>(tile + t * BLOCK);
      scales[t] = quantizeBlock8(a + t * columns + b * BLOCK, codes);
      int32_t sum = 0;
      for (int i = 0; i < BLOCK; i++) sum += codes[i];
      sums[t] = -zero * sum;
    }
  }
}

}  // namespace

void matmulQuantized(const MatmulQuantizedArguments& args, Pool& pool) {
  const int64_t tokens = args.tokens, rows = args.rows, columns = args.columns, bits = args.bits;
  if (rows == 0 || tokens == 0) return;
  const float* const a = args.a;
  const int64_t blocks = columns / BLOCK;
  // One token more than there are, for a tile that is not full.
  uint8_t* const tiles = reinterpret_cast<uint8_t*>(pool.workspace(static_cast<size_t>((least(tokens, SLAB) + 1) * blocks * TOKEN_BLOCK)));
  if (tiles == nullptr) return;
  const int zero = bits == 4 ? ZERO4 : ZERO8;

  const int64_t groups = ceilDiv(rows, GROUP), groupBytes = most(1, blocks * blockBytes(bits));
  // Several chunks to a thread, so that they end together. Rows do not depend on how they are cut.
  const int64_t chunkBytes = most(SMALLEST_CHUNK, least(LARGEST_CHUNK, groups * groupBytes / (4 * pool.threads())));
  int64_t grain = most(1, chunkBytes / groupBytes);
  if (tokens < 4 && grain > SINGLE_VECTORS) grain -= grain % SINGLE_VECTORS;
  const int64_t tileGrain = most(1, CHUNK_BYTES / (LARGEST_TILE * most(1, columns) * 4));

  for (int64_t token = 0; token < tokens; token += SLAB) {
    const int64_t count = least(SLAB, tokens - token);
    const Work work = {args.out + token * rows, args.w, tiles, args.bias, count, rows, blocks};
    const float* const slab = a + token * columns;
    // Tiles are all of the largest size but the last few, which are one chunk's.
    parallelFor(pool, ceilDiv(count, LARGEST_TILE * tileGrain), [=](uint32_t chunk, char*) {
      const int64_t end = least(count, (chunk + 1) * tileGrain * LARGEST_TILE);
      for (int64_t t = chunk * tileGrain * LARGEST_TILE; t < end;) {
        const int64_t size = tileSize(count - t);
        quantizeTile(slab + t * columns, columns, zero, size, least(size, count - t), tiles + t * blocks * TOKEN_BLOCK);
        t += size;
      }
    });
    parallelFor(pool, ceilDiv(groups, grain), [&](uint32_t chunk, char*) {
      const int64_t start = chunk * grain, end = least(groups, start + grain);
      if (bits == 4) multiply<4>(work, start, end);
      else multiply<8>(work, start, end);
    });
  }
}

}  // namespace PARLEY_ISA
}  // namespace parley
