// Sums over all elements of tensors, in double and in an order that only their number decides.
//
//     sum_elements("bce forward", count, Loss{}, StoreMean{loss, count}, x, t);
//
// adds f(x[i], t[i]) over all i and calls finish(total) in one thread.
//   mapping   up to 1024 blocks stride through the tensors, 16 bytes a lane; a thread adds up its own
//             elements, block_sum the threads, and one more block the blocks. No atomics: the order is fixed.
//   roofline  memory: 4 bytes for a conversion and an addition in double (A100: 3.3 elements a clock and SM
//             arrive, 16 can be converted)
#pragma once
#include <algorithm>

#include "cuda/reduce.cuh"
#include "engine/memory.h"

namespace lucida {
namespace sums {

inline constexpr int threads = 256;
inline constexpr int64_t most_blocks = 1024;

template <class F, class... Values>
__device__ double sum_of_pack(const F& f, const Values&... v) {
  double sum = 0;
#pragma unroll  // however long f is: what is indexed in a loop would lie in local memory
  for (int k = 0; k < Pack<float>::size; ++k) sum += f(v[k]...);
  return sum;
}

template <class F, class Finish, class... T>
__global__ void __launch_bounds__(threads)
    partial_sums_kernel(int64_t count, bool packs, F f, Finish finish, double* partial, const T*... x) {
  constexpr int size = Pack<float>::size;
  const int64_t step = int64_t(gridDim.x) * threads * size;
  double sum = 0;
  for (int64_t i = (int64_t(blockIdx.x) * threads + threadIdx.x) * size; i < count; i += step)
    if (packs && i + size <= count)
      sum += sum_of_pack(f, load_pack(x + i)...);
    else
      for (int64_t e = i; e < i + size && e < count; ++e) sum += f(x[e]...);
  sum = block_sum<threads>(sum);
  if (threadIdx.x == 0 && gridDim.x == 1)
    finish(sum);
  else if (threadIdx.x == 0)
    partial[blockIdx.x] = sum;
}

template <class Finish>
__global__ void __launch_bounds__(threads) total_kernel(int blocks, const double* partial, Finish finish) {
  double sum = 0;
  for (int i = int(threadIdx.x); i < blocks; i += threads) sum += partial[i];
  sum = block_sum<threads>(sum);
  if (threadIdx.x == 0)
    finish(sum);
}

}  // namespace sums

template <class F, class Finish, class... T>
void sum_elements(const char* name, int64_t count, F f, Finish finish, const T*... x) {
  using namespace sums;
  const int64_t blocks = std::clamp<int64_t>(blocks_for(count, 4096), 1, most_blocks);
  const std::shared_ptr<void> memory = allocate(current_device(), size_t(blocks) * sizeof(double));
  double* partial = static_cast<double*>(memory.get());
  launch(name, {dim3(unsigned(blocks)), threads}, partial_sums_kernel<F, Finish, T...>, count,
         aligned_for_packs(x...), f, finish, partial, x...);
  if (blocks > 1)
    launch(name, {dim3(1), threads}, total_kernel<Finish>, int(blocks), partial, finish);
}

}  // namespace lucida
