// Weighted binary cross-entropy: partial sums of many blocks, added in a fixed order.
//   math      l = max(x, 0) - x t + log1p(exp(-|x|)),  loss = sum of w l / count,
//             dx = dloss / count * w (p - t)
//   mapping   forward cuda/sum.cuh, backward and targets cuda/elementwise.cuh; dloss stays on the device
//   traffic   8 bytes an entry forward (12 with weights), 12 backward (16)
//   roofline  a batch has some thousand logits: the launches are the cost
//   measured  (PTX simulator, 2^18 logits, 2026-11) 1.00 of the minimal bytes, 512 bytes a request; 283 warp
//             instructions a KB forward (exp and log1p), 51 backward
#include "layers/losses/bce.h"

#include "cuda/elementwise.cuh"
#include "cuda/sum.cuh"

namespace lucida {
namespace {

__device__ float loss_of(float x, float t) {
  return fmaxf(x, 0) - x * t + log1pf(expf(-fabsf(x)));
}

struct Loss {
  __device__ double operator()(float x, float t) const { return loss_of(x, t); }
  __device__ double operator()(float x, float t, float w) const { return w * loss_of(x, t); }
};

struct StoreMean {
  float* loss;
  double count;
  __device__ void operator()(double total) const { *loss = float(total / count); }
};

struct LossGradient {
  const float* dloss;
  float count;
  __device__ float operator()(float x, float t, float w = 1) const {
    return *dloss / count * w * (1 / (1 + expf(-x)) - t);
  }
};

struct IsPositive {
  __device__ float operator()(float label) const { return label == 1 ? 1.0f : 0.0f; }
};

void forward(int64_t count, const float* x, const float* t, const float* w, float* loss) {
  const StoreMean mean{loss, double(count)};
  if (w)
    sum_elements("bce forward", count, Loss{}, mean, x, t, w);
  else
    sum_elements("bce forward", count, Loss{}, mean, x, t);
}

void backward(int64_t count, const float* dloss, const float* x, const float* t, const float* w,
              GradSlot dx) {
  const LossGradient gradient{dloss, float(count)};
  if (w)
    map_elements("bce backward", count, gradient, dx, x, t, w);
  else
    map_elements("bce backward", count, gradient, dx, x, t);
}

void targets(int64_t count, const float* labels, float* t) {
  map_elements("bce targets", count, IsPositive{}, t, labels);
}

const BceKernels table{forward, backward, targets};
const Provide<BceKernels> provide{{this_device, 1, "blocks in parallel, ordered sum", &table}};

}  // namespace
}  // namespace lucida
