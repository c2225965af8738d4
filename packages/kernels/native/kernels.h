/**
 * The kernels: one function for each operation, `void name(const NameArguments&, Pool&)`, in the namespace of each instruction
 * set. Their arguments are in `arguments.h`, which the build writes from src/native.ts, the one place that lists them: a struct
 * lies over the numbers that JavaScript has written, so every member is a double that converts to what it stands for.
 */
#pragma once

#include <cstdint>

#include "pool.h"

namespace parley {

/** What the members of the argument structs are: doubles that JavaScript wrote. Taking one costs a conversion: do it once. */
template <class T>
struct Pointer {
  double number;
  __attribute__((always_inline)) operator T*() const { return reinterpret_cast<T*>(static_cast<intptr_t>(number)); }
};
struct Integer {
  double number;
  __attribute__((always_inline)) operator int64_t() const { return static_cast<int64_t>(number); }
};
struct Number {
  double number;
  __attribute__((always_inline)) operator float() const { return static_cast<float>(number); }
};

}  // namespace parley

#include "arguments.h"

namespace parley {

/** What an instruction set has: its kernels by number, and what else depends on it. */
struct Kernels {
  const char* name;
  void (*const* operations)(const void* arguments, Pool& pool);
  /** Bytes of a (rows, columns) matrix of `bits` 8 or 4 bits; columns are a multiple of 32. */
  int64_t (*quantizedBytes)(int64_t rows, int64_t columns, int64_t bits);
};

#ifdef PARLEY_ISA
namespace PARLEY_ISA {
#define PARLEY_DECLARE(name, Arguments) void name(const Arguments& args, Pool& pool);
PARLEY_OPERATIONS(PARLEY_DECLARE)
#undef PARLEY_DECLARE
int64_t quantizedBytes(int64_t rows, int64_t columns, int64_t bits);
}  // namespace PARLEY_ISA
#endif

#if defined(__x86_64__)
namespace avx512 { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
/** The compiler can compile one file for AVX-VNNI among others: quantized-matmul-avxvnni.cc. */
#define PARLEY_AVXVNNI
namespace avxvnni { extern const Kernels kernels; }
#endif
#endif
namespace baseline { extern const Kernels kernels; }

}  // namespace parley
