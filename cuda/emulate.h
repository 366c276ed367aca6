// Runs CUDA kernels on the host, so that they can be tested, debugged and sanitised without a GPU: one thread
// block is a loop over fibers. First version, replaced soon.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <source_location>
#include <utility>
#include <vector>

#include "cuda/emulate_order.h"
#include "engine/error.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace lucida::emulate {

class Block {
 public:
  Block(const char* name, unsigned threads, size_t shared_bytes)
      : name_(name),
        fibers_(threads),
        slots_(threads),
        calls_((threads + 31) / 32 * 32),
        shared_(shared_bytes / 16 + 1, {nan_, nan_}) {}

  void run(dim3 shape, const std::function<void()>& body) {
    current = this;
    ++serial;
    std::fill(shared_.begin(), shared_.end(), Pair{nan_, nan_});
    body_ = &body;
    live_ = unsigned(fibers_.size());
    for (unsigned t = 0; t < fibers_.size(); ++t) {
      fibers_[t].index = {t % shape.x, t / shape.x % shape.y, t / (shape.x * shape.y)};
      fibers_[t].wait = Wait::none;
    }
    std::vector<unsigned> warps((fibers_.size() + 31) / 32);
    for (unsigned w = 0; w < warps.size(); ++w)
      warps[w] = order == Order::backward ? unsigned(warps.size()) - 1 - w : w;
    std::mt19937 random(7);
    while (live_ > 0) {
      if (order == Order::shuffled)
        std::shuffle(warps.begin(), warps.end(), random);
      bool progress = false;
      for (unsigned w : warps)
        while (run_warp(w * 32)) progress = true;
      progress |= release_block();
      if (!progress && live_ > 0)
        deadlock();
    }
  }

  void barrier(std::source_location at) { suspend(Wait::block, ~0u, at); }

  uint64_t exchange(uint64_t value, unsigned source_lane, unsigned mask, std::source_location at) {
    const unsigned me = running_, base = me / 32 * 32;
    slots_[me] = value;
    suspend(Wait::warp, mask, at);
    const unsigned source = base + source_lane;
    const uint64_t result = source < slots_.size() ? slots_[source] : value;
    suspend(Wait::warp, mask, at);
    return result;
  }

  // All 32 lanes call this; the last to come does the work of all, given what each passed.
  void collective(void* call, void (*work)(void* const*), std::source_location at) {
    void** calls = calls_.data() + running_ / 32 * 32;
    calls[running_ % 32] = call;
    work_ = work;
    suspend(Wait::warp, ~0u, at);
  }

  unsigned lane() const { return running_ % 32; }
  void* shared() { return shared_.data(); }
  static inline thread_local Block* current = nullptr;
  static inline thread_local uint64_t serial = 0;

 private:
  enum class Wait { none, block, warp, done };
  struct Fiber {
    ucontext_t context;
    jmp_buf jump;
    std::unique_ptr<char[]> stack;
    uint3 index{};
    Wait wait = Wait::none;
    unsigned mask = 0;
    std::source_location at;
  };
  static constexpr size_t stack_bytes = 64 << 10;
  static constexpr double nan_ = __builtin_nan("");

  static void entry() {
    for (Block* self = current;;) {
      try {
        (*self->body_)();
      } catch (...) {
        self->failure_ = std::current_exception();
      }
      --self->live_;
      self->suspend(Wait::done, 0, {});
    }
  }

  void resume(unsigned t) {
    Fiber& f = fibers_[t];
    running_ = t;
    threadIdx = f.index;
    if (_setjmp(scheduler_) != 0)
      return;
    if (f.stack)
      _longjmp(f.jump, 1);
    f.stack = std::make_unique_for_overwrite<char[]>(stack_bytes);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = stack_bytes;
    makecontext(&f.context, entry, 0);
    setcontext(&f.context);
  }

  void suspend(Wait why, unsigned mask, std::source_location at) {
    Fiber& f = fibers_[running_];
    f.wait = why;
    f.mask = mask;
    f.at = at;
    if (_setjmp(f.jump) == 0)
      _longjmp(scheduler_, 1);
  }

