// Optimizer steps, 16 bytes a lane.
//   math      engine/optimizer.h
//   mapping   cuda/elementwise.cuh; the sum of squares cuda/sum.cuh
//   traffic   sgd reads g, w, m and writes w, m: 20 bytes a parameter. Adam reads g, w, m, v and writes w, m,
//             v: 28, so ResNet-50's 25.6 million parameters are 716 MB a step
//             clipping reads g, and reads and writes it once more where the norm is too large
//   roofline  memory: Adam has two divisions and a root for 28 bytes
//   measured  (PTX simulator, 2026-11) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB: sgd 24, Adam 28, sum of squares 93 (conversions to double), clip 35, blend 24, swap 13.
//             Rung 0: 48, 58, 60, 108, 64, 40 in requests of 128 bytes
#include "engine/optimizer.h"

#include "cuda/elementwise.cuh"
#include "cuda/sum.cuh"

namespace lucida {
namespace {

using Step = OptimizerKernels::Step;
constexpr int clip_threads = 256;

struct Sgd {
  float lr, decay, keep, momentum;
  bool nesterov;
  __device__ void operator()(float g, float& w, float& m) const {
    const float d = g + decay * w;
    m = keep * m + d;
    w -= lr * (nesterov ? d + momentum * m : m);
  }
};

struct Adam {
  float rate, root, shrink, coupled_decay, beta1, beta2, eps;
  __device__ void operator()(float g, float& w, float& m, float& v) const {
    const float start = w * shrink, d = g + coupled_decay * w;
    m += (d - m) * (1 - beta1);
    v = beta2 * v + (1 - beta2) * d * d;
    w = start - rate * m / (sqrtf(v) / root + eps);
  }
};

struct Blend {
  float keep;
  __device__ void operator()(float w, float& average) const { average = keep * average + (1 - keep) * w; }
};
struct Swap {
  __device__ void operator()(float& a, float& b) const {
    const float old = a;
    a = b;
    b = old;
  }
};
struct Square {
  __device__ double operator()(float g) const { return double(g) * double(g); }
};
struct Add {
  double* sum;
  __device__ void operator()(double squares) const { *sum += squares; }
};

struct Factor {
  float value;
};
// g *= clip_factor(*sum). Whether that is 1 only the device knows; the gradients are not touched then. One
// thread of a block computes it: root and division in double are dozens of instructions.
__global__ void __launch_bounds__(clip_threads)
    clip_kernel(int64_t count, bool packs, double limit, const double* sum, float* g) {
  using P = Pack<float>;
  float& factor = shared<Factor>().value;
  if (threadIdx.x == 0)
    factor = clip_factor(*sum, limit);
  __syncthreads();
  const float f = factor;
  const int64_t i = (int64_t(blockIdx.x) * clip_threads + threadIdx.x) * P::size;
  if (f == 1)
    return;
  if (packs && i + P::size <= count) {
    P v = load_pack(g + i);
    for (int k = 0; k < P::size; ++k) v[k] *= f;
    store_pack(g + i, v);
  } else {
    for (int64_t e = i; e < i + P::size && e < count; ++e) g[e] *= f;
  }
}

void sgd(const OptimizerOptions& o, Step s, const float* g, float* w, float* m) {
  const float keep = s.step == 1 ? 0 : o.momentum;  // the first momentum is the gradient itself
  update_elements("optimizer sgd", s.count, Sgd{s.lr, s.decay, keep, o.momentum, o.nesterov}, g, w, m);
}

void adam(const OptimizerOptions& o, Step s, const float* g, float* w, float* m, float* v) {
  const AdamCorrection c(o, s);
  const bool decoupled = o.kind == OptimizerOptions::adamw;
  const Adam step{c.rate,  c.root, decoupled ? 1 - s.lr * s.decay : 1, decoupled ? 0 : s.decay, o.beta1,
                  o.beta2, o.eps};
  update_elements("optimizer adam", s.count, step, g, w, m, v);
}

void add_squares(int64_t count, const float* g, double* sum) {
  sum_elements("optimizer squares", count, Square{}, Add{sum}, g);
}
void clip(int64_t count, double limit, const double* sum, float* g) {
  const unsigned blocks = unsigned(blocks_for(count, clip_threads * Pack<float>::size));
  if (blocks > 0)
    launch("optimizer clip", {dim3(blocks), clip_threads}, clip_kernel, count, aligned_for_packs(g), limit,
           sum, g);
}
void blend(int64_t count, float keep, const float* w, float* average) {
  update_elements("optimizer blend", count, Blend{keep}, w, average);
}
void swap(int64_t count, float* a, float* b) {
  update_elements("optimizer swap", count, Swap{}, a, b);
}

const OptimizerKernels table{sgd, adam, add_squares, clip, blend, swap};
const Provide<OptimizerKernels> provide{{this_device, 1, "16 bytes a lane", &table}};

}  // namespace
}  // namespace lucida
