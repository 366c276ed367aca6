// Linear as plain loops.
#include "layers/linear.h"

namespace lucida {
namespace {

using Sizes = LinearKernels::Sizes;

void forward(Sizes s, const float* x, const float* w, const float* bias, float* y) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t o = 0; o < s.out; ++o) {
      float sum = bias ? bias[o] : 0;
      for (int64_t i = 0; i < s.in; ++i) sum += x[n * s.in + i] * w[o * s.in + i];
      y[n * s.out + o] = sum;
    }
}

void backward_data(Sizes s, const float* dy, const float* w, GradSlot dx) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t i = 0; i < s.in; ++i) {
      float sum = 0;
      for (int64_t o = 0; o < s.out; ++o) sum += dy[n * s.out + o] * w[o * s.in + i];
      dx.write(n * s.in + i, sum);
    }
}

void backward_weight(Sizes s, const float* x, const float* dy, GradSlot dw) {
  for (int64_t o = 0; o < s.out; ++o)
    for (int64_t i = 0; i < s.in; ++i) {
      float sum = 0;
      for (int64_t n = 0; n < s.n; ++n) sum += dy[n * s.out + o] * x[n * s.in + i];
      dw.write(o * s.in + i, sum);
    }
}

void backward_bias(Sizes s, const float* dy, GradSlot db) {
  for (int64_t o = 0; o < s.out; ++o) {
    float sum = 0;
    for (int64_t n = 0; n < s.n; ++n) sum += dy[n * s.out + o];
    db.write(o, sum);
  }
}

const LinearKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<LinearKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
