#include "layers/losses/table_rows.h"

#include "engine/autograd.h"

namespace lucida {

Tensor table_rows(const Tensor& table, const Tensor& rows) {
  require(table.shape().rank() == 2 && rows.shape().rank() == 1 && rows.dtype() == DType::i32,
          "table_rows: table must be [R,L] and rows i32 [B], got ", table.shape(), " and ", rows.dtype(), " ",
          rows.shape());
  const auto& kernels = kernels_for<TableRowsKernels>(table.device());
  const TableRowsKernels::Sizes sizes{table.shape()[0], rows.count(), table.shape()[1]};
  const Tensor y = Tensor::empty({sizes.rows, sizes.classes}, table.device());
  kernels.gather(sizes, rows.data<int32_t>(), table.data(), y.data());
  return record("table_rows", y, {&table}, [&kernels, sizes, table, rows](const Tensor& dy) {
    kernels.scatter(sizes, rows.data<int32_t>(), dy.data(), table.grad_slot());
  });
}

Tensor row_numbers(const std::vector<int64_t>& rows, Device device) {
  const Tensor numbers = Tensor::empty({int64_t(rows.size())}, Device{}, DType::i32);
  for (size_t i = 0; i < rows.size(); ++i) numbers.data<int32_t>()[i] = int32_t(rows[i]);
  return numbers.on(device);
}

}  // namespace lucida
