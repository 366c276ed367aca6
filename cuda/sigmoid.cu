// Sigmoid, 16 bytes a lane.
//   math      y = 1 / (1 + exp(-x)),   dx = dy * y * (1 - y)
//             exp(-x) overflows to infinity for x < -88, and 1 / (1 + infinity) is the right 0. expf is
//             wrong by up to 2 units in the last place, which 1 - y makes a larger error of dx:
//             engine/exact.h is not
//   mapping   cuda/elementwise.cuh
//   traffic   forward 8 bytes an element, backward 12
//   roofline  memory, barely: 15 fma in double an element, for which an A100 takes as long as for its 8 bytes
//   measured  (PTX simulator, 2026-11-25) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB forward 134, backward 15. With the special function unit's 2^x, wrong by 2^-22, forward took
//             21, and dx missed rung 0's by more than 5e-7
#include "layers/sigmoid.h"

#include "cuda/elementwise.cuh"
#include "engine/exact.h"

namespace lucida {
namespace {

struct Sigmoid {
  __device__ float operator()(float x) const { return 1 / (1 + float(exact_exp(-x))); }
};
struct SigmoidGradient {
  __device__ float operator()(float y, float dy) const { return dy * y * (1 - y); }
};

void forward(int64_t count, const float* x, float* y) {
  map_elements("sigmoid forward", count, Sigmoid{}, y, x);
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  map_elements("sigmoid backward", count, SigmoidGradient{}, dx, y, dy);
}

const SigmoidKernels table{forward, backward};
const Provide<SigmoidKernels> provide{{this_device, 1, "16 bytes a lane", &table}};

}  // namespace
}  // namespace lucida
