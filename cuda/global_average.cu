// Global average, 16 bytes of channels a lane.
//   math      y[n,c] = mean over pixels of x[n,.,.,c],  dx = dy / (H*W)
//   mapping   a block takes up to 32 lanes of channels of one image. Thread t holds lane t % lanes and every
//             (threads / lanes)-th pixel: with few channels a warp reads several pixels at once, which lie
//             side by side. Forward: rows of threads are added in shared memory, in order. Backward: dy is
//             read and divided once, into shared memory, and written to every pixel
//   traffic   forward one read of x, backward one write of dx
//   roofline  memory
//   weak spot the last addition is made by one row of threads
//   measured  (PTX simulator, 16 x 7 x 7 x 2048, 2026-11-25) forward 1.00 of the minimal bytes (bf16: 1.04),
//             41 warp instructions a KB (71); backward 1.00 (1.00), 16 (26); 512 bytes a request, no bank
//             conflicts. Rung 0 reads dy for each pixel: 1.96 (2.9)
#include "cuda/pool_lanes.cuh"
#include "layers/pool.h"

namespace lucida {
namespace {

using namespace pool;
constexpr int forward_threads = 256, backward_threads = 64, most_lanes = 32, most_rows = 16;

// The lanes that the block has, its image and first channel; this thread's channel and first pixel.
struct Share {
  int lanes, rows, n, channel, pixel;
};
template <int W>
__device__ Share my_share(int c) {
  const int all = c / W, chunks = (all + most_lanes - 1) / most_lanes, chunk = int(blockIdx.x) % chunks;
  const int lanes = min(all, most_lanes), rows = min(int(blockDim.x) / lanes, most_rows),
            t = int(threadIdx.x);
  return {lanes, rows, int(blockIdx.x) / chunks, (chunk * most_lanes + t % lanes) * W, t / lanes};
}
Grid grid_for(int n, int c, int w, int threads) {
  return {dim3(unsigned(n * blocks_for(c / w, most_lanes))), dim3(unsigned(threads))};
}

// What each thread has, in parts of 16 bytes: those of neighbouring threads lie side by side, so that no two
// lanes of a request meet in a bank.
template <int W>
struct Sums {
  static constexpr int part = W < 4 ? W : 4;
  float value[W / part][forward_threads * part];

  __device__ void put(int thread, const Channels<W>& v) {
    for (int p = 0; p < W / part; ++p) {
      Channels<part> some;
      for (int k = 0; k < part; ++k) some.value[k] = v.value[p * part + k];
      store(value[p] + thread * part, some);
    }
  }
  __device__ void add_to(Channels<W>& v, int thread) const {
    for (int p = 0; p < W / part; ++p) {
      const Channels<part> some = load<part>(value[p] + thread * part);
      for (int k = 0; k < part; ++k) v.value[p * part + k] += some.value[k];
    }
  }
};

template <class T, int W>
__global__ void __launch_bounds__(forward_threads) forward_kernel(int hw, int c, const T* x, float* y) {
  Sums<W>& s = shared<Sums<W>>();
  const Share my = my_share<W>(c);
  const bool works = my.pixel < my.rows && my.channel < c;
  Channels<W> sum{};
  for (int p = my.pixel; works && p < hw; p += my.rows) {
    const Channels<W> v = load<W>(x + (int64_t(my.n) * hw + p) * c + my.channel);
    for (int k = 0; k < W; ++k) sum.value[k] += v.value[k];
  }
  s.put(int(threadIdx.x), sum);
  __syncthreads();
  if (my.pixel > 0 || my.channel >= c)
    return;
  for (int row = 1; row < my.rows && row < hw; ++row) s.add_to(sum, row * my.lanes + int(threadIdx.x));
  for (float& v : sum.value) v /= float(hw);
  store(y + int64_t(my.n) * c + my.channel, sum);
}

// The block's channels of dy / (H*W). A request that brings them is 512 consecutive bytes; a thread of bf16
// wants two parts of 16 bytes, which lie half a turn of the banks apart.
template <int W>
struct Shares {
  static constexpr int part = W < 4 ? W : 4, parts = W / part, next = most_lanes * part + 16;
  alignas(16) float value[parts * next];

  __device__ void fill(const Share& my, int c, const float* dy, int hw) {
    const int first = my.channel - int(threadIdx.x) % my.lanes * W;
    for (int i = int(threadIdx.x); i < my.lanes * parts && first + i * part < c; i += backward_threads) {
      Channels<part> v = load<part>(dy + int64_t(my.n) * c + first + i * part);
      for (float& share : v.value) share /= float(hw);
      store(value + i % parts * next + i / parts * part, v);
    }
  }
  __device__ Channels<W> of(int lane) const {
    Channels<W> all;
    for (int p = 0; p < parts; ++p) {
      const Channels<part> some = load<part>(value + p * next + lane * part);
      for (int k = 0; k < part; ++k) all.value[p * part + k] = some.value[k];
    }
    return all;
  }
};

template <class T, int W>
__global__ void __launch_bounds__(backward_threads)
    backward_kernel(int hw, int c, const float* dy, GradSlotOf<T> dx) {
  Shares<W>& shares = shared<Shares<W>>();
  const Share my = my_share<W>(c);
  shares.fill(my, c, dy, hw);
  __syncthreads();
  if (my.pixel >= my.rows || my.channel >= c)
    return;
  const Channels<W> d = shares.of(int(threadIdx.x) % my.lanes);
  for (int p = my.pixel; p < hw; p += my.rows) add_to(dx, (int64_t(my.n) * hw + p) * c + my.channel, d);
}

template <class T>
void forward(int n, int hw, int c, const T* x, float* y) {
  constexpr int size = Pack<T>::size;
  if (channels_a_lane<T>(c, x) > 1 && aligned_for_packs(y))
    launch("global average forward", grid_for(n, c, size, forward_threads), forward_kernel<T, size>, hw, c, x,
           y);
  else
    launch("global average forward", grid_for(n, c, 1, forward_threads), forward_kernel<T, 1>, hw, c, x, y);
}

template <class T>
void backward(int n, int hw, int c, const float* dy, GradSlotOf<T> dx) {
  constexpr int size = Pack<T>::size;
  if (channels_a_lane<T>(c, dx.data) > 1 && aligned_for_packs(dy))
    launch("global average backward", grid_for(n, c, size, backward_threads), backward_kernel<T, size>, hw, c,
           dy, dx);
  else
    launch("global average backward", grid_for(n, c, 1, backward_threads), backward_kernel<T, 1>, hw, c, dy,
           dx);
}

template <class T>
const GlobalAverageKernelsOf<T> table{forward<T>, backward<T>};
const Provide<GlobalAverageKernels> provide{{this_device, 1, "16 bytes a lane", &table<float>}};
const Provide<GlobalAverageKernelsOf<Bf16>> provide_bf16{{this_device, 1, "16 bytes a lane", &table<Bf16>}};

}  // namespace
}  // namespace lucida
