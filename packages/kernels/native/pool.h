/**
 * The threads that compute. One pool belongs to one backend; the thread that calls `run` takes part.
 *
 * An operation is cut into chunks that are handed out one by one, so a thread that is slowed down takes fewer. Chunks are cut
 * by shape, and each is computed by one thread in one order: results do not depend on how many threads there are.
 * No operation allocates: what it needs beyond its tensors is the thread's scratch memory, or the pool's workspace.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace parley {

/** Bytes of scratch memory that each thread has, on a page. Contents are undefined at the start of every chunk. */
constexpr size_t SCRATCH_BYTES = size_t(4) << 20;

class Pool {
 public:
  /** Starts `threads` − 1 threads. Throws std::system_error or std::bad_alloc. */
  explicit Pool(uint32_t threads);
  /** Joins them. */
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  uint32_t threads() const;

  /** Calls `function(context, chunk, scratch)` for chunks 0…chunks−1 on all threads, and returns when all are done. */
  using Chunk = void (*)(const void* context, uint32_t chunk, char* scratch);
  void run(uint32_t chunks, Chunk function, const void* context);

  /**
   * At least `bytes` bytes on a page that all threads share within one operation. Contents are undefined; a later call may
   * return other memory, and then this is gone. Null where there is no memory; then `failed()` is true until it is asked.
   */
  char* workspace(size_t bytes);
  bool takeFailure();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

/** `pool.run` for a lambda `(uint32_t chunk, char* scratch)`. */
template <class Function>
inline __attribute__((always_inline)) void parallelFor(Pool& pool, int64_t chunks, const Function& function) {
  if (chunks <= 0) return;
  pool.run(
      static_cast<uint32_t>(chunks),
      [](const void* context, uint32_t chunk, char* scratch) { (*static_cast<const Function*>(context))(chunk, scratch); },
      &function);
}

}  // namespace parley
