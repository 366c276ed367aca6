// How far the expected number of positives is from k: partial sums of many blocks, added in a fixed order.
//   math      R = (sum of p / N - k)^2 / L^2,  dx = dloss * dR/dp * p (1 - p)
//   mapping   forward cuda/sum.cuh, its last thread also writes dR/dp. Backward: one thread
//             an entry, as of cuda/losses/entry_loss.cu
//   traffic   4 bytes an entry forward, 8 backward
//   roofline  a batch has some thousand logits: the launches are the cost
#include "layers/losses/expected_positives.h"

#include "cuda/sum.cuh"

namespace lucida {
namespace {

constexpr int threads = 256;

struct Chance {
  __device__ double operator()(float x) const { return Sigmoid<float>::at(x).p; }
};

struct StoreLossAndSlope {
  ExpectedPositivesKernels::Goal goal;
  float *loss, *slope;
  __device__ void operator()(double sum) const {
    *loss = goal.loss(sum);
    *slope = goal.slope(sum);
  }
};

__global__ void __launch_bounds__(threads)
    backward_kernel(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const auto at = Sigmoid<float>::at(x[i]);
  store_gradient(dx, i, *dloss * *slope * at.p * at.q);
}

void forward(ExpectedPositivesKernels::Goal goal, const float* x, float* loss, float* slope) {
  sum_elements("expected positives forward", goal.rows * goal.classes, Chance{},
               StoreLossAndSlope{goal, loss, slope}, x);
}

void backward(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  launch("expected positives backward", {dim3(unsigned(blocks_for(count, threads))), threads},
         backward_kernel, count, dloss, slope, x, dx);
}

const ExpectedPositivesKernels table{forward, backward};
const Provide<ExpectedPositivesKernels> provide{{this_device, 1, "blocks in parallel, ordered sum", &table}};

}  // namespace
}  // namespace lucida
