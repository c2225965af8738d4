/**
 * How a pool hands out work.
 *
 * `gate` is open while an operation runs, and counts the threads that are inside it. A thread enters only through an open gate,
 * and the next operation is prepared only when the gate is shut and nobody is inside: one that wakes up late finds the gate
 * shut, or takes part in what runs now, and never sees half of one operation and half of another. Nobody waits for threads that
 * are asleep.
 */
#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "memory.h"

namespace parley {

namespace {

constexpr uint32_t OPEN = 1u << 31;
/** How long a thread waits for work before it sleeps: operations of one step follow each other within microseconds. */
constexpr auto PATIENCE = std::chrono::microseconds(60);
/** How often the calling thread looks for the others before it offers its core to them. */
constexpr int LOOKS = 2000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace

struct Pool::Shared {
  /** Counts operations that other threads are asked to help with: a thread waits for it to change. */
  alignas(64) std::atomic<uint32_t> calls{0};
  std::atomic<bool> stopping{false};
  std::atomic<uint32_t> asleep{0};
  alignas(64) std::atomic<uint32_t> gate{0};
  /** The next chunk. */
  alignas(64) std::atomic<uint32_t> next{0};
  alignas(64) Chunk function = nullptr;
  const void* context = nullptr;
  uint32_t chunks = 0;

  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> helpers;
  std::vector<char*> scratch;
  char* workspace = nullptr;
  size_t workspaceBytes = 0;
  bool failed = false;

  void takeChunks(char* own) {
    for (;;) {
      const uint32_t chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) return;
      function(context, chunk, own);
    }
  }

  /** True once there is another call than `seen`, false when the pool stops. */
  bool waitForCall(uint32_t seen) {
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    do {
      for (int i = 0; i < 32; i++) {
        if (calls.load(std::memory_order_acquire) != seen) return true;
        if (stopping.load(std::memory_order_relaxed)) return false;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    std::unique_lock<std::mutex> lock(mutex);
    asleep.fetch_add(1);
    wake.wait(lock, [&] { return calls.load() != seen || stopping.load(); });
    asleep.fetch_sub(1);
    return !stopping.load();
  }

  void help(char* own) {
    uint32_t seen = 0;
    while (waitForCall(seen)) {
      seen = calls.load(std::memory_order_acquire);
      uint32_t state = gate.load(std::memory_order_relaxed);
      while ((state & OPEN) != 0) {
        if (gate.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
          takeChunks(own);
          gate.fetch_sub(1, std::memory_order_release);
          break;
        }
      }
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stopping.store(true);
    }
    wake.notify_all();
    for (auto& helper : helpers) helper.join();
    helpers.clear();
    for (char* own : scratch) releaseMemory(own, SCRATCH_BYTES);
    scratch.clear();
    if (workspace != nullptr) releaseMemory(workspace, workspaceBytes);
    workspace = nullptr;
  }
};

Pool::Pool(uint32_t threads) : shared_(new Shared) {
  try {
    for (uint32_t i = 0; i < threads; i++) {
      char* own = allocateMemory(SCRATCH_BYTES);
      if (own == nullptr) throw std::bad_alloc();
      shared_->scratch.push_back(own);
    }
    Shared* shared = shared_.get();
    for (uint32_t i = 1; i < threads; i++) {
      char* own = shared->scratch[i];
      shared->helpers.emplace_back([shared, own] { shared->help(own); });
    }
  } catch (...) {
    shared_->stop();
    throw;
  }
}

Pool::~Pool() { shared_->stop(); }

uint32_t Pool::threads() const { return static_cast<uint32_t>(shared_->scratch.size()); }

void Pool::run(uint32_t chunks, Chunk function, const void* context) {
  Shared& s = *shared_;
  char* own = s.scratch[0];
  if (chunks <= 1 || s.helpers.empty()) {
    for (uint32_t chunk = 0; chunk < chunks; chunk++) function(context, chunk, own);
    return;
  }
  s.function = function;
  s.context = context;
  s.chunks = chunks;
  s.next.store(0, std::memory_order_relaxed);
  s.gate.store(OPEN, std::memory_order_release);
  // In this order against `asleep`, which a thread raises before it looks at `calls` again: one of the two sees the other.
  s.calls.fetch_add(1);
  if (s.asleep.load() > 0) {
    { std::lock_guard<std::mutex> lock(s.mutex); }
    s.wake.notify_all();
  }
  s.takeChunks(own);
  s.gate.fetch_and(~OPEN, std::memory_order_acq_rel);
  for (int looks = 0; s.gate.load(std::memory_order_acquire) != 0; looks++) {
    if (looks < LOOKS) pause();
    else std::this_thread::yield();
  }
}

char* Pool::workspace(size_t bytes) {
  Shared& s = *shared_;
  if (bytes > s.workspaceBytes || s.workspace == nullptr) {
    if (s.workspace != nullptr) releaseMemory(s.workspace, s.workspaceBytes);
    // A quarter more than was asked for, so that growing is rare.
    s.workspaceBytes = bytes + bytes / 4 + 4096;
    s.workspace = allocateMemory(s.workspaceBytes);
    if (s.workspace == nullptr) {
      s.workspaceBytes = 0;
      s.failed = true;
    }
  }
  return s.workspace;
}

bool Pool::takeFailure() {
  const bool failed = shared_->failed;
  shared_->failed = false;
  return failed;
}

}  // namespace parley
