// A weight for each entry from the labels of its row: rows are split between threads.
#include "layers/losses/row_weights.h"

#include <algorithm>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

void spread(const RowRule& rule, int64_t rows, int64_t classes, const float* y, float* weights) {
  const int64_t rows_a_thread = std::max<int64_t>(1, elements_a_thread / std::max<int64_t>(1, classes));
  std::visit(
      [=](const auto& weight) {
        parallel_for(rows, rows_a_thread, [=](int64_t begin, int64_t end) {
          for (int64_t n = begin; n < end; ++n) {
            const float* labels = y + n * classes;
            RowCounts row;
            std::for_each(labels, labels + classes, [&](float label) { row.add(label); });
            std::transform(labels, labels + classes, weights + n * classes,
                           [&](float label) { return weight(label, row); });
          }
        });
      },
      rule);
}

const RowWeightsKernels table{spread};
const Provide<RowWeightsKernels> provide{{Device::cpu, 1, "all threads", &table}};

}  // namespace
}  // namespace lucida
