// Optimizer steps, vectorised on all threads. Adam reads and writes w, m, v and reads g: 28 bytes a
// parameter.
#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

using Step = OptimizerKernels::Step;

void sgd(const OptimizerOptions& o, Step s, const float* g, float* w, float* m) {
  const float momentum = s.step == 1 ? 0 : o.momentum;  // the first momentum is the gradient itself
  parallel_for(s.count, elements_a_thread, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float d = g[i] + s.decay * w[i];
      m[i] = momentum * m[i] + d;
      w[i] -= s.lr * (o.nesterov ? d + o.momentum * m[i] : m[i]);
    }
  });
}

void adam(const OptimizerOptions& o, Step s, const float* g, float* w, float* m, float* v) {
  const bool decoupled = o.kind == OptimizerOptions::adamw;
  const AdamCorrection correction(o, s);
  const float rate = correction.rate, root = correction.root;
  const float shrink = decoupled ? 1 - s.lr * s.decay : 1, coupled = decoupled ? 0 : s.decay;
  parallel_for(s.count, elements_a_thread, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float start = w[i] * shrink, d = g[i] + coupled * w[i];
      m[i] += (d - m[i]) * (1 - o.beta1);
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * d * d;
      w[i] = start - rate * m[i] / (std::sqrt(v[i]) / root + o.eps);
    }
  });
}

void add_squares(int64_t count, const float* g, double* sum) {
  *sum += parallel_sum(count, elements_a_thread, [&](int64_t begin, int64_t end) {
    double squares = 0;
    for (int64_t i = begin; i < end; ++i) squares += double(g[i]) * double(g[i]);
    return squares;
  });
}

void clip(int64_t count, double limit, const double* sum, float* g) {
  const float factor = clip_factor(*sum, limit);
  if (factor != 1)
    map_elements(count, g, [=](int64_t i) { return g[i] * factor; });
}

void blend(int64_t count, float keep, const float* w, float* average) {
  map_elements(count, average, [=](int64_t i) { return keep * average[i] + (1 - keep) * w[i]; });
}

void swap(int64_t count, float* a, float* b) {
  parallel_for(count, elements_a_thread,
               [&](int64_t begin, int64_t end) { std::swap_ranges(a + begin, a + end, b + begin); });
}

const OptimizerKernels table{sgd, adam, add_squares, clip, blend, swap};
const Provide<OptimizerKernels> provide{{Device::cpu, 1, "vector loop, all threads", &table}};

}  // namespace
}  // namespace lucida
