// BatchNorm, rung 0: one thread a channel walks down all rows.
//   math      layers/batchnorm.h; the variance in two passes, sums in double
//   mapping   neighbouring threads have neighbouring channels, so a request of a warp is one piece of a row
//   traffic   forward 3 reads + 1 write (x is read twice for the variance), backward 4 reads + 1 write
//   roofline  memory; but one load of 4 bytes is under way a thread: ResNet's first layer keeps 64 threads
//             of a GPU busy, each waiting about half a microsecond a row
//   weak spot parallel over channels alone
//   why it loses to the next rung: rows are independent too, and there are thousands of them a channel
#include "cuda/batchnorm_channels.cuh"

namespace lucida {
namespace {

template <class T>
using Sizes = typename BatchNormKernelsOf<T>::Sizes;
constexpr int threads = 64;

__device__ int channel() {
  return int(blockIdx.x) * threads + int(threadIdx.x);
}

template <class T>
__global__ void statistics_kernel(Sizes<T> z, const T* x, float* mean, float* var) {
  const int c = channel();
  if (c >= z.channels)
    return;
  const int64_t end = z.rows * z.channels;
  double sum = 0, squares = 0;
  for (int64_t i = c; i < end; i += z.channels) sum += widen(x[i]);
  const double m = sum / double(z.rows);
  for (int64_t i = c; i < end; i += z.channels) squares += (widen(x[i]) - m) * (widen(x[i]) - m);
  mean[c] = float(m);
  var[c] = float(squares / double(z.rows));
}

template <class T>
__global__ void normalize_kernel(Sizes<T> z, const T* x, const float* scale, const float* shift,
                                 const T* skip, bool relu, T* y) {
  const int c = channel();
  if (c >= z.channels)
    return;
  for (int64_t i = c; i < z.rows * z.channels; i += z.channels) {
    const float v = scale[c] * widen(x[i]) + shift[c] + (skip ? widen(skip[i]) : 0.0f);
    y[i] = narrow<T>(relu && v < 0 ? 0.0f : v);
  }
}

template <class T>
__global__ void reduce_kernel(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* mean,
                              const float* rstd, float* sum_dy, float* sum_dy_xhat) {
  const int c = channel();
  if (c >= z.channels)
    return;
  double sum = 0, sum_x = 0;
  for (int64_t i = c; i < z.rows * z.channels; i += z.channels) {
    const float g = masked(mask, x, dy, i, c);
    sum += g;
    sum_x += g * (widen(x[i]) - mean[c]);
  }
  sum_dy[c] = float(sum);
  sum_dy_xhat[c] = float(sum_x * rstd[c]);
}

template <class T>
__global__ void apply_kernel(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* a,
                             const float* b, const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  const int ch = channel();
  if (ch >= z.channels)
    return;
  for (int64_t i = ch; i < z.rows * z.channels; i += z.channels) {
    const float g = masked(mask, x, dy, i, ch);
    if (dx)
      store_gradient(dx, i, a[ch] * g + (b[ch] * widen(x[i]) + c[ch]));
    if (dskip)
      store_gradient(dskip, i, g);
  }
}

Grid grid_for(int channels) {
  return {dim3(unsigned(blocks_for(channels, threads))), threads};
}

template <class T>
void statistics(Sizes<T> z, const T* x, float* mean, float* var) {
  launch("batchnorm statistics", grid_for(z.channels), statistics_kernel<T>, z, x, mean, var);
}
template <class T>
void normalize(Sizes<T> z, const T* x, const float* scale, const float* shift, const T* skip, bool relu,
               T* y) {
  launch("batchnorm normalize", grid_for(z.channels), normalize_kernel<T>, z, x, scale, shift, skip, relu, y);
}
template <class T>
void reduce(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* mean, const float* rstd,
            float* sum_dy, float* sum_dy_xhat) {
  launch("batchnorm reduce", grid_for(z.channels), reduce_kernel<T>, z, x, mask, dy, mean, rstd, sum_dy,
         sum_dy_xhat);
}
template <class T>
void apply(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* a, const float* b,
           const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  launch("batchnorm apply", grid_for(z.channels), apply_kernel<T>, z, x, mask, dy, a, b, c, dx, dskip);
}

template <class T>
const auto table = batchnorm_channels::table_of<T>(statistics<T>, normalize<T>, reduce<T>, apply<T>);
const Provide<BatchNormKernelsOf<float>> provide{{this_device, 0, "one thread a channel", &table<float>}};
const Provide<BatchNormKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread a channel", &table<Bf16>}};

}  // namespace
}  // namespace lucida
