// ReLU with vector instructions on all threads. Traffic: forward reads x and writes y (8 bytes an element),
// backward reads y and dy and writes dx (12 bytes): memory-bound, so batchnorm_relu fuses it away where it
// can.
//
// dy is read whether relu lets it pass or not: a load behind a condition is a branch, which random signs
// mispredict half of the time. 12.8 M elements: 25 ms with it.
#include "layers/relu.h"

#include "cpu/elementwise.h"

namespace lucida {
namespace {

using simd::Vec;

void forward(int64_t count, const float* x, float* y) {
  map_vectors(count, {y}, {x}, [=](auto part, int64_t i) {
    const Vec v = part.load(x + i);
    return v < Vec{} ? Vec{} : v;  // a NaN stays
  });
}

void backward(int64_t count, const float* y, const float* dy, GradSlot dx) {
  map_vectors(count, dx, {y, dy}, [=](auto part, int64_t i) {
    const Vec g = part.load(dy + i);
    return part.load(y + i) > Vec{} ? g : Vec{};
  });
}

const ReluKernels table{forward, backward};
const Provide<ReluKernels> provide{{Device::cpu, 1, "vector loop, all threads", &table}};

}  // namespace
}  // namespace lucida
