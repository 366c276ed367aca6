// The first element that is NaN or infinite, 16 bytes a lane.
//   mapping   a thread takes four packs, 256 threads apart, and looks for the place only when one of them holds
//             something that is not finite; the minimum of the indices is an atomic: there is hardly ever one
//   traffic   one read of the tensor
//   roofline  memory
#include "cuda/element.cuh"
#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "engine/memory.h"

namespace lucida {
namespace {

constexpr int threads = 256, rows = 4;
using Index = unsigned long long;  // the type that atomicMin has

__device__ bool finite(float v) {
  return fabsf(v) < INFINITY;
}

template <class T>
__device__ bool all_finite(const T* p) {
  const Pack<T> v = load_pack(p);
  bool finite_so_far = true;
  for (int k = 0; k < Pack<T>::size; ++k) finite_so_far &= finite(v[k]);
  return finite_so_far;
}

template <class T>
__global__ void __launch_bounds__(threads) first_kernel(int64_t count, bool packs, const T* x, Index* first) {
  constexpr int row = threads * Pack<T>::size;
  const int64_t begin = int64_t(blockIdx.x) * rows * row, i = begin + int(threadIdx.x) * Pack<T>::size;
  if (packs && begin + rows * row <= count) {
    bool finite_so_far = true;
#pragma unroll
    for (int r = 0; r < rows; ++r) finite_so_far &= all_finite(x + i + r * row);
    if (finite_so_far)
      return;
  }
  for (int64_t j = i; j < i + rows * row && j < count; j += row)
    for (int64_t e = j; e < j + Pack<T>::size && e < count; ++e)
      if (!finite(widen(x[e])))
        atomicMin(first, Index(e));
}

template <class T>
int64_t first_not_finite(int64_t count, const T* x) {
  const Device device{this_device};
  const std::shared_ptr<void> memory = allocate(device, sizeof(Index));
  Index first = Index(count);
  copy_memory(memory.get(), device, &first, Device{}, sizeof first);
  if (count > 0)
    launch("finite", {dim3(unsigned(blocks_for(count, rows * threads * Pack<T>::size))), threads},
           first_kernel<T>, count, aligned_for_packs(x), x, static_cast<Index*>(memory.get()));
  copy_memory(&first, Device{}, memory.get(), device, sizeof first);
  return first == Index(count) ? -1 : int64_t(first);
}

template <class T>
const FiniteKernelsOf<T> table{first_not_finite<T>};
const Provide<FiniteKernelsOf<float>> provide{{this_device, 1, "16 bytes a lane", &table<float>}};
const Provide<FiniteKernelsOf<Bf16>> provide_bf16{{this_device, 1, "16 bytes a lane", &table<Bf16>}};

}  // namespace
}  // namespace lucida
