// BoostLU, rung 0: one thread an element.
//   math      y = alpha * x where x > 0, else x;   dx = alpha * dy where x > 0, else dy
//   mapping   thread i of the grid has element i
//   traffic   4 bytes a request of a lane: forward 2 tensors, backward 3
//   roofline  memory: one flop for 8 bytes
//   weak spot a map has some thousand values: the launch costs more than either rung
//   why it loses to the next rung: a warp moves 128 bytes a request where 512 are possible
#include "cuda/element.cuh"
#include "layers/boostlu.h"

namespace lucida {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void forward_kernel(int64_t count, float alpha, const T* x, T* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = widen(x[i]) > 0 ? narrow<T>(alpha * widen(x[i])) : x[i];
}

template <class T>
__global__ void backward_kernel(int64_t count, float alpha, const T* x, const T* dy, GradSlotOf<T> dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    store_gradient(dx, i, widen(x[i]) > 0 ? alpha * widen(dy[i]) : widen(dy[i]));
}

template <class T>
void forward(int64_t count, float alpha, const T* x, T* y) {
  launch("boostlu forward", {dim3(unsigned(blocks_for(count, threads))), threads}, forward_kernel<T>, count,
         alpha, x, y);
}

template <class T>
void backward(int64_t count, float alpha, const T* x, const T* dy, GradSlotOf<T> dx) {
  launch("boostlu backward", {dim3(unsigned(blocks_for(count, threads))), threads}, backward_kernel<T>, count,
         alpha, x, dy, dx);
}

template <class T>
const BoostluKernelsOf<T> table{forward<T>, backward<T>};
const Provide<BoostluKernelsOf<float>> provide{{this_device, 0, "one thread an element", &table<float>}};
const Provide<BoostluKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread an element", &table<Bf16>}};

}  // namespace
}  // namespace lucida
