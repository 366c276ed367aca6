// The rows of a table that belong to the images of a batch:
//     y[b] = table[rows[b]]        dtable[rows[b]] += dy[b], all other rows 0
// The gradient is that of the whole table: Adam's moments of rows that are not in the batch decay too, as in
// the published code of ROLE, whose label estimates are such a table of parameters.
//
// Read next:  cpu/ladder/table_rows_0_plain.cpp, cuda/losses/table_rows.cu, layers/losses/loss.h
#pragma once
#include <string_view>
#include <vector>

#include "engine/dispatch.h"

namespace lucida {

Tensor table_rows(const Tensor& table /*[R,L]*/, const Tensor& rows /*i32 [B]*/);  // -> [B,L]

// The numbers of rows as a tensor.
Tensor row_numbers(const std::vector<int64_t>& rows, Device);

struct TableRowsKernels {
  static constexpr std::string_view name = "table_rows";
  struct Sizes {
    int64_t table_rows, rows, classes;
  };
  void (*gather)(Sizes, const int32_t* rows, const float* table, float* y);
  void (*scatter)(Sizes, const int32_t* rows, const float* dy, GradSlot dtable);
};

}  // namespace lucida
