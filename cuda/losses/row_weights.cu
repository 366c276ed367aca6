// A weight for each entry from the labels of its row: a warp a row.
//   math      count the labels of each kind, then weight(label, counts)
//   mapping   lane t of a warp takes labels t, t + 32, ...; three sums by shuffles, then the same labels
//             again
//   traffic   12 bytes an entry: labels come twice, the second time from the L1 cache
//   roofline  a batch has some thousand labels: the launch is the cost
//   weak spot a row of 20 classes leaves 12 lanes idle
#include "layers/losses/row_weights.h"

#include "cuda/reduce.cuh"

namespace lucida {
namespace {

constexpr int threads = 128, rows_a_block = threads / 32;

template <class Weight>
__global__ void __launch_bounds__(threads)
    spread_kernel(Weight weight, int64_t rows, int64_t classes, const float* y, float* weights) {
  const int64_t n = int64_t(blockIdx.x) * rows_a_block + threadIdx.x / 32;
  const int lane = int(threadIdx.x) % 32;
  if (n >= rows)  // of all lanes of a warp or of none
    return;
  RowCounts mine;
  for (int64_t l = lane; l < classes; l += 32) mine.add(y[n * classes + l]);
  const RowCounts row{warp_sum(mine.positive), warp_sum(mine.unobserved), warp_sum(mine.negative)};
  for (int64_t l = lane; l < classes; l += 32) weights[n * classes + l] = weight(y[n * classes + l], row);
}

void spread(const RowRule& rule, int64_t rows, int64_t classes, const float* y, float* weights) {
  std::visit(
      [=](const auto& weight) {
        launch("row weights", {dim3(unsigned(blocks_for(rows, rows_a_block))), threads},
               spread_kernel<std::decay_t<decltype(weight)>>, weight, rows, classes, y, weights);
      },
      rule);
}

const RowWeightsKernels table{spread};
const Provide<RowWeightsKernels> provide{{this_device, 1, "a warp a row", &table}};

}  // namespace
}  // namespace lucida
