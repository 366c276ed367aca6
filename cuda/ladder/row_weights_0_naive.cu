// A weight for each entry from the labels of its row, rung 0: every thread counts its whole row.
//   math      count the labels of each kind, then weight(label, counts)
//   mapping   one thread an entry
//   traffic   4 (L + 1) bytes an entry, all but 8 from caches
//   roofline  a batch has some thousand labels: the launch is the cost
//   weak spot neighbouring threads read the same row at the same time
//   why it loses to the next rung: a row is counted L times
#include "cuda/element.cuh"
#include "layers/losses/row_weights.h"

namespace lucida {
namespace {

constexpr int threads = 256;

template <class Weight>
__global__ void __launch_bounds__(threads)
    spread_kernel(Weight weight, int64_t count, int64_t classes, const float* y, float* weights) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  RowCounts row;
  for (int64_t l = 0; l < classes; ++l) row.add(y[i / classes * classes + l]);
  weights[i] = weight(y[i], row);
}

void spread(const RowRule& rule, int64_t rows, int64_t classes, const float* y, float* weights) {
  const int64_t count = rows * classes;
  std::visit(
      [=](const auto& weight) {
        launch("row weights", {dim3(unsigned(blocks_for(count, threads))), threads},
               spread_kernel<std::decay_t<decltype(weight)>>, weight, count, classes, y, weights);
      },
      rule);
}

const RowWeightsKernels table{spread};
const Provide<RowWeightsKernels> provide{{this_device, 0, "a thread an entry", &table}};

}  // namespace
}  // namespace lucida
