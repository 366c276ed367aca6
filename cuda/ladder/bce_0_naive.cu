// Weighted binary cross-entropy, rung 0: one block adds everything up.
//   math      l = max(x, 0) - x t + log1p(exp(-|x|)),  loss = sum of w l / count,
//             dx = dloss / count * w (p - t)
//   mapping   forward: thread t adds entries t, t + 256, ... in double, thread 0 the 256 sums in order.
//             backward: one thread an entry
//   traffic   8 bytes an entry forward (12 with weights), 12 backward (16); 4 bytes a request of a lane
//   roofline  a batch has some thousand logits: the launch is the cost
//   weak spot forward: 256 threads, whatever the batch
//   why it loses to the next rung: one of 108 SMs works, and its thread 0 alone at the end
#include "cuda/element.cuh"
#include "layers/losses/bce.h"

namespace lucida {
namespace {

constexpr int threads = 256;

struct Sums {
  double of_thread[threads];
};

__global__ void forward_kernel(int64_t count, const float* x, const float* t, const float* w, float* loss) {
  Sums& s = shared<Sums>();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += threads) {
    const float l = fmaxf(x[i], 0) - x[i] * t[i] + log1pf(expf(-fabsf(x[i])));
    sum += double(w ? w[i] * l : l);
  }
  s.of_thread[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x > 0)
    return;
  double total = 0;
  for (const double of_thread : s.of_thread) total += of_thread;
  *loss = float(total / double(count));
}

__global__ void backward_kernel(int64_t count, const float* dloss, const float* x, const float* t,
                                const float* w, GradSlot dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const float p = 1 / (1 + expf(-x[i]));
  store_gradient(dx, i, *dloss / float(count) * (w ? w[i] : 1) * (p - t[i]));
}

__global__ void targets_kernel(int64_t count, const float* labels, float* t) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    t[i] = labels[i] == 1 ? 1.0f : 0.0f;
}

void forward(int64_t count, const float* x, const float* t, const float* w, float* loss) {
  launch("bce forward", {dim3(1), threads}, forward_kernel, count, x, t, w, loss);
}

void backward(int64_t count, const float* dloss, const float* x, const float* t, const float* w,
              GradSlot dx) {
  launch("bce backward", {dim3(unsigned(blocks_for(count, threads))), threads}, backward_kernel, count, dloss,
         x, t, w, dx);
}

void targets(int64_t count, const float* labels, float* t) {
  launch("bce targets", {dim3(unsigned(blocks_for(count, threads))), threads}, targets_kernel, count, labels,
         t);
}

const BceKernels table{forward, backward, targets};
const Provide<BceKernels> provide{{this_device, 0, "one block adds up", &table}};

}  // namespace
}  // namespace lucida
