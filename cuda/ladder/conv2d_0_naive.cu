// Conv2d, rung 0: one thread an output element, the formula of layers/conv2d.h as loops.
//   math      three sums of products, layers/conv2d.h
//   mapping   neighbouring threads have neighbouring channels of one pixel: of the two factors of each
//             product one is the same for the whole warp, the other 32 consecutive weights. (forward copies
//             the weight transposed first: as [o][r][s][c] it would cost 32 sectors a request instead of 4;
//             backward_weight copies dy: a thread then reads one factor from consecutive addresses)
//   traffic   32 + 128 bytes from L1 or L2 for the 32 FMAs of a warp; 5.0 to 5.4 instructions an FMA (PTX
//             simulator, 2 x 28 x 28 x 128, 3x3; 2026-11-25)
//   roofline  L2: 5 bytes an FMA where an A100 affords 1: a fifth of its f32 peak at best
//   weak spot backward_weight: a thread walks over all pixels of the batch, and a small weight fills few SMs
//   why it loses to the next rung: every value is fetched again for each of the 32 results that need it
#include <algorithm>

#include "cuda/ladder/transposed.cuh"
#include "layers/conv2d.h"

namespace lucida {
namespace {

constexpr int threads = 256;

// How a flat index counts through [.., second, first].
struct Index {
  int64_t rest;
  int first, second;
  __device__ Index(int64_t i, int firsts, int seconds)
      : rest(i / firsts / seconds), first(int(i % firsts)), second(int(i / firsts % seconds)) {}
};

__device__ inline int64_t thread_index() {
  return int64_t(blockIdx.x) * threads + threadIdx.x;
}
Grid grid_for(int64_t elements) {
  return {dim3(unsigned(blocks_for(elements, threads))), threads};
}

template <class T>
__global__ void forward_kernel(Conv2dSizes z, const T* x, const T* weight_by_output, const float* bias,
                               T* y) {
  if (thread_index() >= z.pixels() * z.k)
    return;
  const Index pixel(thread_index(), z.k, z.out_w());
  const int o = pixel.first, j = pixel.second, i = int(pixel.rest % z.out_h());
  const int64_t n = pixel.rest / z.out_h();
  float sum = bias ? bias[o] : 0;
  for (int r = 0; r < z.r; ++r)
    for (int s = 0; s < z.s; ++s) {
      const int h = i * z.stride - z.pad + r * z.dilation, w = j * z.stride - z.pad + s * z.dilation;
      if (h < 0 || h >= z.h || w < 0 || w >= z.w)
        continue;
      const T* from = x + ((n * z.h + h) * z.w + w) * z.c;
      const T* tap = weight_by_output + (int64_t(r) * z.s + s) * z.c * z.k + o;
#pragma unroll 8
      for (int c = 0; c < z.c; ++c, tap += z.k) sum += widen(from[c]) * widen(*tap);
    }
  y[thread_index()] = narrow<T>(sum);
}

// dx[h] is reached from dy[i] through kernel row r when h = i * stride - pad + r * dilation.
template <class T>
__global__ void backward_data_kernel(Conv2dSizes z, const T* dy, const T* weight, GradSlotOf<T> dx) {
  if (thread_index() >= int64_t{z.n} * z.h * z.w * z.c)
    return;
  const Index pixel(thread_index(), z.c, z.w);
  const int c = pixel.first, w = pixel.second, h = int(pixel.rest % z.h), taps = z.r * z.s * z.c;
  const int64_t n = pixel.rest / z.h;
  float sum = 0;
  for (int r = 0; r < z.r; ++r)
    for (int s = 0; s < z.s; ++s) {
      const int down = h + z.pad - r * z.dilation, across = w + z.pad - s * z.dilation;
      const int i = down / z.stride, j = across / z.stride;
      if (down < 0 || across < 0 || i * z.stride != down || j * z.stride != across || i >= z.out_h() ||
          j >= z.out_w())
        continue;
      const T* from = dy + ((n * z.out_h() + i) * z.out_w() + j) * z.k;
      const T* tap = weight + (int64_t(r) * z.s + s) * z.c + c;
#pragma unroll 8
      for (int o = 0; o < z.k; ++o, tap += taps) sum += widen(from[o]) * widen(*tap);
    }
  store_gradient(dx, thread_index(), sum);
}

// The outputs i whose tap lies inside: 0 <= i * stride - left < size.
struct Inside {
  int first, end;
  __device__ Inside(int left, int stride, int size, int outputs)
      : first(left > 0 ? (left + stride - 1) / stride : 0),
        end(size + left > 0 ? std::min(outputs, (size + left - 1) / stride + 1) : 0) {}
};

template <class T>
__global__ void backward_weight_kernel(Conv2dSizes z, const T* x, const T* dy_by_output, GradSlot dweight) {
  if (thread_index() >= int64_t{z.k} * z.r * z.s * z.c)
    return;
  const Index tap(thread_index(), z.c, z.s);
  const int c = tap.first, s = tap.second, r = int(tap.rest % z.r), o = int(tap.rest / z.r);
  const int up = z.pad - r * z.dilation, left = z.pad - s * z.dilation;
  const Inside rows(up, z.stride, z.h, z.out_h()), columns(left, z.stride, z.w, z.out_w());
  const int count = columns.end - columns.first;
  const int64_t step = int64_t{z.stride} * z.c, row_step = step * z.w;
  float sum = 0;
  for (int n = 0; n < z.n; ++n) {
    const T* x_row = x + (int64_t(n) * z.h - up) * z.w * z.c + rows.first * row_step + columns.first * step -
                     left * z.c + c;
    const T* dy_row =
        dy_by_output + ((int64_t(o) * z.n + n) * z.out_h() + rows.first) * z.out_w() + columns.first;
    for (int i = rows.first; i < rows.end; ++i, x_row += row_step, dy_row += z.out_w()) {
      const T* from = x_row;
#pragma unroll 9  // rows of 28 pixels have 27 products at the border's taps
      for (int j = 0; j < count; ++j, from += step) sum += widen(*from) * widen(dy_row[j]);
    }
  }
  store_gradient(dweight, thread_index(), sum);
}

template <class T>
__global__ void backward_bias_kernel(Conv2dSizes z, const T* dy, GradSlot dbias) {
  if (thread_index() >= z.k)
    return;
  float sum = 0;
  for (int64_t pixel = 0; pixel < z.pixels(); ++pixel) sum += widen(dy[pixel * z.k + thread_index()]);
  store_gradient(dbias, thread_index(), sum);
}

template <class T>
void forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const Tensor by_output = transposed(z.k, int64_t{z.r} * z.s * z.c, weight);
  launch("conv2d forward", grid_for(z.pixels() * z.k), forward_kernel<T>, z, x,
         static_cast<const T*>(by_output.data<T>()), bias, y);
}
template <class T>
void backward_data(const Conv2dSizes& z, const T* dy, const T* weight, GradSlotOf<T> dx) {
  launch("conv2d backward data", grid_for(int64_t{z.n} * z.h * z.w * z.c), backward_data_kernel<T>, z, dy,
         weight, dx);
}
template <class T>
void backward_weight(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  const Tensor by_output = transposed(z.pixels(), z.k, dy);
  launch("conv2d backward weight", grid_for(int64_t{z.k} * z.r * z.s * z.c), backward_weight_kernel<T>, z, x,
         static_cast<const T*>(by_output.data<T>()), dweight);
}
template <class T>
void backward_bias(const Conv2dSizes& z, const T* dy, GradSlot dbias) {
  launch("conv2d backward bias", grid_for(z.k), backward_bias_kernel<T>, z, dy, dbias);
}

template <class T>
const Conv2dKernelsOf<T> table{forward<T>, backward_data<T>, backward_weight<T>, backward_bias<T>};
const Provide<Conv2dKernelsOf<float>> provide{
    {this_device, 0, "one thread an output element", &table<float>}};
const Provide<Conv2dKernelsOf<Bf16>> provide_bf16{
    {this_device, 0, "one thread an output element", &table<Bf16>}};

}  // namespace
}  // namespace lucida
