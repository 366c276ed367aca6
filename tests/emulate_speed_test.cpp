// How fast the emulator is:  build/native/test -tc='emulator: speed' --no-skip
#include <ctime>

#include "cuda/mma.cuh"
#include "cuda/reduce.cuh"
#include "tests/check.h"

namespace lucida {
namespace {

__global__ void store_kernel(float* y) {
  y[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}
__global__ void barrier_kernel(int repeats) {
  for (int i = 0; i < repeats; ++i) __syncthreads();
}
__global__ void shuffle_kernel(int repeats, float* y) {
  float v = float(threadIdx.x);
  for (int i = 0; i < repeats; ++i) v = __shfl_xor_sync(0xffffffffu, v, 1);
  y[threadIdx.x] = v;
}
__global__ void multiply_kernel(int repeats, float* y) {
  float d[4] = {};
  const unsigned a[4] = {1, 2, 3, threadIdx.x}, b[2] = {4, 5};
  for (int i = 0; i < repeats; ++i) mma_bf16(d, a, b);
  y[threadIdx.x] = d[0];
}

// Best of five, in processor time of one core.
void report(const std::string& what, double count, const std::function<void()>& f) {
  f();
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const std::clock_t start = std::clock();
    f();
    best = std::min(best, double(std::clock() - start) / CLOCKS_PER_SEC);
  }
  MESSAGE(what, ": ", best / count * 1e9, " ns, ", count / best / 1e6, " million a second");
}

TEST_CASE("emulator: speed" * doctest::skip()) {
  const UseThreads one(1);
  const ThreadOrder turns(emulate::Order::forward);
  std::vector<float> y(256 * 1000);
  constexpr int repeats = 2000;
  report("a thread without barriers", 256e3, [&] { launch("store", {1000, 256}, store_kernel, y.data()); });
  report("a barrier, per thread", 256.0 * repeats, [] {
    launch("barrier", {1, 256}, barrier_kernel, repeats);
  });
  report("a shuffle, per thread", 256.0 * repeats, [&] {
    launch("shuffle", {1, 256}, shuffle_kernel, repeats, y.data());
  });
  report("mma.m16n8k16", 4.0 * repeats, [&] { launch("mma", {1, 128}, multiply_kernel, repeats, y.data()); });
}

}  // namespace
}  // namespace lucida
