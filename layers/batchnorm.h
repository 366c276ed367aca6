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
//             cpu/ladder/batchnorm_0_plain.cpp   the formulas as loops
//             cpu/batchnorm.cpp                  vectorised, fused with relu and add
//             tests/batchnorm_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "engine/parameters.h"
#include "layers/mode.h"

namespace lucida {

struct BatchNorm2d {
  explicit BatchNorm2d(int channels);
  void visit(Visitor& v);

  Tensor gamma, beta, running_mean, running_var;  // each [channels]
  float momentum = 0.1f, eps = 1e-5f;
  bool frozen = false;
};

// x [N,H,W,C] -> the same shape. The fused forms save a pass over memory for each part:
Tensor batchnorm2d(BatchNorm2d&, const Tensor& x, Mode);
Tensor batchnorm_relu(BatchNorm2d&, const Tensor& x, Mode);                          // max(0, bn(x))
Tensor batchnorm_add_relu(BatchNorm2d&, const Tensor& x, const Tensor& skip, Mode);  // max(0, bn(x) + skip)

// What a backend provides. x, y, dy, dx and skip are [rows, channels], everything else is [channels].
struct BatchNormKernels {
  static constexpr std::string_view name = "batchnorm2d";
  struct Sizes {
    int64_t rows;  // N*H*W
    int channels;
  };
  // Two-pass or shifted sums: E[x^2] - E[x]^2 loses everything when |mean| >> deviation.
  void (*statistics)(Sizes, const float* x, float* mean, float* var);
  // y = scale * x + shift (+ skip) (then relu).
  void (*normalize)(Sizes, const float* x, const float* scale, const float* shift,
                    const float* skip /*or null*/, bool relu, float* y);
  // sum_dy and sum_dy_xhat over g = dy where y > 0 (y null: g = dy everywhere).
  void (*reduce)(Sizes, const float* x, const float* y /*or null*/, const float* dy, const float* mean,
                 const float* rstd, float* sum_dy, float* sum_dy_xhat);
  // dx = a * g + b * x + c per channel, dskip = g, with the same mask.
  void (*apply)(Sizes, const float* x, const float* y /*or null*/, const float* dy, const float* a,
                const float* b, const float* c, GradSlot dx, GradSlot dskip);
};

}  // namespace lucida
