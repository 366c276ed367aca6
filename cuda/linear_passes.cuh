// The three passes of linear as matrix products, and the table of them for one main loop.
//
//   forward           y [n][o] = sum over i  x [n][i] w[o][i]     both run along k
//   backward_data     dx[n][i] = sum over o  dy[n][o] w[o][i]     w runs along its lines, the inputs
//   backward_weight   dw[o][i] = sum over n  dy[n][o] x[n][i]     both run along their lines
#pragma once
#include "cuda/column_sums.cuh"
#include "cuda/gemm_product.cuh"
#include "layers/linear.h"

namespace lucida::gemm {

template <class Loop>
void linear_forward(LinearKernels::Sizes s, const float* x, const float* weight, const float* bias,
                    float* y) {
  product<Loop>("linear forward", MatrixProduct<Run::k, Run::k>{x, weight, s.n, s.out, s.in}, {y, false},
                bias);
}

template <class Loop>
void linear_backward_data(LinearKernels::Sizes s, const float* dy, const float* weight, GradSlot dx) {
  product<Loop>("linear backward data", MatrixProduct<Run::k, Run::line>{dy, weight, s.n, s.in, s.out}, dx);
}

template <class Loop>
void linear_backward_weight(LinearKernels::Sizes s, const float* x, const float* dy, GradSlot dweight) {
  product<Loop>("linear backward weight", MatrixProduct<Run::line, Run::line>{dy, x, s.out, s.in, s.n},
                dweight);
}

inline void linear_backward_bias(LinearKernels::Sizes s, const float* dy, GradSlot dbias) {
  column_sums("linear backward bias", s.n, s.out, dy, dbias);
}

template <class Loop>
inline const LinearKernels linear_table{linear_forward<Loop>, linear_backward_data<Loop>,
                                        linear_backward_weight<Loop>, linear_backward_bias};

}  // namespace lucida::gemm
