// The first element that is NaN or infinite: one read of the tensor on all threads.
#include <algorithm>
#include <cmath>

#include "cpu/elementwise.h"
#include "engine/autograd.h"
#include "engine/dispatch.h"

namespace lucida {
namespace {

int64_t first_not_finite(int64_t count, const float* x) {
  const int64_t chunks = reduction_chunks(count, elements_a_thread);
  std::vector<int64_t> first(size_t(chunks), count);
  parallel_tasks(chunks, [&](int64_t c) {
    const float *begin = x + count * c / chunks, *end = x + count * (c + 1) / chunks;
    const float* bad = std::find_if(begin, end, [](float v) { return !std::isfinite(v); });
    if (bad != end)
      first[size_t(c)] = bad - x;
  });
  const int64_t least = *std::min_element(first.begin(), first.end());
  return least == count ? -1 : least;
}

const FiniteKernelsOf<float> table{first_not_finite};
const Provide<FiniteKernelsOf<float>> provide{{Device::cpu, 0, "one read on all threads", &table}};

}  // namespace
}  // namespace lucida
