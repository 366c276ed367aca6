// What BatchNorm does once a channel; both host rungs share it. The formulas are those of layers/batchnorm.h.
#pragma once
#include <cmath>

#include "layers/batchnorm.h"

namespace lucida::batchnorm_channels {

using Sizes = BatchNormKernels::Sizes;

inline void update_running(Sizes z, float momentum, const float* mean, const float* var, float* running_mean,
                           float* running_var) {
  const float unbiased = float(double(z.rows) / double(z.rows - 1));
  for (int c = 0; c < z.channels; ++c) {
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
  }
}

inline void fold(Sizes z, float eps, const float* mean, const float* var, const float* gamma,
                 const float* beta, float* rstd, float* scale, float* shift) {
  for (int c = 0; c < z.channels; ++c) {
    rstd[c] = 1 / std::sqrt(var[c] + eps);
    scale[c] = gamma[c] * rstd[c];
    shift[c] = beta[c] - mean[c] * scale[c];
  }
}

inline void coefficients(Sizes z, bool of_batch, const float* sum_dy, const float* sum_dy_xhat,
                         const float* mean, const float* rstd, const float* gamma, BatchNormCoefficients k,
                         GradSlot dgamma, GradSlot dbeta) {
  const float per_row = 1 / float(z.rows);
  for (int c = 0; c < z.channels; ++c) {
    if (dgamma)
      dgamma.write(c, sum_dy_xhat[c]);
    if (dbeta)
      dbeta.write(c, sum_dy[c]);
    k.a[c] = gamma[c] * rstd[c];
    k.b[c] = of_batch ? -k.a[c] * rstd[c] * sum_dy_xhat[c] * per_row : 0.0f;
    k.c[c] = of_batch ? -k.a[c] * sum_dy[c] * per_row - k.b[c] * mean[c] : 0.0f;
  }
}

}  // namespace lucida::batchnorm_channels