  bool run_warp(unsigned base) {
    const unsigned end = std::min(base + 32, unsigned(fibers_.size()));
    bool ran = false;
    for (unsigned i = 0; i < end - base; ++i) {
      const unsigned t = order == Order::backward ? end - 1 - i : base + i;
      if (fibers_[t].wait == Wait::none) {
        resume(t);
        ran = true;
      }
      if (failure_)
        std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    unsigned arrived = 0, wanted = 0, gone = 0;
    for (unsigned t = base; t < end; ++t) {
      if (fibers_[t].wait == Wait::warp) {
        arrived |= 1u << (t - base);
        wanted |= fibers_[t].mask;
      }
      if (fibers_[t].wait == Wait::done)
        gone |= 1u << (t - base);
    }
    if (end - base < 32)
      wanted &= (1u << (end - base)) - 1;
    if (arrived && arrived == (wanted & ~gone)) {
      same_place(base, end, Wait::warp);
      if (work_)
        std::exchange(work_, nullptr)(calls_.data() + base);
      for (unsigned t = base; t < end; ++t)
        if (fibers_[t].wait == Wait::warp)
          fibers_[t].wait = Wait::none;
      ran = true;
    }
    return ran;
  }

  bool release_block() {
    const auto waiting =
        std::count_if(fibers_.begin(), fibers_.end(), [](const Fiber& f) { return f.wait == Wait::block; });
    if (live_ == 0 || unsigned(waiting) != live_)
      return false;
    same_place(0, unsigned(fibers_.size()), Wait::block);
    for (Fiber& f : fibers_)
      if (f.wait == Wait::block)
        f.wait = Wait::none;
    return true;
  }

  [[noreturn]] void deadlock() {
    for (unsigned t = 0; t < fibers_.size(); ++t)
      if (fibers_[t].wait == Wait::block || fibers_[t].wait == Wait::warp)
        fail(name_, ": deadlock, thread ", t, " waits at line ", fibers_[t].at.line(),
             " for threads that never come");
    fail(name_, ": deadlock");
  }

  void same_place(unsigned begin, unsigned end, Wait why) {
    const Fiber* first = nullptr;
    for (unsigned t = begin; t < end; ++t) {
      if (fibers_[t].wait != why)
        continue;
      if (!first)
        first = &fibers_[t];
      require(fibers_[t].at.line() == first->at.line(), name_,
              ": divergent barrier, some threads wait at line ", first->at.line(), ", thread ", t,
              " at line ", fibers_[t].at.line());
    }
  }

  const char* name_;
  std::vector<Fiber> fibers_;
  std::vector<uint64_t> slots_;
  std::vector<void*> calls_;
  void (*work_)(void* const*) = nullptr;
  struct Pair {
    double a, b;
  };
  std::vector<Pair> shared_;
  const std::function<void()>* body_ = nullptr;
  jmp_buf scheduler_;
  unsigned running_ = 0, live_ = 0;
  std::exception_ptr failure_;
};

inline void* dynamic_shared() {
  return Block::current->shared();
}

template <class T>
T& static_shared() {
  static thread_local std::unique_ptr<T> storage;
  static thread_local uint64_t serial = 0;
  if (serial != Block::serial) {
    storage.reset(new T);
    std::memset(static_cast<void*>(storage.get()), 0xFF, sizeof(T));
    serial = Block::serial;
  }
  return *storage;
}

inline void run(const char* name, dim3 blocks, dim3 threads, size_t shared_bytes,
                const std::function<void()>& body) {
  require(threads.x * threads.y * threads.z <= 1024, name, ": ", threads.x * threads.y * threads.z,
          " threads in a block, CUDA allows 1024");
  require(shared_bytes <= 227u << 10, name, ": ", shared_bytes, " bytes of shared memory, sm_90 has 227 KiB");
  Block block(name, threads.x * threads.y * threads.z, shared_bytes);
  for (unsigned z = 0; z < blocks.z; ++z)
    for (unsigned y = 0; y < blocks.y; ++y)
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        blockDim = threads;
        gridDim = blocks;
        block.run(threads, body);
      }
}

template <class T>
T shuffle(T v, unsigned lane, unsigned mask, std::source_location at) {
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  bits = Block::current->exchange(bits, lane, mask, at);
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

}  // namespace lucida::emulate

inline void __syncthreads(std::source_location at = std::source_location::current()) {
  lucida::emulate::Block::current->barrier(at);
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       std::source_location at = std::source_location::current()) {
  lucida::emulate::shuffle(0, lucida::emulate::Block::current->lane(), mask, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int lanes, std::source_location at = std::source_location::current()) {
  return lucida::emulate::shuffle(v, lucida::emulate::Block::current->lane() ^ unsigned(lanes), mask, at);
}
template <class T>
T __shfl_sync(unsigned mask, T v, int lane, std::source_location at = std::source_location::current()) {
  return lucida::emulate::shuffle(v, unsigned(lane), mask, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, int by, std::source_location at = std::source_location::current()) {
  const unsigned lane = lucida::emulate::Block::current->lane() + unsigned(by);
  return lucida::emulate::shuffle(v, lane > 31 ? lane - unsigned(by) : lane, mask, at);
}
template <class T>
T atomicAdd(T* p, T v) {
  return std::atomic_ref<T>(*p).fetch_add(v);
}
