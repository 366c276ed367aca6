// How far the expected number of positives is from k: partial sums of many blocks, added in a fixed order.
//   math      R = (sum of p / N - k)^2 / L^2,  dx = dloss * dR/dp * p (1 - p)
//   mapping   forward cuda/sum.cuh, its last thread also writes dR/dp; backward cuda/elementwise.cuh
//   traffic   4 bytes an entry forward, 8 backward
//   roofline  a batch has some thousand logits: the launches are the cost
#include "layers/losses/expected_positives.h"

#include "cuda/elementwise.cuh"
#include "cuda/sum.cuh"

namespace lucida {
namespace {

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

struct ChanceGradient {
  const float *dloss, *slope;
  __device__ float operator()(float x) const {
    const auto at = Sigmoid<float>::at(x);
    return *dloss * *slope * at.p * at.q;
  }
};

void forward(ExpectedPositivesKernels::Goal goal, const float* x, float* loss, float* slope) {
  sum_elements("expected positives forward", goal.rows * goal.classes, Chance{},
               StoreLossAndSlope{goal, loss, slope}, x);
}

void backward(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  map_elements("expected positives backward", count, ChanceGradient{dloss, slope}, dx, x);
}

const ExpectedPositivesKernels table{forward, backward};
const Provide<ExpectedPositivesKernels> provide{{this_device, 1, "blocks in parallel, ordered sum", &table}};

}  // namespace
}  // namespace lucida
