// Add, rung 0: one thread an element.
//   math      y = a + b;   d = dy, once for a and once for b
//   mapping   thread i of the grid has element i
//   traffic   4 bytes a request of a lane: forward 3 tensors, backward 2, or 3 where it adds
//   roofline  memory: one flop for 12 bytes
//   weak spot bf16: 2 bytes a lane, a quarter of a cache line a request
//   why it loses to the next rung: a warp moves 128 bytes a request where 512 are possible, so four times as
//   many instructions are issued for the same bytes
#include "cuda/element.cuh"
#include "layers/add.h"

namespace lucida {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward_kernel(int64_t count, const T* a, const T* b, T* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = narrow<T>(widen(a[i]) + widen(b[i]));
}

template <class T>
__global__ void backward_kernel(int64_t count, const T* dy, GradSlotOf<T> d) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    store_gradient(d, i, widen(dy[i]));
}

template <class T>
void forward(int64_t count, const T* a, const T* b, T* y) {
  launch("add forward", {dim3(unsigned(blocks_for(count, threads))), threads}, forward_kernel<T>, count, a, b,
         y);
}

template <class T>
void backward(int64_t count, const T* dy, GradSlotOf<T> d) {
  launch("add backward", {dim3(unsigned(blocks_for(count, threads))), threads}, backward_kernel<T>, count, dy,
         d);
}

template <class T>
const AddKernelsOf<T> table{forward<T>, backward<T>};
const Provide<AddKernelsOf<float>> provide{{this_device, 0, "one thread an element", &table<float>}};
const Provide<AddKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread an element", &table<Bf16>}};

}  // namespace
}  // namespace lucida
