// Transposition in squares of 32 x 32, so that what is read and what is written both stay in the caches: a
// column of a large image touches a page an element.
#include "engine/layout.h"

#include <algorithm>

#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr int64_t side = 32;

void transpose(int64_t n, int64_t rows, int64_t columns, const float* from, float* to) {
  const int64_t strips = (rows + side - 1) / side;
  parallel_tasks(n * strips, [&](int64_t task) {
    const int64_t image = task / strips * rows * columns, top = task % strips * side;
    for (int64_t left = 0; left < columns; left += side)
      for (int64_t c = left; c < std::min(left + side, columns); ++c)
        for (int64_t r = top; r < std::min(top + side, rows); ++r)
          to[image + c * rows + r] = from[image + r * columns + c];
  });
}

const LayoutKernels table{transpose};
const Provide<LayoutKernels> provide{{Device::cpu, 1, "squares of 32 x 32, all threads", &table}};

}  // namespace
}  // namespace lucida
