// A weight for each entry from the labels of its row: count the row, then weigh it.
#include "layers/losses/row_weights.h"

namespace lucida {
namespace {

void spread(const RowRule& rule, int64_t rows, int64_t classes, const float* y, float* weights) {
  std::visit(
      [=](const auto& weight) {
        for (int64_t n = 0; n < rows; ++n) {
          RowCounts row;
          for (int64_t l = 0; l < classes; ++l) row.add(y[n * classes + l]);
          for (int64_t l = 0; l < classes; ++l) weights[n * classes + l] = weight(y[n * classes + l], row);
        }
      },
      rule);
}

const RowWeightsKernels table{spread};
const Provide<RowWeightsKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
