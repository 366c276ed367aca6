// The sum of a loss formula over all entries: one pattern for every formula of layers/losses/formulas.h.
//   math      loss = scale * sum of f(x, y, s).loss,  dx = dloss * scale * f(x, y, s).dx
//   mapping   forward cuda/sum.cuh with the formula as its functor: the text that the host runs is compiled
//             into the kernel. Backward: one thread an entry, both derivatives at once; a formula is some
//             hundred instructions and a batch some thousand entries, so packs would leave most SMs idle.
//             dloss stays on the device
//   traffic   8 bytes an entry forward (12 with a state), 12 backward (16; 20 where the state learns)
//   roofline  a batch has some thousand logits: the launches are the cost
//   weak spot backward moves 4 bytes a lane, 128 a request of a warp
#include "layers/losses/entry_loss.h"

#include "cuda/sum.cuh"

namespace lucida {
namespace {

constexpr int threads = 256;

template <class F>
struct Loss {
  F f;
  __device__ double operator()(float x, float y, float s = 0) const { return f(x, y, s).loss; }
};
struct StoreScaled {
  float* loss;
  double scale;
  __device__ void operator()(double total) const { *loss = float(scale * total); }
};

template <class F>
__global__ void __launch_bounds__(threads)
    backward_kernel(F f, int64_t count, float scale, const float* dloss, const float* x, const float* y,
                    const float* s, GradSlot dx, GradSlot ds) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const Entry<float> e = f(x[i], y[i], s ? s[i] : 0);
  const float factor = *dloss * scale;
  if (dx)
    store_gradient(dx, i, factor * e.dx);
  if (F::state == StateUse::learned && ds)
    store_gradient(ds, i, factor * e.ds);
}

__global__ void __launch_bounds__(threads)
    above_kernel(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    selected[i] = y[i] == 0 && x[i] > threshold;
}

Grid grid_of(int64_t count) {
  return {dim3(unsigned(blocks_for(count, threads))), threads};
}

void forward(const Formula& formula, int64_t count, double scale, const float* x, const float* y,
             const float* s, float* loss) {
  const StoreScaled store{loss, scale};
  std::visit(
      [=](const auto& f) {
        using F = std::decay_t<decltype(f)>;
        const Loss<F> each{f};
        if constexpr (F::state != StateUse::none)
          if (s)
            return sum_elements("loss forward", count, each, store, x, y, s);
        if constexpr (F::state == StateUse::none || F::state == StateUse::optional)
          sum_elements("loss forward", count, each, store, x, y);
      },
      formula);
}

void backward(const Formula& formula, int64_t count, double scale, const float* dloss, const float* x,
              const float* y, const float* s, GradSlot dx, GradSlot ds) {
  std::visit(
      [=](const auto& f) {
        launch("loss backward", grid_of(count), backward_kernel<std::decay_t<decltype(f)>>, f, count,
               float(scale), dloss, x, y, s, dx, ds);
      },
      formula);
}

void above(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected) {
  launch("loss: above", grid_of(count), above_kernel, count, threshold, x, y, selected);
}

const EntryLossKernels table{forward, backward, above};
const Provide<EntryLossKernels> provide{{this_device, 1, "blocks in parallel, ordered sum", &table}};

}  // namespace
}  // namespace lucida
