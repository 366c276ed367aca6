// ReLU, 16 bytes a lane.
//   math      y = max(0, x), a NaN stays a NaN;   dx = dy where y > 0
//   mapping   cuda/elementwise.cuh
//   traffic   forward 8 bytes an element (bf16: 4), backward 12, or 16 where it adds to a gradient
//   roofline  memory; batchnorm_relu fuses it away where it can
//   measured  (PTX simulator, 2026-11-25) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB forward 13 (bf16: 35), backward 12 (35). Rung 0: 80 (208) and 75 (176), 128 (64) bytes a
//             request
#include "layers/relu.h"

#include "cuda/elementwise.cuh"

namespace lucida {
namespace {

struct Positive {
  __device__ float operator()(float x) const { return x < 0 ? 0.0f : x; }
};
struct WherePositive {
  __device__ float operator()(float y, float dy) const { return y > 0 ? dy : 0.0f; }
};

template <class T>
void forward(int64_t count, const T* x, T* y) {
  map_elements("relu forward", count, Positive{}, y, x);
}

template <class T>
void backward(int64_t count, const T* y, const T* dy, GradSlotOf<T> dx) {
  map_elements("relu backward", count, WherePositive{}, dx, y, dy);
}

template <class T>
const ReluKernelsOf<T> table{forward<T>, backward<T>};
const Provide<ReluKernelsOf<float>> provide{{this_device, 1, "16 bytes a lane", &table<float>}};
const Provide<ReluKernelsOf<Bf16>> provide_bf16{{this_device, 1, "16 bytes a lane", &table<Bf16>}};

}  // namespace
}  // namespace lucida
