// The three passes of a convolution as products for cuda/gemm_product.cuh, and the table of them for one main
// loop: rungs 2 and 3 differ in nothing else.
#pragma once
#include "cuda/column_sums.cuh"
#include "cuda/conv2d_sources.cuh"

namespace lucida::gemm {

struct ConvForward {
  static constexpr Run left_run = Run::k, right_run = Run::k;
  static constexpr int parts = 1;
  Conv2dSizes z;
  const float *x, *weight;
  int rows, columns, k;
  ConvForward(const Conv2dSizes& sizes, const float* x_, const float* weight_)
      : z(sizes), x(x_), weight(weight_), rows(int(z.pixels())), columns(z.k), k(z.r * z.s * z.c) {}

  __device__ Taps part(int) const {
    return taps(forward_axis(z.h, z.out_h(), z.r, z), forward_axis(z.w, z.out_w(), z.s, z), z.n, z.c);
  }
  template <class Where>
  __device__ auto left(const Taps& t, int line, int first_k) const {
    return ImageTaps<Where>(x, t, line, first_k);
  }
  template <class Where>
  __device__ auto right(const Taps&, int line, int) const {
    return KRuns<Where>(weight, columns, k, line);
  }
  int64_t results() const { return int64_t{rows} * columns; }
  bool by_quads() const { return z.c % 4 == 0 && aligned_for_packs(x, weight); }
};

struct ConvBackwardData {
  static constexpr Run left_run = Run::k, right_run = Run::line;
  Conv2dSizes z;
  const float *dy, *weight;
  int parts, rows, columns, k, kernel_step;
  ConvBackwardData(const Conv2dSizes& sizes, const float* dy_, const float* weight_)
      : z(sizes),
        dy(dy_),
        weight(weight_),
        parts(z.stride * z.stride),
        columns(z.c),
        kernel_step(phase_kernel_step(z)) {
    const auto upwards = [&](int size) { return int(blocks_for(size, z.stride)); };
    rows = z.n * upwards(z.h) * upwards(z.w);
    k = int(blocks_for(z.r, kernel_step) * blocks_for(z.s, kernel_step)) * z.k;
  }

  __device__ Taps part(int i) const {
    return taps(backward_axis(z.h, z.out_h(), z.r, i / z.stride, kernel_step, z),
                backward_axis(z.w, z.out_w(), z.s, i % z.stride, kernel_step, z), z.n, z.k);
  }
  template <class Where>
  __device__ auto left(const Taps& t, int line, int first_k) const {
    return ImageTaps<Where>(dy, t, line, first_k);
  }
  template <class Where>
  __device__ auto right(const Taps& t, int line, int first_k) const {
    return FilterTaps<Where>(weight, z, t, line, first_k);
  }
  int64_t results() const { return int64_t{z.n} * z.h * z.w * z.c; }
  bool by_quads() const { return z.c % 4 == 0 && z.k % 4 == 0 && aligned_for_packs(dy, weight); }
};

struct ConvBackwardWeight {
  static constexpr Run left_run = Run::line, right_run = Run::line;
  static constexpr int parts = 1;
  Conv2dSizes z;
  const float *x, *dy;
  int rows, columns, k;
  ConvBackwardWeight(const Conv2dSizes& sizes, const float* x_, const float* dy_)
      : z(sizes), x(x_), dy(dy_), rows(z.k), columns(z.r * z.s * z.c), k(int(z.pixels())) {}

  struct Part {
    int rows, k;
  };
  __device__ Part part(int) const { return {rows, k}; }
  template <class Where>
  __device__ auto left(Part, int line, int) const {
    return LineRuns<Where>(dy, rows, k, line);
  }
  template <class Where>
  __device__ auto right(Part, int line, int first_k) const {
    return ImagePixels<Where>(x, z, line, first_k);
  }
  int64_t results() const { return int64_t{rows} * columns; }
  bool by_quads() const { return z.c % 4 == 0 && z.k % 4 == 0 && aligned_for_packs(x, dy); }
};

// A 1x1 kernel that reads every pixel once is the matrix product itself, without taps to walk.
inline bool is_matrix_product(const Conv2dSizes& z) {
  return z.r == 1 && z.s == 1 && z.stride == 1 && z.pad == 0;
}

inline void check_offsets(const Conv2dSizes& z) {  // sources count elements in 31 bits
  const int64_t largest =
      std::max({int64_t{z.n} * z.h * z.w * z.c, z.pixels() * z.k, int64_t{z.k} * z.r * z.s * z.c});
  require(largest < int64_t{1} << 31, "conv2d: a tensor of ", largest, " elements; 2^31 - 1 are the limit");
}

template <class Loop>
void conv2d_forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias, float* y) {
  check_offsets(z);
  const GradSlot out{y, false};
  if (is_matrix_product(z))
    product<Loop>("conv2d forward 1x1", MatrixProduct<Run::k, Run::k>{x, weight, int(z.pixels()), z.k, z.c},
                  out, bias);
  else
    product<Loop>("conv2d forward", ConvForward(z, x, weight), out, bias);
}

template <class Loop>
void conv2d_backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  check_offsets(z);
  if (is_matrix_product(z))
    product<Loop>("conv2d backward data 1x1",
                  MatrixProduct<Run::k, Run::line>{dy, weight, int(z.pixels()), z.c, z.k}, dx);
  else
    product<Loop>("conv2d backward data", ConvBackwardData(z, dy, weight), dx);
}

template <class Loop>
void conv2d_backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  check_offsets(z);
  if (is_matrix_product(z))
    product<Loop>("conv2d backward weight 1x1",
                  MatrixProduct<Run::line, Run::line>{dy, x, z.k, z.c, int(z.pixels())}, dweight);
  else
    product<Loop>("conv2d backward weight", ConvBackwardWeight(z, x, dy), dweight);
}

inline void conv2d_backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  column_sums("conv2d backward bias", z.pixels(), z.k, dy, dbias);
}

template <class Loop>
inline const Conv2dKernels conv2d_table{conv2d_forward<Loop>, conv2d_backward_data<Loop>,
                                        conv2d_backward_weight<Loop>, conv2d_backward_bias};

}  // namespace lucida::gemm
