// BatchNorm, rung 1: one block for 32 channels, its warps share the rows.
//   math      layers/batchnorm.h; the variance in two passes. Values are taken relative to the channel's
//             first one, so that float's 24 bits hold deviations even when |mean| is far above them
//   mapping   sums: lane = channel, warp = row modulo 8; a warp's request is 128 bytes of one row. (A block
//             for a single channel would fetch a 32-byte sector for every 4 bytes.) normalize, apply: one
//             thread an element, its channel is i % channels
//   traffic   forward 3 reads + 1 write, backward 4 reads + 1 write, 4 bytes a lane (bf16: 2)
//   roofline  memory, if the whole GPU asked for it
//   weak spot C = 64 makes two blocks, and the other 130 multiprocessors of an H100 wait
//   why it loses to the next rung: that splits the rows over blocks as well, moves 16 bytes a lane and reads
//   x
//             once for mean and variance
#include "cuda/batchnorm_channels.cuh"

namespace lucida {
namespace {

template <class T>
using Sizes = typename BatchNormKernelsOf<T>::Sizes;
constexpr int lanes = 32, warps = 8, element_threads = 256;
struct Smem {
  float sum[warps][lanes];
};

// The sum of v over the block's warps, for each lane; all threads of the block call this.
__device__ float over_warps(Smem& s, float v) {
  __syncthreads();  // nobody still reads the sums before these
  s.sum[threadIdx.y][threadIdx.x] = v;
  __syncthreads();
  float total = 0;
  for (int w = 0; w < warps; ++w) total += s.sum[w][threadIdx.x];
  return total;
}

// body(i) for the rows of this warp, i being the element of channel c there.
template <class Body>
__device__ void every_row(int64_t rows, int channels, int c, const Body& body) {
  if (c < channels)
    for (int64_t row = threadIdx.y; row < rows; row += warps) body(row * channels + c);
}

template <class T>
__global__ void statistics_kernel(Sizes<T> z, const T* x, float* mean, float* var) {
  Smem& s = shared<Smem>();
  const int c = int(blockIdx.x) * lanes + int(threadIdx.x);
  const float first = c < z.channels ? widen(x[c]) : 0;
  float sum = 0, squares = 0;
  every_row(z.rows, z.channels, c, [&](int64_t i) { sum += widen(x[i]) - first; });
  const float m = over_warps(s, sum) / float(z.rows);
  every_row(z.rows, z.channels, c, [&](int64_t i) {
    const float d = widen(x[i]) - first - m;
    squares += d * d;
  });
  squares = over_warps(s, squares);
  if (threadIdx.y == 0 && c < z.channels) {
    mean[c] = first + m;
    var[c] = squares / float(z.rows);
  }
}

template <class T>
__global__ void reduce_kernel(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* mean,
                              const float* rstd, float* sum_dy, float* sum_dy_xhat) {
  Smem& s = shared<Smem>();
  const int c = int(blockIdx.x) * lanes + int(threadIdx.x);
  float sum = 0, sum_x = 0;
  every_row(z.rows, z.channels, c, [&](int64_t i) {
    const float g = masked(mask, x, dy, i, c);
    sum += g;
    sum_x += g * (widen(x[i]) - mean[c]);
  });
  sum = over_warps(s, sum);
  sum_x = over_warps(s, sum_x);
  if (threadIdx.y == 0 && c < z.channels) {
    sum_dy[c] = sum;
    sum_dy_xhat[c] = sum_x * rstd[c];
  }
}

template <class T>
__global__ void normalize_kernel(Sizes<T> z, const T* x, const float* scale, const float* shift,
                                 const T* skip, bool relu, T* y) {
  const int64_t i = int64_t(blockIdx.x) * element_threads + threadIdx.x;
  if (i >= z.rows * z.channels)
    return;
  const int c = int(i % z.channels);
  const float v = scale[c] * widen(x[i]) + shift[c] + (skip ? widen(skip[i]) : 0.0f);
  y[i] = narrow<T>(relu && v < 0 ? 0.0f : v);
}

template <class T>
__global__ void apply_kernel(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* a,
                             const float* b, const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  const int64_t i = int64_t(blockIdx.x) * element_threads + threadIdx.x;
  if (i >= z.rows * z.channels)
    return;
  const int ch = int(i % z.channels);
  const float g = masked(mask, x, dy, i, ch);
  if (dx)
    store_gradient(dx, i, a[ch] * g + (b[ch] * widen(x[i]) + c[ch]));
  if (dskip)
    store_gradient(dskip, i, g);
}

Grid grid_of_sums(int channels) {
  return {dim3(unsigned(blocks_for(channels, lanes))), dim3(lanes, warps)};
}
template <class Size>
Grid grid_of_elements(Size z) {
  return {dim3(unsigned(blocks_for(z.rows * z.channels, element_threads))), element_threads};
}

template <class T>
void statistics(Sizes<T> z, const T* x, float* mean, float* var) {
  launch("batchnorm statistics", grid_of_sums(z.channels), statistics_kernel<T>, z, x, mean, var);
}
template <class T>
void normalize(Sizes<T> z, const T* x, const float* scale, const float* shift, const T* skip, bool relu,
               T* y) {
  launch("batchnorm normalize", grid_of_elements(z), normalize_kernel<T>, z, x, scale, shift, skip, relu, y);
}
template <class T>
void reduce(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* mean, const float* rstd,
            float* sum_dy, float* sum_dy_xhat) {
  launch("batchnorm reduce", grid_of_sums(z.channels), reduce_kernel<T>, z, x, mask, dy, mean, rstd, sum_dy,
         sum_dy_xhat);
}
template <class T>
void apply(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* a, const float* b,
           const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  launch("batchnorm apply", grid_of_elements(z), apply_kernel<T>, z, x, mask, dy, a, b, c, dx, dskip);
}

template <class T>
const auto table = batchnorm_channels::table_of<T>(statistics<T>, normalize<T>, reduce<T>, apply<T>);
const Provide<BatchNormKernelsOf<float>> provide{
    {this_device, 1, "a block for 32 channels, warps share the rows", &table<float>}};
const Provide<BatchNormKernelsOf<Bf16>> provide_bf16{
    {this_device, 1, "a block for 32 channels, warps share the rows", &table<Bf16>}};

}  // namespace
}  // namespace lucida
