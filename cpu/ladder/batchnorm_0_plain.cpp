// BatchNorm, rung 0: the formulas of layers/batchnorm.h as loops, one channel after another.
//
//   statistics   mean = average of x,  var = average of (x - mean)^2
//   normalize    y    = scale * x + shift (+ skip), then max(0, y) where relu is asked
//   reduce       sum_dy = sum of g,  sum_dy_xhat = sum of g * (x - mean) * rstd,  g = dy where relu let it
//                pass
//   apply        dx   = a * g + b * x + c,  dskip = g
//
// A channel's column has a stride of `channels` floats: easy to read, and slow, because each pass fetches
// a whole cache line for one float. Sums are kept in double.
//
// Read next: cpu/batchnorm.cpp (rows in blocks, all channels of a row at once), tests/batchnorm_test.cpp
#include <algorithm>

#include "cpu/batchnorm_channels.h"
#include "engine/parallel.h"
#include "layers/batchnorm.h"

namespace lucida {
namespace {

using Sizes = BatchNormKernels::Sizes;

// body(channel), the channels divided among the threads.
template <class Body>
void every_channel(Sizes z, const Body& body) {
  parallel_for(z.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) body(c);
  });
}

using ReluMask = ReluMaskOf<float>;
float masked(const ReluMask& m, const float* x, const float* dy, int64_t i, int64_t c) {
  if (m.y)
    return m.y[i] > 0 ? dy[i] : 0.0f;
  return !m.scale || m.scale[c] * x[i] + m.shift[c] + (m.skip ? m.skip[i] : 0.0f) > 0 ? dy[i] : 0.0f;
}

void store(GradSlot slot, int64_t index, float value) {
  slot.data[index] = value + (slot.accumulate ? slot.data[index] : 0.0f);
}

// Two passes: E[x^2] - E[x]^2 would cancel where |mean| is far above the deviation.
void statistics(Sizes z, const float* x, float* mean, float* var) {
  every_channel(z, [&](int64_t c) {
    double sum = 0, squares = 0;
    for (int64_t i = c; i < z.rows * z.channels; i += z.channels) sum += x[i];
    const double m = sum / double(z.rows);
    for (int64_t i = c; i < z.rows * z.channels; i += z.channels) squares += (x[i] - m) * (x[i] - m);
    mean[c] = float(m);
    var[c] = float(squares / double(z.rows));
  });
}

void normalize(Sizes z, const float* x, const float* scale, const float* shift, const float* skip, bool relu,
               float* y) {
  every_channel(z, [&](int64_t c) {
    for (int64_t i = c; i < z.rows * z.channels; i += z.channels) {
      const float v = scale[c] * x[i] + shift[c] + (skip ? skip[i] : 0.0f);
      y[i] = relu ? std::max(v, 0.0f) : v;
    }
  });
}

void reduce(Sizes z, const float* x, ReluMask mask, const float* dy, const float* mean, const float* rstd,
            float* sum_dy, float* sum_dy_xhat) {
  every_channel(z, [&](int64_t c) {
    double sum = 0, sum_xhat = 0;
    for (int64_t i = c; i < z.rows * z.channels; i += z.channels) {
      const double g = masked(mask, x, dy, i, c);
      sum += g;
      sum_xhat += g * (double(x[i]) - mean[c]) * rstd[c];
    }
    sum_dy[c] = float(sum);
    sum_dy_xhat[c] = float(sum_xhat);
  });
}

void apply(Sizes z, const float* x, ReluMask mask, const float* dy, const float* a, const float* b,
           const float* c, GradSlot dx, GradSlot dskip) {
  every_channel(z, [&](int64_t ch) {
    for (int64_t i = ch; i < z.rows * z.channels; i += z.channels) {
      const float g = masked(mask, x, dy, i, ch);
      if (dx)
        store(dx, i, a[ch] * g + b[ch] * x[i] + c[ch]);
      if (dskip)
        store(dskip, i, g);
    }
  });
}

constexpr BatchNormKernels table{statistics,
                                 batchnorm_channels::update_running,
                                 batchnorm_channels::fold,
                                 normalize,
                                 reduce,
                                 batchnorm_channels::coefficients,
                                 apply};
const Provide<BatchNormKernels> provide{{Device::cpu, 0, "the formulas as loops over a channel", &table}};

}  // namespace
}  // namespace lucida
