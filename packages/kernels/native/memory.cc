#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace parley {

namespace {

constexpr size_t CACHE_LINE = 64;
constexpr size_t HUGE_PAGE = size_t(2) << 20;

/** Above this, memory comes from the system by itself and goes back to it: nothing is cleared that is clear already. */
constexpr size_t LARGE = HUGE_PAGE / 2;

size_t roundUpTo(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

char* allocateMemory(size_t bytes) {
  if (bytes < LARGE) {
    const size_t size = roundUpTo(bytes == 0 ? 1 : bytes, CACHE_LINE);
    void* address = nullptr;
    if (posix_memalign(&address, CACHE_LINE, size) != 0) return nullptr;
    std::memset(address, 0, size);
    return static_cast<char*>(address);
  }
  // Room for a start on a huge page; what is before and behind goes back.
  const size_t size = roundUpTo(bytes, HUGE_PAGE);
  const size_t room = size + HUGE_PAGE;
  void* mapped = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(mapped);
  char* aligned = reinterpret_cast<char*>(roundUpTo(reinterpret_cast<uintptr_t>(start), HUGE_PAGE));
  if (aligned > start) munmap(start, aligned - start);
  char* end = start + room;
  if (end > aligned + size) munmap(aligned + size, end - (aligned + size));
#if defined(MADV_HUGEPAGE)
  madvise(aligned, size, MADV_HUGEPAGE);
#endif
  return aligned;
}

void releaseMemory(char* address, size_t bytes) {
  if (bytes < LARGE) std::free(address);
  else munmap(address, roundUpTo(bytes, HUGE_PAGE));
}

}  // namespace parley
