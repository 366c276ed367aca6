// Add, 16 bytes a lane.
//   math      y = a + b;   d = dy, once for a and once for b
//   mapping   cuda/elementwise.cuh
//   traffic   forward 12 bytes an element (bf16: 6), backward 8, or 12 where it adds to a gradient
//   roofline  memory; batchnorm_add_relu fuses it away where it can
//   measured  (PTX simulator, 2026-11-25) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB forward 8.7 (bf16: 29), backward 5.0 (20). Rung 0: 61 (149) and 84 (192), 128 (64) bytes a
//             request
#include "layers/add.h"

#include "cuda/elementwise.cuh"

namespace lucida {
namespace {

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Same {
  __device__ float operator()(float dy) const { return dy; }
};

template <class T>
void forward(int64_t count, const T* a, const T* b, T* y) {
  map_elements("add forward", count, Sum{}, y, a, b);
}

template <class T>
void backward(int64_t count, const T* dy, GradSlotOf<T> d) {
  map_elements("add backward", count, Same{}, d, dy);
}

template <class T>
const AddKernelsOf<T> table{forward<T>, backward<T>};
const Provide<AddKernelsOf<float>> provide{{this_device, 1, "16 bytes a lane", &table<float>}};
const Provide<AddKernelsOf<Bf16>> provide_bf16{{this_device, 1, "16 bytes a lane", &table<Bf16>}};

}  // namespace
}  // namespace lucida
