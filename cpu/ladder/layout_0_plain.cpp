// Transposition as plain loops.
#include "engine/layout.h"

namespace lucida {
namespace {

void transpose(int64_t n, int64_t rows, int64_t columns, const float* from, float* to) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        to[(i * columns + c) * rows + r] = from[(i * rows + r) * columns + c];
}

const LayoutKernels table{transpose};
const Provide<LayoutKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
