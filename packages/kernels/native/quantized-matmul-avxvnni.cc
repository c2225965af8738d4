/**
 * AVX2 with the dot product of AVX-VNNI, which Intel's processors for laptops and desktops have had since 2021, without AVX-512:
 * the kernels of AVX2, but for quantized products. These are compiled once more, in a namespace of their own.
 */
#include "kernels.h"

#if defined(PARLEY_AVXVNNI) && defined(__AVX2__) && !defined(__AVX512F__)

#undef PARLEY_ISA
#define PARLEY_ISA avxvnni
#pragma GCC target("avxvnni")
#define PARLEY_DOT_AVXVNNI  // __AVXVNNI__ is not defined by the line above: GCC's lexer runs ahead of its pragmas
#include "quantized-matmul.cc"

namespace parley {
namespace avxvnni {

/** Everything that is not in this namespace. */
using namespace avx2;

#define PARLEY_ENTRY(name, Arguments) \
  [](const void* arguments, Pool& pool) { name(*static_cast<const Arguments*>(arguments), pool); },
static void (*const operations[])(const void*, Pool&) = {PARLEY_OPERATIONS(PARLEY_ENTRY)};
#undef PARLEY_ENTRY

const Kernels kernels = {"avxvnni", operations, quantizedBytes};

}  // namespace avxvnni
}  // namespace parley

#endif
