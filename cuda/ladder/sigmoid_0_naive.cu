// Sigmoid, rung 0: one thread an element.
//   math      y = 1 / (1 + exp(-x)),   dx = dy * y * (1 - y)
//             exp(-x) overflows to infinity for x < -88, and 1 / (1 + infinity) is the right 0
//   mapping   thread i of the grid has element i
//   traffic   4 bytes a request of a lane: forward 2 tensors, backward 3
//   roofline  memory, barely: exp in double is 15 fma (engine/exact.h)
//   weak spot one exp under way a thread: its chain of dependent fma is waited for
//   why it loses to the next rung: a warp moves 128 bytes a request where 512 are possible
#include "cuda/element.cuh"
#include "engine/exact.h"
#include "layers/sigmoid.h"

namespace lucida {
namespace {

constexpr int threads = 256;

__global__ void forward_kernel(int64_t count, const float* x, float* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    y[i] = 1 / (1 + float(exact_exp(-x[i])));
}

__global__ void backward_kernel(int64_t count, const float* y, const float* dy, GradSlot dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    store_gradient(dx, i, dy[i] * y[i] * (1 - y[i]));
}

void forward(int64_t count, const float* x, float* y) {
  launch("sigmoid forward", {dim3(unsigned(blocks_for(count, threads))), threads}, forward_kernel, count, x,
         y);
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  launch("sigmoid backward", {dim3(unsigned(blocks_for(count, threads))), threads}, backward_kernel, count, y,
         dy, dx);
}

const SigmoidKernels table{forward, backward};
const Provide<SigmoidKernels> provide{{this_device, 0, "one thread an element", &table}};

}  // namespace
}  // namespace lucida
