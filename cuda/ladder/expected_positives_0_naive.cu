// How far the expected number of positives is from k, rung 0: one thread adds everything up.
//   math      R = (sum of p / N - k)^2 / L^2,  dx = dloss * dR/dp * p (1 - p)
//   mapping   forward: one thread. Backward: one thread an entry
//   traffic   4 bytes an entry forward, 8 backward
//   roofline  a batch has some thousand logits; one thread waits for each of them
//   weak spot forward is not parallel at all
//   why it loses to the next rung: one lane of one warp of the GPU works
#include "cuda/element.cuh"
#include "layers/losses/expected_positives.h"

namespace lucida {
namespace {

constexpr int threads = 256;

__global__ void forward_kernel(ExpectedPositivesKernels::Goal goal, const float* x, float* loss,
                               float* slope) {
  double sum = 0;
  for (int64_t i = 0; i < goal.rows * goal.classes; ++i) sum += double(Sigmoid<float>::at(x[i]).p);
  *loss = goal.loss(sum);
  *slope = goal.slope(sum);
}

__global__ void backward_kernel(int64_t count, const float* dloss, const float* slope, const float* x,
                                GradSlot dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const auto at = Sigmoid<float>::at(x[i]);
  store_gradient(dx, i, *dloss * *slope * at.p * at.q);
}

void forward(ExpectedPositivesKernels::Goal goal, const float* x, float* loss, float* slope) {
  launch("expected positives forward", {dim3(1), 1}, forward_kernel, goal, x, loss, slope);
}

void backward(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  launch("expected positives backward", {dim3(unsigned(blocks_for(count, threads))), threads},
         backward_kernel, count, dloss, slope, x, dx);
}

const ExpectedPositivesKernels table{forward, backward};
const Provide<ExpectedPositivesKernels> provide{{this_device, 0, "one thread adds up", &table}};

}  // namespace
}  // namespace lucida
