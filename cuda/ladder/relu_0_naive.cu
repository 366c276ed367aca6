// ReLU, rung 0: one thread an element.
//   math      y = max(0, x),  dx = dy where y > 0
//   mapping   thread i of the grid has element i
//   traffic   4 bytes a request of a lane: forward 2, backward 3 tensors
//   roofline  memory: one flop for 8 bytes
//   weak spot bf16: 2 bytes a lane, a quarter of a cache line a request
//   why it loses to the next rung: a warp moves 128 bytes a request where 512 are possible, so four times as
//   many instructions are issued for the same bytes
#include "cuda/element.cuh"
#include "layers/relu.h"

namespace lucida {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward_kernel(int64_t count, const T* x, T* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = widen(x[i]) < 0 ? narrow<T>(0) : x[i];
}

template <class T>
__global__ void backward_kernel(int64_t count, const T* y, const T* dy, GradSlotOf<T> dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    store_gradient(dx, i, widen(y[i]) > 0 ? widen(dy[i]) : 0.0f);
}

template <class T>
void forward(int64_t count, const T* x, T* y) {
  launch("relu forward", {dim3(unsigned(blocks_for(count, threads))), threads}, forward_kernel<T>, count, x,
         y);
}

template <class T>
void backward(int64_t count, const T* y, const T* dy, GradSlotOf<T> dx) {
  launch("relu backward", {dim3(unsigned(blocks_for(count, threads))), threads}, backward_kernel<T>, count, y,
         dy, dx);
}

template <class T>
const ReluKernelsOf<T> table{forward<T>, backward<T>};
const Provide<ReluKernelsOf<float>> provide{{this_device, 0, "one thread an element", &table<float>}};
const Provide<ReluKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread an element", &table<Bf16>}};

}  // namespace
}  // namespace lucida
