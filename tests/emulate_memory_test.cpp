// The emulator's memory: poison, canaries, limits, and copies that are there only after the wait. Each fault
// is planted and must be reported.
#include <cmath>

#include "cuda/mma.cuh"
#include "tests/faults.h"

namespace lucida {
namespace {

template <int bytes>
struct Bytes {
  unsigned char at[bytes];
};

__global__ void read_unwritten_kernel(float* y) {
  struct Two {
    float value[64];
  };
  float* dynamic = dynamic_shared<float>();
  Two& fixed = shared<Two>();
  y[4 * blockIdx.x] = dynamic[3];
  y[4 * blockIdx.x + 1] = fixed.value[5];
  dynamic[3] = fixed.value[5] = 1;
  y[4 * blockIdx.x + 2] = dynamic[3] + shared<Two>().value[5];
  y[4 * blockIdx.x + 3] = float(reinterpret_cast<uintptr_t>(dynamic) % 16 + uintptr_t(&fixed) % 16);
}

TEST_CASE("emulator: shared memory is NaN at the start of every block") {
  const UseThreads one(1);
  std::vector<float> y(16);
  launch("unwritten", {4, 1, 100}, read_unwritten_kernel, y.data());
  for (size_t block = 0; block < 4; ++block) {
    CHECK(std::isnan(y[4 * block]));
    CHECK(std::isnan(y[4 * block + 1]));
    CHECK(y[4 * block + 2] == 2);
    CHECK(y[4 * block + 3] == 0);
  }
}

// ---- overruns ---------------------------------------------------------------------------------------------

__global__ void dynamic_overrun_kernel(int count) {
  dynamic_shared<float>()[count - 1 + int(threadIdx.x)] = 1;
}
__global__ void static_overrun_kernel(int at) {
  shared<Bytes<100>>().at[at] = 7;
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("emulator: a write past shared memory is an error that says how far") {
  CHECK(error_of([] {
          launch("overrun", {1, 3, 40}, dynamic_overrun_kernel, 10);
        }) ==
        "overrun, block (0,0,0): a thread wrote past its 40 bytes of dynamic shared memory, up to byte 47; "
        "make SANITIZE=address shows the line");
  CHECK(contains(error_of([] {
                   launch("overrun", {1, 1}, static_overrun_kernel, 100);
                 }),
                 "past its 100 bytes of static shared memory, up to byte 100"));
  launch("no overrun", {1, 1, 40}, dynamic_overrun_kernel, 10);
  launch("no overrun", {1, 1}, static_overrun_kernel, 99);
}
#else
TEST_CASE("emulator: the address sanitizer sees an access past shared memory and names its kernel and file") {
  const auto check = [](const std::string& report, const std::string& kernel) {
    CHECK(contains(report, "heap-buffer-overflow"));
    CHECK(contains(report, kernel));
    CHECK(contains(report, "emulate_memory_test.cpp"));
  };
  check(last_words([] {
          launch("overrun", {1, 3, 40}, dynamic_overrun_kernel, 10);
        }),
        "dynamic_overrun_kernel");
  check(last_words([] { launch("overrun", {1, 1}, static_overrun_kernel, 100); }), "static_overrun_kernel");
}
#endif

// ---- limits of a block ------------------------------------------------------------------------------------

__global__ void nothing_kernel() {}
template <int bytes>
__global__ void static_kernel() {
  shared<Bytes<bytes>>().at[0] = 1;
  shared<Bytes<bytes / 2>>().at[0] = 1;
}

TEST_CASE("emulator: launches that a GPU refuses are errors that name the kernel") {
  const auto refused = [](dim3 blocks, dim3 threads, size_t bytes, const char* why) {
    const std::string message = error_of([&] { launch("large", {blocks, threads, bytes}, nothing_kernel); });
    CHECK(message.starts_with("large: "));
    CHECK(contains(message, why));
  };
  refused(1, 1025, 0, "1025 threads a block; CUDA allows 1024");
  refused(1, dim3(32, 33), 0, "1056 threads a block");
  refused(1, dim3(1, 1, 65), 0, "a block of (1,1,65) threads");
  refused(1, 0, 0, "a block of (0,1,1) threads");
  refused(0, 1, 0, "a grid of (0,1,1) blocks");
  refused(dim3(1, 65536), 1, 0, "a grid of (1,65536,1) blocks");
  refused(dim3(1, 1, 65536), 1, 0, "a grid of (1,1,65536) blocks");
  refused(1, 1, (227 << 10) + 1, "232449 bytes of dynamic shared memory");
  launch("just so", {dim3(1, 1, 2), dim3(32, 32), 227 << 10}, nothing_kernel);
  launch("just so", {1, 1}, static_kernel<32 << 10>);
  CHECK(contains(error_of([] {
                   launch("large", {1, 1}, static_kernel<33 << 10>);
                 }),
                 "large, block (0,0,0): 50688 bytes of static shared memory; CUDA allows 49152"));
  CHECK(contains(error_of([] {
                   launch("large", {1, 1, 227 << 10}, static_kernel<2>);
                 }),
                 "of static and 232448 of dynamic shared memory"));
}

// ---- cp.async ---------------------------------------------------------------------------------------------

// Copies `tiles` tiles of 32 floats through two buffers, the next tile under way while one is used.
enum class Fault { none, no_wait, wait_too_short, no_barrier, overwritten_early, no_commit };
template <Fault fault>
__global__ void copy_kernel(int tiles, const float* x, float* y) {
  float(*buffer)[32] = dynamic_shared<float[32]>();
  const int t = int(threadIdx.x);
  const auto fetch = [&](int tile) {
    if (t < 8)
      cp_async_16(&buffer[tile % 2][4 * t], x + 32 * tile + 4 * t, tile < tiles);
    if constexpr (fault != Fault::no_commit)
      cp_async_commit();
  };
  fetch(0);
  for (int tile = 0; tile < tiles; ++tile) {
    fetch(tile + 1);
    if constexpr (fault == Fault::wait_too_short)
      cp_async_wait<2>();
    else if constexpr (fault != Fault::no_wait)
      cp_async_wait<1>();
    if constexpr (fault != Fault::no_barrier)
      __syncthreads();
    if constexpr (fault == Fault::overwritten_early)
      fetch(tile + 2);
    y[32 * tile + t] = buffer[tile % 2][31 - t];
    __syncthreads();
  }
}

TEST_CASE("emulator: what cp.async copies is there after the wait and the barrier, and not before") {
  const std::vector<float> x = noise(5 * 32, 3);
  const auto run = [&](auto kernel) {
    return [&, kernel] {
      std::vector<float> y(x.size());
      launch("copy", {1, 32, 256}, kernel, 5, x.data(), y.data());
      bool right = true;
      for (size_t i = 0; i < x.size(); ++i) right &= y[i] == x[i / 32 * 32 + 31 - i % 32];
      return right;
    };
  };
  CHECK(failing_orders(run(copy_kernel<Fault::none>)) == 0);
  CHECK(finds_fault(run(copy_kernel<Fault::no_wait>)));
  CHECK(finds_fault(run(copy_kernel<Fault::wait_too_short>)));
  CHECK(finds_fault(run(copy_kernel<Fault::no_commit>)));
  CHECK(finds_fault(run(copy_kernel<Fault::overwritten_early>)));
  CHECK(finds_fault(run(copy_kernel<Fault::no_barrier>)));
}

__global__ void zero_fill_kernel(const float* x, float* y) {
  float* s = dynamic_shared<float>();
  if (threadIdx.x == 0) {
    cp_async_16(s, x, true);
    cp_async_16(s + 4, nullptr, false);  // reads nothing
    cp_async_4(s + 8, x + 1, true);
    cp_async_4(s + 9, nullptr, false);
    cp_async_commit();
    for (int i = 0; i < 10; ++i) y[i] = s[i];
    cp_async_wait<0>();
    for (int i = 0; i < 10; ++i) y[10 + i] = s[i];
  }
}

TEST_CASE("emulator: cp.async writes zeros where it may not read") {
  alignas(16) const float x[] = {1, 2, 3, 4};
  float y[20];
  launch("zero fill", {1, 32, 40}, zero_fill_kernel, static_cast<const float*>(x), static_cast<float*>(y));
  const float want[] = {1, 2, 3, 4, 0, 0, 0, 0, 2, 0};
  for (int i = 0; i < 10; ++i) {
    CHECK(std::isnan(y[i]));
    CHECK(y[10 + i] == want[i]);
  }
}

__global__ void copy_one_kernel(int shared_offset, const float* from) {
  cp_async_16(dynamic_shared<float>() + shared_offset, from);
}
__global__ void load_one_kernel(int shared_offset) {
  unsigned r[4];
  ldmatrix_x4(r, dynamic_shared<float>() + shared_offset);
}

TEST_CASE("emulator: misplaced addresses of cp.async and ldmatrix are errors") {
  alignas(16) static const float x[8] = {};
  const auto copy = [](int offset, const float* from) {
    return error_of([&] { launch("copy", {1, 1, 64}, copy_one_kernel, offset, from); });
  };
  launch("copy", {1, 1, 64}, copy_one_kernel, 12, static_cast<const float*>(x));
  CHECK(contains(copy(1, x), "cp_async_16 at tests/emulate_memory_test.cpp:"));
  CHECK(contains(copy(1, x), "an address that is not aligned to 16 bytes"));
  CHECK(contains(copy(0, x + 1), "reads from an address that is not aligned to 16 bytes"));
  CHECK(contains(copy(16, x), "16 bytes that are not in the block's shared memory"));
  const auto load = [](unsigned threads, int offset) {
    return error_of([&] { launch("load", {1, threads, 64}, load_one_kernel, offset); });
  };
  launch("load", {1, 64, 64}, load_one_kernel, 12);
  CHECK(contains(load(32, 2), "not aligned"));
  CHECK(contains(load(32, 16), "not in the block's shared memory"));
  CHECK(contains(load(31, 0), "ldmatrix_x4 at tests/emulate_memory_test.cpp:"));
  CHECK(contains(load(31, 0), "needs all 32 lanes; 31 of warp 0 came"));
}

}  // namespace
}  // namespace lucida
