// What every device rung of BatchNorm shares: what is done once a channel, one thread each. The formulas are
// those of layers/batchnorm.h. A few KiB are read and written: such a launch costs what a launch costs.
#pragma once
#include "cuda/element.cuh"
#include "layers/batchnorm.h"

namespace lucida::batchnorm_channels {

constexpr int threads = 128;

inline Grid grid_for(int channels) {
  return {dim3(unsigned(blocks_for(channels, threads))), threads};
}

static __global__ void update_running_kernel(int channels, float momentum, float unbiased, const float* mean,
                                             const float* var, float* running_mean, float* running_var) {
  const int c = int(blockIdx.x) * threads + int(threadIdx.x);
  if (c >= channels)
    return;
  running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
  running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
}

static __global__ void fold_kernel(int channels, float eps, const float* mean, const float* var,
                                   const float* gamma, const float* beta, float* rstd, float* scale,
                                   float* shift) {
  const int c = int(blockIdx.x) * threads + int(threadIdx.x);
  if (c >= channels)
    return;
  const float r = 1 / sqrtf(var[c] + eps), s = gamma[c] * r;
  rstd[c] = r;
  scale[c] = s;
  shift[c] = beta[c] - mean[c] * s;
}

// per_row is 1 / rows, or 0 for statistics that are not of the batch: then b = c = 0.
static __global__ void coefficients_kernel(int channels, float per_row, const float* sum_dy,
                                           const float* sum_dy_xhat, const float* mean, const float* rstd,
                                           const float* gamma, BatchNormCoefficients k, GradSlot dgamma,
                                           GradSlot dbeta) {
  const int c = int(blockIdx.x) * threads + int(threadIdx.x);
  if (c >= channels)
    return;
  if (dgamma)
    dgamma.write(c, sum_dy_xhat[c]);
  if (dbeta)
    dbeta.write(c, sum_dy[c]);
  const float a = gamma[c] * rstd[c];
  // Not a product with 0: nobody wrote the sums where nobody needs them.
  const float b = per_row > 0 ? -a * rstd[c] * sum_dy_xhat[c] * per_row : 0.0f;
  k.a[c] = a;
  k.b[c] = b;
  k.c[c] = per_row > 0 ? -a * sum_dy[c] * per_row - b * mean[c] : 0.0f;
}

template <class Sizes>
void update_running(Sizes z, float momentum, const float* mean, const float* var, float* running_mean,
                    float* running_var) {
  const auto unbiased = float(double(z.rows) / double(z.rows - 1));
  launch("batchnorm update_running", grid_for(z.channels), update_running_kernel, z.channels, momentum,
         unbiased, mean, var, running_mean, running_var);
}

template <class Sizes>
void fold(Sizes z, float eps, const float* mean, const float* var, const float* gamma, const float* beta,
          float* rstd, float* scale, float* shift) {
  launch("batchnorm fold", grid_for(z.channels), fold_kernel, z.channels, eps, mean, var, gamma, beta, rstd,
         scale, shift);
}

template <class Sizes>
void coefficients(Sizes z, bool of_batch, const float* sum_dy, const float* sum_dy_xhat, const float* mean,
                  const float* rstd, const float* gamma, BatchNormCoefficients k, GradSlot dgamma,
                  GradSlot dbeta) {
  launch("batchnorm coefficients", grid_for(z.channels), coefficients_kernel, z.channels,
         of_batch ? 1 / float(z.rows) : 0.0f, sum_dy, sum_dy_xhat, mean, rstd, gamma, k, dgamma, dbeta);
}

// The table of a rung: its passes over the tensors, and what is done once a channel.
template <class T>
using Table = BatchNormKernelsOf<T>;
template <class T>
constexpr Table<T> table_of(decltype(Table<T>::statistics) statistics,
                            decltype(Table<T>::normalize) normalize, decltype(Table<T>::reduce) reduce,
                            decltype(Table<T>::apply) apply) {
  using Sizes = typename Table<T>::Sizes;
  return {statistics, update_running<Sizes>, fold<Sizes>, normalize, reduce, coefficients<Sizes>, apply};
}

}  // namespace lucida::batchnorm_channels

namespace lucida {

// dy of element i of channel c where relu let it pass.
template <class T>
__device__ float masked(const ReluMaskOf<T>& m, const T* x, const T* dy, int64_t i, int c) {
  if (m.y)
    return widen(m.y[i]) > 0 ? widen(dy[i]) : 0.0f;
  return !m.scale || m.scale[c] * widen(x[i]) + m.shift[c] > 0 ? widen(dy[i]) : 0.0f;
}

}  // namespace lucida
