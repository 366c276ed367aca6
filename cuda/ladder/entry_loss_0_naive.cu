// The sum of a loss formula over all entries, rung 0: one block adds everything up.
//   math      loss = scale * sum of f(x, y, s).loss,  dx = dloss * scale * f(x, y, s).dx
//   mapping   forward: thread t adds entries t, t + 256, ... in double, thread 0 the 256 sums in order.
//             backward: one thread an entry
//   traffic   8 bytes an entry forward (12 with a state), 12 backward (16); 4 bytes a request of a lane
//   roofline  a batch has some thousand logits: the launch is the cost
//   weak spot forward: 256 threads, whatever the batch
//   why it loses to the next rung: one of 108 SMs works, and its thread 0 alone at the end
#include "cuda/element.cuh"
#include "layers/losses/entry_loss.h"

namespace lucida {
namespace {

constexpr int threads = 256;

struct Sums {
  double of_thread[threads];
};

template <class F>
__global__ void __launch_bounds__(threads) forward_kernel(F f, int64_t count, double scale, const float* x,
                                                          const float* y, const float* s, float* loss) {
  Sums& sums = shared<Sums>();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += threads) sum += double(f(x[i], y[i], s ? s[i] : 0).loss);
  sums.of_thread[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x > 0)
    return;
  double total = 0;
  for (const double of_thread : sums.of_thread) total += of_thread;
  *loss = float(scale * total);
}

template <class F>
__global__ void __launch_bounds__(threads)
    backward_kernel(F f, int64_t count, float scale, const float* dloss, const float* x, const float* y,
                    const float* s, GradSlot dx, GradSlot ds) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const Entry<float> e = f(x[i], y[i], s ? s[i] : 0);
  if (dx)
    store_gradient(dx, i, *dloss * scale * e.dx);
  if (ds)
    store_gradient(ds, i, *dloss * scale * e.ds);
}

__global__ void __launch_bounds__(threads)
    above_kernel(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  for (int64_t i = threadIdx.x; i < count; i += threads) selected[i] = y[i] == 0 && x[i] > threshold;
}

void forward(const Formula& formula, int64_t count, double scale, const float* x, const float* y,
             const float* s, float* loss) {
  std::visit(
      [=](const auto& f) {
        launch("loss forward", {dim3(1), threads}, forward_kernel<std::decay_t<decltype(f)>>, f, count, scale,
               x, y, s, loss);
      },
      formula);
}

void backward(const Formula& formula, int64_t count, double scale, const float* dloss, const float* x,
              const float* y, const float* s, GradSlot dx, GradSlot ds) {
  std::visit(
      [=](const auto& f) {
        launch("loss backward", {dim3(unsigned(blocks_for(count, threads))), threads},
               backward_kernel<std::decay_t<decltype(f)>>, f, count, float(scale), dloss, x, y, s, dx, ds);
      },
      formula);
}

void above(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  launch("loss: above", {dim3(1), threads}, above_kernel, count, threshold, x, y, selected);
}

const EntryLossKernels table{forward, backward, above};
const Provide<EntryLossKernels> provide{{this_device, 0, "one block adds up", &table}};

}  // namespace
}  // namespace lucida
