/** One instruction set's kernels by number. */
#include "kernels.h"

#define PARLEY_TEXT(x) #x
#define PARLEY_NAME(x) PARLEY_TEXT(x)

namespace parley {
namespace PARLEY_ISA {

#define PARLEY_ENTRY(name, Arguments) \
  [](const void* arguments, Pool& pool) { name(*static_cast<const Arguments*>(arguments), pool); },
static void (*const operations[])(const void*, Pool&) = {PARLEY_OPERATIONS(PARLEY_ENTRY)};

const Kernels kernels = {PARLEY_NAME(PARLEY_ISA), operations, quantizedBytes};

}  // namespace PARLEY_ISA
}  // namespace parley
