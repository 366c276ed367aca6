// BatchNorm2d:  y = gamma * (x - mean) * rstd + beta,   rstd = 1 / sqrt(var + eps)
// per channel; mean and (biased) var over N,H,W of the batch in Mode::train, the running values in
// Mode::eval. Ioffe and Szegedy, "Batch normalization", 2015. As in PyTorch,
//     running = (1 - momentum) * running + momentum * batch,   with the unbiased variance (count - 1).
// Frozen layers (`frozen = true`) use the running values in every mode and leave them alone.
//
// Derivative, with xhat = (x - mean) * rstd and averages over the batch:
//     dgamma = sum dy * xhat,  dbeta = sum dy
//     dx = gamma * rstd * (dy - mean(dy) - xhat * mean(dy * xhat))        train
//     dx = gamma * rstd * dy                                              eval, frozen
//
// Read next:  layers/batchnorm.cpp               checks, running statistics, derivative
//             layers/normalized.h                relu(bn(x)) left to a convolution
//             cpu/ladder/batchnorm_0_plain.cpp   the formulas as loops
//             cpu/batchnorm.cpp                  vectorised, fused with relu and add
//             tests/batchnorm_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "engine/parameters.h"
#include "layers/mode.h"
#include "layers/normalized.h"

namespace lucida {

struct BatchNorm2d {
  explicit BatchNorm2d(int channels);
  void visit(Visitor& v);

  Tensor gamma, beta, running_mean, running_var;  // each [channels]
  float momentum = 0.1f, eps = 1e-5f;
  bool frozen = false;
};

// x [N,H,W,C] -> the same shape. The fused forms save a pass over memory for each part. On the host the
// result lies where skip lay, or without a tape where x lay, if the caller gave up the only handle to it.
//
// For the way back x is kept. On the host the result is not: whoever saved it gets it made again from x,
// scale, shift and skip, one pass over memory, the same bits. It is kept only where skip is written over or
// could itself be made again: in a chain of residual blocks every other result, so that making one again
// makes no other. In ResNet-50 that is 28 MiB of the 86 MiB that an image of 224 x 224 would keep.
Tensor batchnorm2d(BatchNorm2d&, Tensor x, Mode);
Tensor batchnorm_relu(BatchNorm2d&, Tensor x, Mode);                   // max(0, bn(x))
Tensor batchnorm_add_relu(BatchNorm2d&, Tensor x, Tensor skip, Mode);  // max(0, bn(x) + skip)
// batchnorm_relu for a convolution, which may compute it as it gathers x: where the values could be made
// again anyway they are not made at all (layers/normalized.h).
Normalized batchnorm_relu_on_the_way(BatchNorm2d&, Tensor x, Mode);

struct BatchNormCoefficients {
  float *a, *b, *c;  // each [channels]
};

// Which elements relu let through: those with y > 0. Where y = scale * x + shift and nothing else, x tells
// it as well and is read anyway, so y need not be: 4 reads and 1 write on the way back instead of 6 and 1.
// Where skip was added and is kept, skip is read in place of y, which need not be kept then.
template <class T>
struct ReluMaskOf {
  const T* y = nullptr;  // given: where y > 0
  const float *scale = nullptr,
              *shift = nullptr;      // given: where scale * x + shift (+ skip) > 0, as normalize computed it
  const T* skip = nullptr;           // given on the host alone
  constexpr ReluMaskOf() = default;  // everywhere
  constexpr ReluMaskOf(const T* y_) : y(y_) {}
  constexpr ReluMaskOf(const float* scale_, const float* shift_, const T* skip_ = nullptr)
      : scale(scale_), shift(shift_), skip(skip_) {}
};

// What a backend provides, T being the type of x, y, dy, dx and skip, which are [rows, channels]; everything
// else is f32 [channels].
template <class T>
struct BatchNormKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "batchnorm2d";
  struct Sizes {
    int64_t rows;  // N*H*W
    int channels;
  };
  // Two-pass or shifted sums: E[x^2] - E[x]^2 loses everything when |mean| >> deviation.
  void (*statistics)(Sizes, const T* x, float* mean, float* var);
  // running = (1 - momentum) * running + momentum * batch, with the unbiased variance.
  void (*update_running)(Sizes, float momentum, const float* mean, const float* var, float* running_mean,
                         float* running_var);
  // rstd = 1 / sqrt(var + eps), scale = gamma * rstd, shift = beta - mean * scale.
  void (*fold)(Sizes, float eps, const float* mean, const float* var, const float* gamma, const float* beta,
               float* rstd, float* scale, float* shift);
  // y = scale * x + shift (+ skip) (then relu).
  void (*normalize)(Sizes, const T* x, const float* scale, const float* shift, const T* skip /*or null*/,
                    bool relu, T* y);
  // sum_dy and sum_dy_xhat over g = dy where the mask lets it pass, else 0.
  void (*reduce)(Sizes, const T* x, ReluMaskOf<T>, const T* dy, const float* mean, const float* rstd,
                 float* sum_dy, float* sum_dy_xhat);
  // dgamma = sum_dy_xhat, dbeta = sum_dy, and what apply needs: a = gamma * rstd, and for statistics of the
  // batch  b = -a * rstd * sum_dy_xhat / rows,  c = -a * sum_dy / rows - b * mean;  else b = c = 0.
  void (*coefficients)(Sizes, bool of_batch, const float* sum_dy, const float* sum_dy_xhat, const float* mean,
                       const float* rstd, const float* gamma, BatchNormCoefficients, GradSlot dgamma,
                       GradSlot dbeta);
  // dx = a * g + b * x + c per channel, dskip = g, with the same mask.
  void (*apply)(Sizes, const T* x, ReluMaskOf<T>, const T* dy, const float* a, const float* b, const float* c,
                GradSlotOf<T> dx, GradSlotOf<T> dskip);
};
using BatchNormKernels = BatchNormKernelsOf<float>;

}  // namespace lucida
