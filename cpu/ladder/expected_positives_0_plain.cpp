// How far the expected number of positives is from k, as plain loops.
#include "layers/losses/expected_positives.h"

namespace lucida {
namespace {

void forward(ExpectedPositivesKernels::Goal goal, const float* x, float* loss, float* slope) {
  double sum = 0;
  for (int64_t i = 0; i < goal.rows * goal.classes; ++i) sum += Sigmoid<float>::at(x[i]).p;
  *loss = goal.loss(sum);
  *slope = goal.slope(sum);
}

void backward(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  for (int64_t i = 0; i < count; ++i) {
    const auto at = Sigmoid<float>::at(x[i]);
    dx.write(i, *dloss * *slope * at.p * at.q);
  }
}

const ExpectedPositivesKernels table{forward, backward};
const Provide<ExpectedPositivesKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
