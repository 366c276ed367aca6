#include "layers/batchnorm.h"

#include <utility>

#include "engine/autograd.h"
#include "engine/memory.h"

namespace lucida {
namespace {

template <class T>
using Kernels = BatchNormKernelsOf<T>;

// Per-channel vectors of one call; [channels] each.
struct Statistics {
  Tensor mean, rstd, scale, shift;
  bool of_batch;  // false: running values, constants of the derivative
};

void check(const BatchNorm2d& bn, const Tensor& x, const Tensor& skip) {
  const int channels = int(bn.gamma.count());
  require(x.shape().rank() == 4, "batchnorm2d: x must be [N,H,W,C], got ", x.shape());
  require(x.shape()[3] == channels, "batchnorm2d: x is ", x.shape(), " but the layer has ", channels,
          " channels");
  require(!skip.defined() || (skip.shape() == x.shape() && skip.dtype() == x.dtype()), "batchnorm2d: x is ",
          x.shape(), " but skip is ", skip.defined() ? skip.shape() : Shape{});
}

template <class T>
Statistics statistics(BatchNorm2d& bn, const Tensor& x, typename Kernels<T>::Sizes s, Mode mode,
                      const Kernels<T>& kernels) {
  const auto per_channel = [&] { return Tensor::empty({s.channels}, x.device()); };
  const bool of_batch = mode != Mode::eval && !bn.frozen;
  if (of_batch)
    require(s.rows > 1, "batchnorm2d: training needs more than one value a channel, got ", x.shape());
  const Tensor mean = of_batch ? per_channel() : bn.running_mean;
  const Tensor var = of_batch ? per_channel() : bn.running_var;
  if (of_batch) {
    kernels.statistics(s, x.data<T>(), mean.data(), var.data());
    if (mode == Mode::train)
      kernels.update_running(s, bn.momentum, mean.data(), var.data(), bn.running_mean.data(),
                             bn.running_var.data());
  }
  const Statistics st{mean, per_channel(), per_channel(), per_channel(), of_batch};
  kernels.fold(s, bn.eps, mean.data(), var.data(), bn.gamma.data(), bn.beta.data(), st.rstd.data(),
               st.scale.data(), st.shift.data());
  return st;
}

// What the derivative needs; y only where a relu masks it that x and a skip with values do not tell.
struct Saved {
  Tensor x, y, skip, gamma, beta;
  Statistics statistics;
  bool relu;

