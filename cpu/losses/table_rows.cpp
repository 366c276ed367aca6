// Rows of a table and the gradient of the whole table: zeroing it is the cost (N * L of all training images
// for B * L that are not 0), so all threads do that; the rows themselves are few.
#include "layers/losses/table_rows.h"

#include <algorithm>

#include "cpu/elementwise.h"

namespace lucida {
namespace {

using Sizes = TableRowsKernels::Sizes;

void gather(Sizes s, const int32_t* rows, const float* table, float* y) {
  for (int64_t b = 0; b < s.rows; ++b) std::copy_n(table + rows[b] * s.classes, s.classes, y + b * s.classes);
}

void scatter(Sizes s, const int32_t* rows, const float* dy, GradSlot dtable) {
  if (!dtable.accumulate)
    map_elements(s.table_rows * s.classes, dtable.data, [](int64_t) { return 0.0f; });
  for (int64_t b = 0; b < s.rows; ++b) {
    float* to = dtable.data + rows[b] * s.classes;
    const float* from = dy + b * s.classes;
    for (int64_t l = 0; l < s.classes; ++l) to[l] += from[l];
  }
}

const TableRowsKernels table{gather, scatter};
const Provide<TableRowsKernels> provide{{Device::cpu, 1, "all threads zero the gradient", &table}};

}  // namespace
}  // namespace lucida
