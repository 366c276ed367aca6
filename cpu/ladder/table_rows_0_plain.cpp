// Rows of a table and the gradient of the whole table, as plain loops.
#include "layers/losses/table_rows.h"

namespace lucida {
namespace {

using Sizes = TableRowsKernels::Sizes;

void gather(Sizes s, const int32_t* rows, const float* table, float* y) {
  for (int64_t b = 0; b < s.rows; ++b)
    for (int64_t l = 0; l < s.classes; ++l) y[b * s.classes + l] = table[rows[b] * s.classes + l];
}

void scatter(Sizes s, const int32_t* rows, const float* dy, GradSlot dtable) {
  if (!dtable.accumulate)
    for (int64_t i = 0; i < s.table_rows * s.classes; ++i) dtable.data[i] = 0;
  for (int64_t b = 0; b < s.rows; ++b)
    for (int64_t l = 0; l < s.classes; ++l) dtable.data[rows[b] * s.classes + l] += dy[b * s.classes + l];
}

const TableRowsKernels table{gather, scatter};
const Provide<TableRowsKernels> provide{{Device::cpu, 0, "plain loops", &table}};

}  // namespace
}  // namespace lucida
