#include "layers/batchnorm.h"

#include <cmath>

#include "engine/autograd.h"
#include "engine/memory.h"

namespace lucida {
namespace {

using Sizes = BatchNormKernels::Sizes;

// Per-channel vectors of one call; [channels] each.
struct Statistics {
  Tensor mean, rstd;
  bool of_batch;  // false: running values, constants of the derivative
};

Sizes check(const BatchNorm2d& bn, const Tensor& x, const Tensor& skip) {
  const int channels = int(bn.gamma.count());
  require(x.shape().rank() == 4, "batchnorm2d: x must be [N,H,W,C], got ", x.shape());
  require(x.shape()[3] == channels, "batchnorm2d: x is ", x.shape(), " but the layer has ", channels,
          " channels");
  require(!skip.defined() || skip.shape() == x.shape(), "batchnorm2d: x is ", x.shape(), " but skip is ",
          skip.defined() ? skip.shape() : Shape{});
  return {x.count() / channels, channels};
}

void update_running(BatchNorm2d& bn, const float* mean, const float* var, int64_t rows) {
  const float unbiased = float(double(rows) / double(rows - 1)), m = bn.momentum;
  float *running_mean = bn.running_mean.data(), *running_var = bn.running_var.data();
  for (int64_t c = 0; c < bn.gamma.count(); ++c) {
    running_mean[c] = (1 - m) * running_mean[c] + m * mean[c];
    running_var[c] = (1 - m) * running_var[c] + m * unbiased * var[c];
  }
}

Statistics statistics(BatchNorm2d& bn, const Tensor& x, Sizes s, Mode mode, const BatchNormKernels& kernels) {
  const bool of_batch = mode == Mode::train && !bn.frozen;
  if (of_batch)
    require(s.rows > 1, "batchnorm2d: training needs more than one value a channel, got ", x.shape());
  const Tensor mean = of_batch ? Tensor::empty({s.channels}, x.device()) : bn.running_mean;
  const Tensor var = of_batch ? Tensor::empty({s.channels}, x.device()) : bn.running_var;
  if (of_batch) {
    kernels.statistics(s, x.data(), mean.data(), var.data());
    update_running(bn, mean.data(), var.data(), s.rows);
  }
  const Tensor rstd = Tensor::empty({s.channels}, x.device());
  for (int c = 0; c < s.channels; ++c) rstd.data()[c] = 1 / std::sqrt(var.data()[c] + bn.eps);
  return {mean, rstd, of_batch};
}

void forward(const BatchNorm2d& bn, const BatchNormKernels& kernels, Sizes s, const Statistics& st,
             const Tensor& x, const Tensor& skip, bool relu, const Tensor& y) {
  std::vector<float> scale(static_cast<size_t>(s.channels)), shift(scale);
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] = bn.gamma.data()[c] * st.rstd.data()[c];
    shift[c] = bn.beta.data()[c] - st.mean.data()[c] * scale[c];
  }
  const float* add = skip.defined() ? skip.data() : nullptr;
  kernels.normalize(s, x.data(), scale.data(), shift.data(), add, relu, y.data());
}

// What the derivative needs; y only when a relu masks it.
struct Saved {
  Tensor x, y, skip, gamma, beta;
  Statistics statistics;
};

// dx = gamma*rstd * (g - mean(g) - xhat * mean(g*xhat)) written as a*g + b*x + c; the last two vanish for
// running statistics.
void backward(const Saved& s, const BatchNormKernels& kernels, Sizes sizes, const Tensor& dy) {
  const size_t channels = size_t(sizes.channels);
  const float *mean = s.statistics.mean.data(), *rstd = s.statistics.rstd.data();
  const float* y = s.y.defined() ? s.y.data() : nullptr;
  std::vector<float> sum(channels), sum_xhat(channels), a(channels), b(channels), c(channels);
  const GradSlot dgamma = s.gamma.grad_slot(), dbeta = s.beta.grad_slot();
  if (dgamma || dbeta || s.statistics.of_batch)
    kernels.reduce(sizes, s.x.data(), y, dy.data(), mean, rstd, sum.data(), sum_xhat.data());
  const float per_row = s.statistics.of_batch ? 1 / float(sizes.rows) : 0;
  for (size_t k = 0; k < channels; ++k) {
    if (dgamma)
      dgamma.write(int64_t(k), sum_xhat[k]);
    if (dbeta)
      dbeta.write(int64_t(k), sum[k]);
    a[k] = s.gamma.data()[k] * rstd[k];
    b[k] = -a[k] * rstd[k] * sum_xhat[k] * per_row;
    c[k] = -a[k] * sum[k] * per_row - b[k] * mean[k];
  }
  const GradSlot dx = s.x.grad_slot(), dskip = s.skip.grad_slot();
  if (dx || dskip)
    kernels.apply(sizes, s.x.data(), y, dy.data(), a.data(), b.data(), c.data(), dx, dskip);
}

Tensor run(std::string_view name, BatchNorm2d& bn, const Tensor& x, const Tensor& skip, bool relu,
           Mode mode) {
  const MemoryLabel label(name);
  const Sizes sizes = check(bn, x, skip);
  const auto& kernels = kernels_for<BatchNormKernels>(x.device());
  const Statistics st = statistics(bn, x, sizes, mode, kernels);
  const Tensor y = Tensor::empty(x.shape(), x.device());
  forward(bn, kernels, sizes, st, x, skip, relu, y);
  const Saved saved{x, relu ? y : Tensor(), skip, bn.gamma, bn.beta, st};
  return record(name, y, {&x, &skip, &bn.gamma, &bn.beta},
                [saved, &kernels, sizes](const Tensor& dy) { backward(saved, kernels, sizes, dy); });
}

}  // namespace

BatchNorm2d::BatchNorm2d(int channels)
    : gamma(Tensor::full({channels}, 1).want_grad()),
      beta(Tensor::full({channels}, 0).want_grad()),
      running_mean(Tensor::full({channels}, 0)),
      running_var(Tensor::full({channels}, 1)) {}

void BatchNorm2d::visit(Visitor& v) {
  v.norm("weight", gamma);
  v.norm("bias", beta);
  v.buffer("running_mean", running_mean);
  v.buffer("running_var", running_var);
}

Tensor batchnorm2d(BatchNorm2d& bn, const Tensor& x, Mode mode) {
  return run("batchnorm2d", bn, x, {}, false, mode);
}

Tensor batchnorm_relu(BatchNorm2d& bn, const Tensor& x, Mode mode) {
  return run("batchnorm_relu", bn, x, {}, true, mode);
}

Tensor batchnorm_add_relu(BatchNorm2d& bn, const Tensor& x, const Tensor& skip, Mode mode) {
  return run("batchnorm_add_relu", bn, x, skip, true, mode);
}

}  // namespace lucida
