// The emulator of CUDA blocks: what it must run, and planted faults that it must find.
#include "cuda/launch.h"
#include "cuda/reduce.cuh"
#include "tests/faults.h"

namespace lucida {
namespace {

// ---- threads and blocks -----------------------------------------------------------------------------------

__global__ void coordinates_kernel(unsigned* seen) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  __syncthreads();  // everybody still knows who it is behind a barrier
  atomicAdd(&seen[i], 1 + threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z + 1000 * blockIdx.x);
}

TEST_CASE("emulator: every thread of every block runs once and knows its place") {
  for (const int os_threads : {1, 3}) {
    const UseThreads use(os_threads);
    const auto right = [] {
      std::vector<unsigned> seen(3 * 2 * 2 * 60);
      launch("coordinates", {dim3(3, 2, 2), dim3(5, 4, 3)}, coordinates_kernel, seen.data());
      bool all = true;
      for (unsigned i = 0; i < seen.size(); ++i) {
        const unsigned t = i % 60, block_x = i / 60 % 3;
        all &= seen[i] == 1 + t % 5 + 10 * (t / 5 % 4) + 100 * (t / 20) + 1000 * block_x;
      }
      return all;
    };
    CHECK(failing_orders(right) == 0);
  }
}

__global__ void count_kernel(unsigned* total, float* sum, double* precise) {
  atomicAdd(total, 1);
  atomicAdd(sum, 0.5f);
  atomicAdd(precise, 0.25);
}

TEST_CASE("emulator: blocks run on several OS threads at a time, atomics are atomic") {
  const UseThreads use(4);
  unsigned total = 0;
  float sum = 0;
  double precise = 0;
  launch("count", {500, 96}, count_kernel, &total, &sum, &precise);
  CHECK(total == 48000);
  CHECK(sum == 24000);
  CHECK(precise == 12000);
}

// ---- a missing barrier ------------------------------------------------------------------------------------

struct Numbers {
  float value[256];
};

template <bool with_barrier>
__global__ void reverse_kernel(const float* x, float* y) {
  Numbers& s = shared<Numbers>();
  s.value[threadIdx.x] = x[threadIdx.x];
  if constexpr (with_barrier)
    __syncthreads();
  y[threadIdx.x] = s.value[255 - threadIdx.x];
}

TEST_CASE("emulator: without the barrier before a read some order gives a wrong answer") {
  const std::vector<float> x = noise(256, 1);
  std::vector<float> y(256);
  const std::vector<float> want(x.rbegin(), x.rend());
  const auto run = [&](auto kernel) {
    return [&, kernel] {
      launch("reverse", {1, 256}, kernel, x.data(), y.data());
      return y == want;
    };
  };
  CHECK(failing_orders(run(reverse_kernel<true>)) == 0);
  CHECK(finds_race(run(reverse_kernel<false>)));
}

// The sum over a block twice, where only a barrier keeps a fast warp from overwriting what a slow one still
// reads.
template <bool with_barrier>
__global__ void sum_twice_kernel(float* y) {
  Numbers& s = shared<Numbers>();
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  float total[2];
  for (int k = 0; k < 2; ++k) {
    const float v = warp_sum(float(k + 1));
    if (lane == 0)
      s.value[warp] = v;
    __syncthreads();
    total[k] = warp_sum(lane < 8 ? s.value[lane] : 0);
    if constexpr (with_barrier)
      __syncthreads();
  }
  y[threadIdx.x] = total[0] + 1000 * total[1];
}

TEST_CASE("emulator: without the barrier after a read some order gives a wrong answer") {
  std::vector<float> y(256);
  const auto run = [&](auto kernel) {
    return [&, kernel] {
      launch("sum twice", {1, 256}, kernel, y.data());
      return y == std::vector<float>(256, 256 + 1000 * 512.0f);
    };
  };
  CHECK(failing_orders(run(sum_twice_kernel<true>)) == 0);
  CHECK(finds_race(run(sum_twice_kernel<false>)));
}

// Two warps that use one buffer, each correctly for itself: seen only when they go in step.
template <bool own_buffer>
__global__ void buffer_kernel(float* y) {
  Numbers& s = shared<Numbers>();
  float* buffer = s.value + (own_buffer ? threadIdx.x / 32 * 32 : 0);
  buffer[threadIdx.x % 32] = float(threadIdx.x);
  __syncwarp();
  y[threadIdx.x] = buffer[31 - threadIdx.x % 32];
}

TEST_CASE("emulator: warps that share a buffer by mistake disturb one another in some order") {
  std::vector<float> y(64), want(64);
  for (unsigned i = 0; i < 64; ++i) want[i] = float(i / 32 * 32 + 31 - i % 32);
  const auto run = [&](auto kernel) {
    return [&, kernel] {
      launch("buffer", {1, 64}, kernel, y.data());
      return y == want;
    };
  };
  CHECK(failing_orders(run(buffer_kernel<true>)) == 0);
  CHECK(finds_race(run(buffer_kernel<false>)));
}

// Each half of a warp for itself: mask says who waits for whom.
template <bool with_barrier, int step>
__global__ void neighbour_kernel(float* y) {
  Numbers& s = shared<Numbers>();
  const unsigned half = threadIdx.x / 16 * 16;
  s.value[threadIdx.x] = float(threadIdx.x);
  if constexpr (with_barrier)
    __syncwarp(0xffffu << half % 32);
  y[threadIdx.x] = s.value[half + (threadIdx.x + step) % 16];
}

TEST_CASE("emulator: without a __syncwarp some order gives a wrong answer") {
  const auto run = [](auto kernel, unsigned step) {
    return [kernel, step] {
      std::vector<float> y(64);
      launch("neighbour", {1, 64}, kernel, y.data());
      bool right = true;
      for (unsigned i = 0; i < 64; ++i) right &= y[i] == float(i / 16 * 16 + (i + step) % 16);
      return right;
    };
  };
  CHECK(failing_orders(run(neighbour_kernel<true, 1>, 1)) == 0);
  CHECK(finds_race(run(neighbour_kernel<false, 1>, 1)));    // reads the lane above it
  CHECK(finds_race(run(neighbour_kernel<false, 15>, 15)));  // and the one below
}

// ---- barriers that do not meet ----------------------------------------------------------------------------

const int line_of_first = __LINE__ + 4;
__global__ void divergent_kernel(float* y) {
  Numbers& s = shared<Numbers>();
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = s.value[0];
}

TEST_CASE("emulator: a barrier that threads reach at two places is an error that names both") {
  std::vector<float> y(64);
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    const std::string message = error_of([&] { launch("two places", {2, 64}, divergent_kernel, y.data()); });
    CHECK(contains(message, "two places, block ("));
    CHECK(contains(message, "divergent barrier"));
    CHECK(contains(message, "emulate_test.cpp:" + std::to_string(line_of_first)));
    CHECK(contains(message, "emulate_test.cpp:" + std::to_string(line_of_first + 2)));
  }
}

