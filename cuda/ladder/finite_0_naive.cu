// The first element that is NaN or infinite, rung 0: one thread an element.
//   math      not finite: |x| < infinity does not hold, as of a NaN
//   mapping   thread i of the grid has element i; whoever finds one takes the minimum of the indices, with
//             an atomic: there is hardly ever one
//   traffic   one read of the tensor, 4 (bf16: 2) bytes a request of a lane
//   roofline  memory
//   weak spot a tensor full of NaN: every thread queues at the atomic
//   why it loses to the next rung: a warp reads 128 bytes a request where 512 are possible
#include "cuda/element.cuh"
#include "engine/autograd.h"
#include "engine/dispatch.h"
#include "engine/memory.h"

namespace lucida {
namespace {

constexpr int threads = 256;
using Index = unsigned long long;  // the type that atomicMin has

template <class T>
__global__ void first_kernel(int64_t count, const T* x, Index* first) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count && !(fabsf(widen(x[i])) < INFINITY))
    atomicMin(first, Index(i));
}

template <class T>
int64_t first_not_finite(int64_t count, const T* x) {
  const Device device = current_device();
  const std::shared_ptr<void> memory = allocate(device, sizeof(Index));
  Index first = Index(count);
  copy_memory(memory.get(), device, &first, Device{}, sizeof first);
  if (count > 0)
    launch("finite", {dim3(unsigned(blocks_for(count, threads))), threads}, first_kernel<T>, count, x,
           static_cast<Index*>(memory.get()));
  copy_memory(&first, Device{}, memory.get(), device, sizeof first);
  return first == Index(count) ? -1 : int64_t(first);
}

template <class T>
const FiniteKernelsOf<T> table{first_not_finite<T>};
const Provide<FiniteKernelsOf<float>> provide{{this_device, 0, "one thread an element", &table<float>}};
const Provide<FiniteKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread an element", &table<Bf16>}};

}  // namespace
}  // namespace lucida
