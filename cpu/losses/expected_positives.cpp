// How far the expected number of positives is from k, on all threads; chunks are summed in order.
#include "layers/losses/expected_positives.h"

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void forward(ExpectedPositivesKernels::Goal goal, const float* x, float* loss, float* slope) {
  const double total =
      parallel_sum(goal.rows * goal.classes, elements_a_thread / 8, [=](int64_t begin, int64_t end) {
        double sum = 0;
        for (int64_t i = begin; i < end; ++i) sum += Sigmoid<float>::at(x[i]).p;
        return sum;
      });
  *loss = goal.loss(total);
  *slope = goal.slope(total);
}

void backward(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx) {
  const float factor = *dloss * *slope;
  map_gradient(count, dx, [=](int64_t i) {
    const auto at = Sigmoid<float>::at(x[i]);
    return factor * at.p * at.q;
  });
}

const ExpectedPositivesKernels table{forward, backward};
const Provide<ExpectedPositivesKernels> provide{{Device::cpu, 1, "all threads, ordered sum", &table}};

}  // namespace
}  // namespace lucida