__global__ void stuck_kernel() {
  if (threadIdx.x < 31)
    __syncwarp();
  else
    __syncthreads();
}
__global__ void split_warp_kernel(int* y) {
  if (threadIdx.x < 31)
    y[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
  else
    y[threadIdx.x] = __any_sync(0xffffffffu, 1);
}
__global__ void wrong_mask_kernel() {
  __syncwarp(0xffff);
}

TEST_CASE("emulator: a deadlock is an error that says who waits where") {
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    const std::string message = error_of([] { launch("stuck", {1, 32}, stuck_kernel); });
    CHECK(contains(message, "stuck, block (0,0,0): deadlock"));
    CHECK(contains(message, "31 threads (first: 0) in __syncwarp at tests/emulate_test.cpp:"));
    CHECK(contains(message, "1 thread (first: 31) in __syncthreads at tests/emulate_test.cpp:"));
  }
}

TEST_CASE("emulator: lanes of a warp that do not do the same are an error") {
  std::vector<int> y(32);
  const std::string split = error_of([&] { launch("split", {1, 32}, split_warp_kernel, y.data()); });
  CHECK(contains(split, "divergent warp"));
  CHECK(contains(split, "__shfl_sync"));
  CHECK(contains(split, "__any_sync"));
  CHECK(contains(error_of([] { launch("mask", {1, 32}, wrong_mask_kernel); }), "does not name its lane"));
}

// ---- ends of threads --------------------------------------------------------------------------------------

__global__ void early_exit_kernel(int alive, float* y) {
  Numbers& s = shared<Numbers>();
  if (int(threadIdx.x) >= alive)
    return;
  s.value[threadIdx.x] = 1;
  const int votes = __syncthreads_count(threadIdx.x % 2);
  if (threadIdx.x % 2 == 1)
    return;
  __syncthreads();
  y[threadIdx.x] = s.value[alive - 1 - threadIdx.x] + float(votes);
}

TEST_CASE("emulator: threads that have ended are not waited for") {
  for (const emulate::Order order : emulate::all_orders) {
    const ThreadOrder turns(order);
    std::vector<float> y(256);
    launch("early exit", {1, 256}, early_exit_kernel, 70, y.data());
    for (int i = 0; i < 256; ++i) CHECK(y[size_t(i)] == (i < 70 && i % 2 == 0 ? 36 : 0));
  }
}

__global__ void throwing_kernel() {
  __syncthreads();
  if (threadIdx.x == 40)
    fail("thread 40 gave up");
  __syncthreads();
}

TEST_CASE("emulator: an exception in a kernel ends the launch, not the emulator") {
  std::vector<float> y(256);
  for (int repeat = 0; repeat < 3; ++repeat) {
    CHECK(error_of([] { launch("throwing", {3, 64}, throwing_kernel); }) == "thread 40 gave up");
    launch("early exit", {1, 256}, early_exit_kernel, 70, y.data());
    CHECK(y[0] == 36);
  }
}

__global__ void votes_kernel(int* y) {
  const int t = int(threadIdx.x);
  y[5 * t] = __syncthreads_count(t % 3 == 0);
  y[5 * t + 1] = __syncthreads_or(t == 77);
  y[5 * t + 2] = __syncthreads_or(0);
  y[5 * t + 3] = __syncthreads_and(t < 96);
  y[5 * t + 4] = __syncthreads_and(t != 50);
}

TEST_CASE("emulator: barriers that count votes") {
  std::vector<int> y(5 * 96);
  const auto right = [&] {
    launch("votes", {1, 96}, votes_kernel, y.data());
    bool all = true;
    for (size_t i = 0; i < y.size(); i += 5)
      all &= y[i] == 32 && y[i + 1] == 1 && y[i + 2] == 0 && y[i + 3] == 1 && y[i + 4] == 0;
    return all;
  };
  CHECK(failing_orders(right) == 0);
}

}  // namespace
}  // namespace lucida
