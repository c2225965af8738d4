/** What Node sees: the module of `NativeAddon` in src/native.ts. Nothing here computes. */
#include <node_api.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <unordered_map>

#include "kernels.h"
#include "memory.h"

namespace parley {
namespace {

/** One backend: its threads, its memory, and the array its arguments come through. */
struct Instance {
  std::unique_ptr<Pool> pool;
  const Kernels* kernels = nullptr;
  const double* arguments = nullptr;
  napi_ref argumentsHeld = nullptr;
  std::unordered_map<char*, size_t> live;

  ~Instance() {
    for (const auto& [address, bytes] : live) releaseMemory(address, bytes);
  }
};

constexpr uint32_t OPERATIONS = 0
#define PARLEY_ONE(name, Arguments) +1
    PARLEY_OPERATIONS(PARLEY_ONE)
#undef PARLEY_ONE
    ;

/** Best first. */
template <class Visit>
void forEachInstructionSet(Visit visit) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma")) {
    visit(avx512::kernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
#if defined(PARLEY_AVXVNNI)
    if (__builtin_cpu_supports("avxvnni")) visit(avxvnni::kernels);
#endif
    visit(avx2::kernels);
  }
#endif
  visit(baseline::kernels);
}

napi_value fail(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

/** The arguments of a call and the instance it belongs to; false, with an exception, where there are too few. */
bool argumentsOf(napi_env env, napi_callback_info info, size_t wanted, napi_value* values, Instance** instance) {
  size_t count = wanted;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok || count < wanted) {
    fail(env, "the native kernels were called with too few arguments");
    return false;
  }
  *instance = static_cast<Instance*>(data);
  return true;
}

napi_value run(napi_env env, napi_callback_info info) {
  napi_value value;
  Instance* instance;
  if (!argumentsOf(env, info, 1, &value, &instance)) return nullptr;
  uint32_t operation = 0;
  if (napi_get_value_uint32(env, value, &operation) != napi_ok || operation >= OPERATIONS) return fail(env, "there is no such operation");
  if (instance->pool == nullptr) return fail(env, "this backend has been disposed: make a new one");
  instance->kernels->operations[operation](instance->arguments, *instance->pool);
  if (instance->pool->takeFailure()) return fail(env, "there is no memory for an operation's workspace: use a smaller batch or model");
  return nullptr;
}

napi_value quantizedBytes(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Instance* instance;
  if (!argumentsOf(env, info, 3, values, &instance)) return nullptr;
  int64_t numbers[3];
  for (int i = 0; i < 3; i++) {
    if (napi_get_value_int64(env, values[i], &numbers[i]) != napi_ok) return fail(env, "quantizedBytes takes numbers");
  }
  napi_value result;
  napi_create_int64(env, instance->kernels->quantizedBytes(numbers[0], numbers[1], numbers[2]), &result);
  return result;
}

char* addressFrom(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return reinterpret_cast<char*>(static_cast<intptr_t>(number));
}

napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value value;
  Instance* instance;
  if (!argumentsOf(env, info, 1, &value, &instance)) return nullptr;
  int64_t bytes = 0;
  napi_get_value_int64(env, value, &bytes);
  char* address = allocateMemory(static_cast<size_t>(bytes));
  if (address != nullptr) instance->live.emplace(address, static_cast<size_t>(bytes));
  napi_value result;
  napi_create_int64(env, static_cast<int64_t>(reinterpret_cast<intptr_t>(address)), &result);
  return result;
}

napi_value release(napi_env env, napi_callback_info info) {
  napi_value value;
  Instance* instance;
  if (!argumentsOf(env, info, 1, &value, &instance)) return nullptr;
  const auto found = instance->live.find(addressFrom(env, value));
  if (found == instance->live.end()) return fail(env, "memory is released that is not allocated");
  releaseMemory(found->first, found->second);
  instance->live.erase(found);
  return nullptr;
}

/** Copies between memory at an address and a typed array, which says how much. */
napi_value transfer(napi_env env, napi_callback_info info, bool write) {
  napi_value values[2];
  Instance* instance;
  if (!argumentsOf(env, info, 2, values, &instance)) return nullptr;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, values[1], nullptr, &length, &data, nullptr, nullptr) != napi_ok) {
    return fail(env, "read and write take a typed array");
  }
  char* address = addressFrom(env, values[0]);
  // Elements of both types have 4 bytes.
  if (write) std::memcpy(address, data, length * 4);
  else std::memcpy(data, address, length * 4);
  return nullptr;
}
napi_value write(napi_env env, napi_callback_info info) { return transfer(env, info, true); }
napi_value read(napi_env env, napi_callback_info info) { return transfer(env, info, false); }

napi_value stop(napi_env env, napi_callback_info info) {
  Instance* instance;
  if (argumentsOf(env, info, 0, nullptr, &instance)) instance->pool.reset();
  return nullptr;
}

void disposeInstance(void* data) { delete static_cast<Instance*>(data); }

void define(napi_env env, napi_value object, const char* name, napi_callback callback, void* data) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function);
  napi_set_named_property(env, object, name, function);
}

napi_value create(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Instance* none;
  if (!argumentsOf(env, info, 3, values, &none)) return nullptr;
  uint32_t threads = 0;
  napi_get_value_uint32(env, values[0], &threads);
  char name[32] = "";
  napi_get_value_string_utf8(env, values[1], name, sizeof name, nullptr);
  auto instance = std::make_unique<Instance>();
  forEachInstructionSet([&](const Kernels& kernels) {
    if (std::strcmp(kernels.name, name) == 0) instance->kernels = &kernels;
  });
  if (instance->kernels == nullptr) return fail(env, "this machine has no such instruction set");
  void* data = nullptr;
  if (napi_get_typedarray_info(env, values[2], nullptr, nullptr, &data, nullptr, nullptr) != napi_ok) return fail(env, "no array of arguments");
  instance->arguments = static_cast<const double*>(data);
  napi_create_reference(env, values[2], 1, &instance->argumentsHeld);
  try {
    instance->pool = std::make_unique<Pool>(threads);
  } catch (const std::exception& error) {
    return fail(env, error.what());
  }
  napi_value object;
  napi_create_object(env, &object);
  Instance* kept = instance.release();
  define(env, object, "run", run, kept);
  define(env, object, "quantizedBytes", quantizedBytes, kept);
  define(env, object, "allocate", allocate, kept);
  define(env, object, "release", release, kept);
  define(env, object, "write", write, kept);
  define(env, object, "read", read, kept);
  define(env, object, "stop", stop, kept);
  // The functions may be called as long as the environment lives, and its threads may not outlive it.
  napi_add_env_cleanup_hook(env, disposeInstance, kept);
  return object;
}

napi_value initialize(napi_env env, napi_value exports) {
  napi_value value;
  napi_create_uint32(env, PARLEY_FINGERPRINT, &value);
  napi_set_named_property(env, exports, "fingerprint", value);
  napi_create_string_utf8(env, PARLEY_COMPILER, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, exports, "compiler", value);
  napi_value sets;
  napi_create_array(env, &sets);
  uint32_t count = 0;
  forEachInstructionSet([&](const Kernels& kernels) {
    napi_value text;
    napi_create_string_utf8(env, kernels.name, NAPI_AUTO_LENGTH, &text);
    napi_set_element(env, sets, count++, text);
  });
  napi_set_named_property(env, exports, "instructionSets", sets);
  define(env, exports, "create", create, nullptr);
  return exports;
}

}  // namespace
}  // namespace parley

NAPI_MODULE_INIT() { return parley::initialize(env, exports); }
