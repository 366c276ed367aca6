#include "layers/losses/row_weights.h"

namespace lucida {

Tensor row_weights(const RowRule& rule, const Tensor& labels) {
  const Shape& shape = labels.shape();
  require(shape.rank() == 2, "row_weights: labels must be [N,L], got ", shape);
  const Tensor weights = Tensor::empty(shape, labels.device());
  kernels_for<RowWeightsKernels>(labels.device())
      .spread(rule, shape[0], shape[1], labels.data(), weights.data());
  return weights;
}

}  // namespace lucida
