// Rows of a table and the gradient of the whole table, rung 0: every entry of the table looks for its rows.
//   math      y[b] = table[rows[b]],  dtable[r] = sum of dy[b] where rows[b] = r
//   mapping   gather: one thread a row of the batch. Scatter: one thread an entry of the table
//   traffic   scatter reads the B numbers of rows for each of R * L entries, from caches
//   roofline  instructions: B comparisons for the 4 bytes of an entry
//   weak spot the larger the batch, the slower each entry of the table
//   why it loses to the next rung: it does B comparisons for each of the table's zeros
#include "cuda/element.cuh"
#include "layers/losses/table_rows.h"

namespace lucida {
namespace {

using Sizes = TableRowsKernels::Sizes;
constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    gather_kernel(Sizes s, const int32_t* rows, const float* table, float* y) {
  const int64_t b = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (b < s.rows)
    for (int64_t l = 0; l < s.classes; ++l) y[b * s.classes + l] = table[rows[b] * s.classes + l];
}

__global__ void __launch_bounds__(threads)
    scatter_kernel(Sizes s, const int32_t* rows, const float* dy, GradSlot dtable) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= s.table_rows * s.classes)
    return;
  float sum = 0;
  for (int64_t b = 0; b < s.rows; ++b)
    if (rows[b] == i / s.classes)
      sum += dy[b * s.classes + i % s.classes];
  store_gradient(dtable, i, sum);
}

void gather(Sizes s, const int32_t* rows, const float* table, float* y) {
  launch("table rows: gather", {dim3(unsigned(blocks_for(s.rows, threads))), threads}, gather_kernel, s, rows,
         table, y);
}

void scatter(Sizes s, const int32_t* rows, const float* dy, GradSlot dtable) {
  launch("table rows: scatter", {dim3(unsigned(blocks_for(s.table_rows * s.classes, threads))), threads},
         scatter_kernel, s, rows, dy, dtable);
}

const TableRowsKernels table{gather, scatter};
const Provide<TableRowsKernels> provide{{this_device, 0, "a thread an entry of the table", &table}};

}  // namespace
}  // namespace lucida
