// Optimizer steps, rung 0: one thread a parameter.
//   math      engine/optimizer.h
//   mapping   thread i of the grid has parameter i
//   traffic   sgd reads g, w, m and writes w, m: 20 bytes a parameter; Adam 28. 4 bytes a request of a lane
//   roofline  memory
//   weak spot one parameter under way a thread: latency is hidden by other warps alone
//   why it loses to the next rung: a warp moves 128 bytes a request where 512 are possible, and the sum of
//             squares is finished by a single thread
#include "cuda/element.cuh"
#include "engine/memory.h"
#include "engine/optimizer.h"

namespace lucida {
namespace {

using Step = OptimizerKernels::Step;
constexpr int threads = 256, sum_blocks = 64;

__device__ int64_t my_index() {
  return int64_t(blockIdx.x) * threads + threadIdx.x;
}
Grid one_thread_each(int64_t count) {
  return {dim3(unsigned(blocks_for(count, threads))), threads};
}

__global__ void sgd_kernel(Step s, float keep, float momentum, bool nesterov, const float* g, float* w,
                           float* m) {
  const int64_t i = my_index();
  if (i >= s.count)
    return;
  const float d = g[i] + s.decay * w[i];
  m[i] = keep * m[i] + d;
  w[i] -= s.lr * (nesterov ? d + momentum * m[i] : m[i]);
}

// rate = lr / (1 - b1^t), root = sqrt(1 - b2^t)
__global__ void adam_kernel(Step s, OptimizerOptions o, float rate, float root, const float* g, float* w,
                            float* m, float* v) {
  const int64_t i = my_index();
  if (i >= s.count)
    return;
  const bool decoupled = o.kind == OptimizerOptions::adamw;
  const float start = decoupled ? w[i] * (1 - s.lr * s.decay) : w[i];
  const float d = decoupled ? g[i] : g[i] + s.decay * w[i];
  m[i] += (d - m[i]) * (1 - o.beta1);
  v[i] = o.beta2 * v[i] + (1 - o.beta2) * d * d;
  w[i] = start - rate * m[i] / (sqrtf(v[i]) / root + o.eps);
}

__global__ void squares_kernel(int64_t count, const float* g, double* partial) {
  double sum = 0;
  for (int64_t i = my_index(); i < count; i += sum_blocks * threads) sum += double(g[i]) * double(g[i]);
  partial[my_index()] = sum;
}
__global__ void total_kernel(const double* partial, double* sum) {
  double total = 0;
  for (int i = 0; i < sum_blocks * threads; ++i) total += partial[i];
  *sum += total;
}

__global__ void clip_kernel(int64_t count, double limit, const double* sum, float* g) {
  if (const int64_t i = my_index(); i < count)
    g[i] *= clip_factor(*sum, limit);
}
__global__ void blend_kernel(int64_t count, float keep, const float* w, float* average) {
  if (const int64_t i = my_index(); i < count)
    average[i] = keep * average[i] + (1 - keep) * w[i];
}
__global__ void swap_kernel(int64_t count, float* a, float* b) {
  const int64_t i = my_index();
  if (i >= count)
    return;
  const float old = a[i];
  a[i] = b[i];
  b[i] = old;
}

void sgd(const OptimizerOptions& o, Step s, const float* g, float* w, float* m) {
  const float keep = s.step == 1 ? 0 : o.momentum;  // the first momentum is the gradient itself
  launch("optimizer sgd", one_thread_each(s.count), sgd_kernel, s, keep, o.momentum, o.nesterov, g, w, m);
}
void adam(const OptimizerOptions& o, Step s, const float* g, float* w, float* m, float* v) {
  const AdamCorrection c(o, s);
  launch("optimizer adam", one_thread_each(s.count), adam_kernel, s, o, c.rate, c.root, g, w, m, v);
}
void add_squares(int64_t count, const float* g, double* sum) {
  const std::shared_ptr<void> memory = allocate(current_device(), sum_blocks * threads * sizeof(double));
  double* const partial = static_cast<double*>(memory.get());
  launch("optimizer squares", {dim3(sum_blocks), threads}, squares_kernel, count, g, partial);
  launch("optimizer squares", {dim3(1), dim3(1)}, total_kernel, partial, sum);
}
void clip(int64_t count, double limit, const double* sum, float* g) {
  launch("optimizer clip", one_thread_each(count), clip_kernel, count, limit, sum, g);
}
void blend(int64_t count, float keep, const float* w, float* average) {
  launch("optimizer blend", one_thread_each(count), blend_kernel, count, keep, w, average);
}
void swap(int64_t count, float* a, float* b) {
  launch("optimizer swap", one_thread_each(count), swap_kernel, count, a, b);
}

const OptimizerKernels table{sgd, adam, add_squares, clip, blend, swap};
const Provide<OptimizerKernels> provide{{this_device, 0, "one thread a parameter", &table}};

}  // namespace
}  // namespace lucida
