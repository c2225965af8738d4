/** Memory for tensors: zero-filled, on a cache line, and where it is large on huge pages, if the system gives them. */
#pragma once

#include <cstddef>

namespace parley {

/** Null where there is none. */
char* allocateMemory(size_t bytes);
/** `bytes` as they were allocated. */
void releaseMemory(char* address, size_t bytes);

}  // namespace parley