  template <class T>
  ReluMaskOf<T> mask() const {
    if (!relu)
      return {};
    if (y.defined())
      return {y.data<T>()};
    return {statistics.scale.data(), statistics.shift.data(), skip.defined() ? skip.data<T>() : nullptr};
  }
};

// dx = gamma*rstd * (g - mean(g) - xhat * mean(g*xhat)) written as a*g + b*x + c; the last two vanish for
// running statistics.
template <class T>
void backward(const Saved& s, const Kernels<T>& kernels, typename Kernels<T>::Sizes sizes, const Tensor& dy) {
  const auto per_channel = [&] { return Tensor::empty({sizes.channels}, dy.device()); };
  const float *mean = s.statistics.mean.data(), *rstd = s.statistics.rstd.data();
  const ReluMaskOf<T> mask = s.mask<T>();
  const Tensor sum = per_channel(), sum_xhat = per_channel();
  const Tensor a = per_channel(), b = per_channel(), c = per_channel();
  const GradSlot dgamma = s.gamma.grad_slot(), dbeta = s.beta.grad_slot();
  if (dgamma || dbeta || s.statistics.of_batch)
    kernels.reduce(sizes, s.x.data<T>(), mask, dy.data<T>(), mean, rstd, sum.data(), sum_xhat.data());
  kernels.coefficients(sizes, s.statistics.of_batch, sum.data(), sum_xhat.data(), mean, rstd, s.gamma.data(),
                       {a.data(), b.data(), c.data()}, dgamma, dbeta);
  const auto dx = s.x.grad_slot_over<T>(dy), dskip = s.skip.grad_slot<T>();
  if (dx || dskip)
    kernels.apply(sizes, s.x.data<T>(), mask, dy.data<T>(), a.data(), b.data(), c.data(), dx, dskip);
}

// One pass over memory in exchange for a third of the activations, on the host, where memory is scarce. What
// was added must still be there then, without being made again first.
bool makes_again(const Tensor& x, const Tensor& skip) {
  const bool skip_stays = !skip.defined() || skip.saved().has_values();
  return Tape::keeping() && x.device().kind == Device::cpu && reuses_memory() && skip_stays;
}

// Where the result goes: over skip, which nobody else reads, or over x if no derivative will read it.
Tensor place_for_result(Tensor& x, Tensor& skip) {
  if (skip.defined() && skip.may_be_overwritten())
    return std::exchange(skip, skip.without_values()).overwritten();
  if (!Tape::keeping() && x.may_be_overwritten())
    return std::exchange(x, x.without_values()).overwritten();
  return Tensor::empty(x.shape(), x.device(), x.dtype());
}

// When the result is computed: now, or later where whoever reads it is a convolution or can make it again.
enum class When { now, later };

Normalized run(std::string_view name, BatchNorm2d& bn, Tensor x, Tensor skip, bool relu, Mode mode,
               When when = When::now) {
  const MemoryLabel label(name);
  check(bn, x, skip);
  return by_dtype(x, [&]<class T>(T) {
    const auto& kernels = kernels_for<Kernels<T>>(x.device());
    const typename Kernels<T>::Sizes sizes{x.count() / bn.gamma.count(), int(bn.gamma.count())};
    const Statistics st = statistics<T>(bn, x, sizes, mode, kernels);
    const auto maker = [&] {
      return [&kernels, sizes, x, skip, st, relu](const Tensor& into) {
        kernels.normalize(sizes, x.data<T>(), st.scale.data(), st.shift.data(),
                          skip.defined() ? skip.data<T>() : nullptr, relu, into.data<T>());
      };
    };
    const bool later = when == When::later && makes_again(x, skip) && !checking_finite();
    Tensor y;
    if (later) {
      y = Tensor::to_be_made(x.shape(), x.device(), x.dtype(), maker());
    } else {
      const T *from = x.data<T>(), *added = skip.defined() ? skip.data<T>() : nullptr;
      y = place_for_result(x, skip);
      kernels.normalize(sizes, from, st.scale.data(), st.shift.data(), added, relu, y.data<T>());
    }
    const bool again = makes_again(x, skip);
    if (again && !later)
      y.can_be_made_again(maker());
    const Saved saved{x,
                      relu && skip.defined() && !again ? y : Tensor(),
                      again ? skip : skip.without_values(),
                      bn.gamma,
                      bn.beta.without_values(),
                      st,
                      relu};
    y = record(name, y, {&x, &skip, &bn.gamma, &bn.beta},
               [saved, &kernels, sizes](const Tensor& dy) { backward<T>(saved, kernels, sizes, dy); });
    return later ? Normalized{y, x, st.scale, st.shift} : Normalized{y, {}, {}, {}};
  });
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

Tensor batchnorm2d(BatchNorm2d& bn, Tensor x, Mode mode) {
  return run("batchnorm2d", bn, std::move(x), {}, false, mode).y;
}

Tensor batchnorm_relu(BatchNorm2d& bn, Tensor x, Mode mode) {
  return run("batchnorm_relu", bn, std::move(x), {}, true, mode).y;
}

Tensor batchnorm_add_relu(BatchNorm2d& bn, Tensor x, Tensor skip, Mode mode) {
  return run("batchnorm_add_relu", bn, std::move(x), std::move(skip), true, mode).y;
}

Normalized batchnorm_relu_on_the_way(BatchNorm2d& bn, Tensor x, Mode mode) {
  return run("batchnorm_relu", bn, std::move(x), {}, true, mode, When::later);
}

}  // namespace lucida
