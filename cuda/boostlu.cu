// BoostLU, 16 bytes a lane.
//   math      y = alpha * x where x > 0, else x;   dx = alpha * dy where x > 0, else dy
//   mapping   cuda/elementwise.cuh
//   traffic   forward 8 bytes an element (bf16: 4), backward 12
//   roofline  memory, but a map has 14 x 14 x classes values: the launch costs more than the bytes
//   measured  (PTX simulator, 2026-11-25) 1.00 of the minimal bytes, 512 bytes a request; warp instructions a
//             KB forward 13 (bf16: 36), backward 15 (41). Rung 0: 88 (208) and 77 (181)
#include "layers/boostlu.h"

#include "cuda/elementwise.cuh"

namespace lucida {
namespace {

// Of x and alpha * x the one that the sign of x asks for is the larger where alpha >= 1, else the smaller.
struct Raise {
  float alpha;
  __device__ float operator()(float x) const { return fmaxf(x, alpha * x); }
};
struct Lower {
  float alpha;
  __device__ float operator()(float x) const { return fminf(x, alpha * x); }
};
struct BoostGradient {
  float alpha;
  __device__ float operator()(float x, float dy) const { return x > 0 ? alpha * dy : dy; }
};

template <class T>
void forward(int64_t count, float alpha, const T* x, T* y) {
  if (alpha >= 1)
    map_elements("boostlu forward", count, Raise{alpha}, y, x);
  else
    map_elements("boostlu forward", count, Lower{alpha}, y, x);
}

template <class T>
void backward(int64_t count, float alpha, const T* x, const T* dy, GradSlotOf<T> dx) {
  map_elements("boostlu backward", count, BoostGradient{alpha}, dx, x, dy);
}

template <class T>
const BoostluKernelsOf<T> table{forward<T>, backward<T>};
const Provide<BoostluKernelsOf<float>> provide{{this_device, 1, "16 bytes a lane", &table<float>}};
const Provide<BoostluKernelsOf<Bf16>> provide_bf16{{this_device, 1, "16 bytes a lane", &table<Bf16>}};

}  // namespace
}  // namespace lucida
