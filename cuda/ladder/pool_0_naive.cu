// Max pooling and global average, rung 0: one thread a result.
//   math      layers/pool.h; a NaN wins a window, and of several the last
//   mapping   thread i computes y[i] (forward) or gathers dx[i] from the windows that hold it (backward), so
//             that no two threads write one place
//   traffic   3x3/2: each input is read 2.25 times forward, each dy and winner 9 times backward; 4 bytes a
//             request of a lane
//   roofline  L2, for taps that are read again; then memory
//   weak spot backward: each thread searches up to 4 windows for the one that it won
//   why it loses to the next rung: neighbours share taps and read them again, in requests of 128 bytes where
//             512 are possible; backward of the average reads dy again for each pixel
#include "cuda/element.cuh"
#include "layers/pool.h"

namespace lucida {
namespace {

constexpr int threads = 256;

// Element (n, i, j, c) of an array [.,h,w,channels], and back.
struct At {
  int64_t n;
  int i, j, c;
};
__device__ int64_t index_of(At at, int h, int w, int channels) {
  return ((at.n * h + at.i) * w + at.j) * channels + at.c;
}
__device__ At my_place(int h, int w, int channels) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x, pixel = i / channels;
  return {pixel / w / h, int(pixel / w % h), int(pixel % w), int(i % channels)};
}
Grid one_thread_each(int64_t count) {
  return {dim3(unsigned(blocks_for(count, threads))), threads};
}

template <class T>
__global__ void max_forward_kernel(PoolSizes p, const T* x, T* y, uint8_t* winner) {
  const At at = my_place(p.out_h(), p.out_w(), p.c);
  if (at.n >= p.n)
    return;
  float best = -INFINITY;
  int which = -1;
  for (int r = 0; r < p.kernel; ++r)
    for (int s = 0; s < p.kernel; ++s) {
      const int h = at.i * p.stride - p.pad + r, w = at.j * p.stride - p.pad + s;
      if (h < 0 || h >= p.h || w < 0 || w >= p.w)
        continue;
      const float v = widen(x[index_of({at.n, h, w, at.c}, p.h, p.w, p.c)]);
      if (which < 0 || v > best || v != v)
        best = v, which = r * p.kernel + s;
    }
  const int64_t out = index_of(at, p.out_h(), p.out_w(), p.c);
  y[out] = narrow<T>(best);
  winner[out] = uint8_t(which);
}

template <class T>
__global__ void max_backward_kernel(PoolSizes p, const T* dy, const uint8_t* winner, GradSlotOf<T> dx) {
  const At at = my_place(p.h, p.w, p.c);
  if (at.n >= p.n)
    return;
  float sum = 0;
  for (int r = p.kernel - 1; r >= 0; --r)
    for (int s = p.kernel - 1; s >= 0; --s) {
      const int row = at.i + p.pad - r, column = at.j + p.pad - s;  // the window begins here, without padding
      if (row < 0 || row % p.stride || row / p.stride >= p.out_h() || column < 0 || column % p.stride ||
          column / p.stride >= p.out_w())
        continue;
      const int64_t out =
          index_of({at.n, row / p.stride, column / p.stride, at.c}, p.out_h(), p.out_w(), p.c);
      sum += winner[out] == r * p.kernel + s ? widen(dy[out]) : 0.0f;
    }
  store_gradient(dx, index_of(at, p.h, p.w, p.c), sum);
}

template <class T>
__global__ void average_forward_kernel(int n, int hw, int c, const T* x, float* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x, image = i / c;
  if (image >= n)
    return;
  float sum = 0;
  for (int p = 0; p < hw; ++p) sum += widen(x[(image * hw + p) * c + i % c]);
  y[i] = sum / float(hw);
}

template <class T>
__global__ void average_backward_kernel(int n, int hw, int c, const float* dy, GradSlotOf<T> dx) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x, image = i / c / hw;
  if (image < n)
    store_gradient(dx, i, dy[image * c + i % c] / float(hw));
}

template <class T>
void max_forward(const PoolSizes& p, const T* x, T* y, uint8_t* winner) {
  launch("maxpool2d forward", one_thread_each(int64_t{p.n} * p.out_h() * p.out_w() * p.c),
         max_forward_kernel<T>, p, x, y, winner);
}
template <class T>
void max_backward(const PoolSizes& p, const T* dy, const uint8_t* winner, GradSlotOf<T> dx) {
  launch("maxpool2d backward", one_thread_each(int64_t{p.n} * p.h * p.w * p.c), max_backward_kernel<T>, p, dy,
         winner, dx);
}
template <class T>
void average_forward(int n, int hw, int c, const T* x, float* y) {
  launch("global average forward", one_thread_each(int64_t{n} * c), average_forward_kernel<T>, n, hw, c, x,
         y);
}
template <class T>
void average_backward(int n, int hw, int c, const float* dy, GradSlotOf<T> dx) {
  launch("global average backward", one_thread_each(int64_t{n} * hw * c), average_backward_kernel<T>, n, hw,
         c, dy, dx);
}

template <class T>
const MaxPoolKernelsOf<T> max_table{max_forward<T>, max_backward<T>};
const Provide<MaxPoolKernels> provide_max{{this_device, 0, "one thread a result", &max_table<float>}};
const Provide<MaxPoolKernelsOf<Bf16>> provide_max_bf16{
    {this_device, 0, "one thread a result", &max_table<Bf16>}};
template <class T>
const GlobalAverageKernelsOf<T> average_table{average_forward<T>, average_backward<T>};
const Provide<GlobalAverageKernels> provide_average{
    {this_device, 0, "one thread a result", &average_table<float>}};
const Provide<GlobalAverageKernelsOf<Bf16>> provide_average_bf16{
    {this_device, 0, "one thread a result", &average_table<Bf16>}};

}  // namespace
}  // namespace lucida
