// The stem's backward_weight:  dw[k][e] = sum over pixels  dy[pixel][k] x window of pixel [e],
// whatever multiplies (tensor cores in bf16 and tf32, FMAs in f32).
//
//   mapping   a block goes through a share of the runs of 128 pixels and sums 64 channels x 152 (160)
//             columns, elements of a window. Four warps: two have half of the results each over one half of
//             the pixels, two over the other; at the end their sums are added.
//   in loop   a lane's columns lie at distances from a window's beginning that never change, so they stay in
//             registers; where a pixel's window begins is worked out once a run, one pixel a thread.
//   partial   [share][k][position] in global memory, added in order by another kernel, which also brings the
//             columns into the weight's order: the same bits in every run
//   traffic   dy once; x once from memory, 2 to 4 times from L2
//
// A Product has
//   columns             of a block
//   place(pixel, chunk) where 16 bytes of dy lie, of columns_a_block channels a pixel; alike every 8 pixels
//   multiply(dy, begin, count)   adds a run; begin: offsets of windows from the stage's patch
//   sums                the lane's, of type Sums: floats
//   store(p, share)     writes them
#pragma once
#include "cuda/conv2d_stem.cuh"
#include "cuda/tensor_operands.cuh"

namespace lucida::stem {

constexpr int weight_threads = 128;

template <class T>
struct WeightPass {
  Patch patch;
  Columns columns;
  const T *x, *dy;
  int k, dy_pitch;  // output channels; elements from a pixel of dy to the next
  int runs, runs_a_share;
  float* partial;  // [shares][k][columns.positions()]
};

template <class T>
struct Stage {
  unsigned char* memory;
  __device__ unsigned char* dy() const { return memory; }
  __device__ int* begin() const {
    return reinterpret_cast<int*>(memory + weight_run * columns_a_block * sizeof(T));
  }
  __device__ T* patch() const { return reinterpret_cast<T*>(begin() + weight_run); }
};

template <class Product, class T>
__device__ void fetch_run(const WeightPass<T>& p, int run, const Stage<T>& stage) {
  constexpr int chunk = 16 / int(sizeof(T)), chunks = columns_a_block / chunk,
                at_once = weight_threads / chunks;
  const int first = run * weight_run, last = std::min(first + weight_run, p.patch.pixels) - 1;
  const int first_row = window_of(p.patch, first).row;
  stage.begin()[threadIdx.x] =
      offset_in_patch<T>(p.patch, std::min(first + int(threadIdx.x), last), first_row);
  // A thread copies the same chunk of every 8th (bf16: 16th) pixel; those lie alike (see Product::place).
  const int c = int(threadIdx.x) % chunks, pixel = first + int(threadIdx.x) / chunks;
  const int channel = int(blockIdx.y) * columns_a_block + c * chunk;
  const int left = channel < p.dy_pitch ? last - pixel : -1;
  const T* from = p.dy + int64_t(pixel) * p.dy_pitch + channel;
  unsigned char* to = stage.dy() + Product::place(pixel - first, c);
#pragma unroll
  for (int i = 0; i < weight_run; i += at_once, from += at_once * p.dy_pitch)
    cp_async_16(to + i * columns_a_block * int(sizeof(T)), from, i <= left);
  fetch_patch(p.patch, p.x, first_row, last, stage.patch());
}
static_assert(weight_threads == weight_run);  // a thread works out one window

// Adds the sums of warps 2 and 3 to those of warps 0 and 1, which are about the same results.
template <class Sums>
__device__ void add_halves(Sums& sums, float4* memory) {
  constexpr int count = sizeof(Sums) / sizeof(float);
  static_assert(count % 4 == 0);
  auto& sum = reinterpret_cast<float(&)[count]>(sums);
  memory += int(threadIdx.x) % (weight_threads / 2);
  if (threadIdx.x >= weight_threads / 2)
#pragma unroll
    for (int i = 0; i < count; i += 4)
      memory[i / 4 * (weight_threads / 2)] = {sum[i], sum[i + 1], sum[i + 2], sum[i + 3]};
  __syncthreads();
  if (threadIdx.x < weight_threads / 2)
#pragma unroll
    for (int i = 0; i < count; i += 4) {
      const float4 v = memory[i / 4 * (weight_threads / 2)];
      sum[i] += v.x, sum[i + 1] += v.y, sum[i + 2] += v.z, sum[i + 3] += v.w;
    }
}

template <int count>
struct Distances {
  int of[count];
};

template <class T, class Product>
__global__ void __launch_bounds__(weight_threads, 2) weight_kernel(const WeightPass<T> p, int stage_bytes) {
  auto* memory = dynamic_shared<unsigned char>();
  const int share = int(blockIdx.x), first = share * p.runs_a_share,
            end = std::min(first + p.runs_a_share, p.runs);
  constexpr int buffers = weight_buffers(sizeof(T));
  Stage<T> here{memory}, next{memory + (buffers - 1) * stage_bytes};
  // Where columns lie in a window, in bytes; those that a window does not have may lie anywhere in it.
  auto& distances = shared<Distances<Product::columns>>();
  for (int i = int(threadIdx.x); i < Product::columns; i += weight_threads) {
    const int element = p.columns.element(int(blockIdx.z) * Product::columns + i);
    distances.of[i] =
        p.columns.window.distance(element < 0 ? p.columns.window.first : element) * int(sizeof(T));
  }
  __syncthreads();
  Product product(p, distances.of);
  fetch_run<Product>(p, first, here);
  cp_async_commit();
  for (int run = first; run < end; ++run) {
    if (buffers == 2 && run + 1 < end)
      fetch_run<Product>(p, run + 1, next);
    cp_async_commit();
    cp_async_wait<buffers - 1>();
    __syncthreads();
    product.multiply(here.dy(), shared_at(here.patch()), here.begin(),
                     std::min(p.patch.pixels - run * weight_run, int{weight_run}));
    __syncthreads();
    if (buffers == 1 && run + 1 < end)
      fetch_run<Product>(p, run + 1, here);
    std::swap(here, next);
  }
  cp_async_wait<0>();
  add_halves(product.sums, reinterpret_cast<float4*>(memory));
  if (threadIdx.x < weight_threads / 2)
    product.store(p, share);
}

// dw = or += the sum of the shares, in order: warp w adds shares w, w + 8, ..., then the eight sums are
// added.
struct ShareSums {
  float sum[8][32];
};
template <class T>
__global__ void add_shares_kernel(Columns columns, int count, int shares, const float* partial,
                                  GradSlotOf<T> dweight) {
  auto& s = shared<ShareSums>();
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, i = int(blockIdx.x) * 32 + lane;
  float sum = 0;
  if (i < count)
#pragma unroll 4
    for (int share = warp; share < shares; share += 8) sum += partial[int64_t(share) * count + i];
  s.sum[warp][lane] = sum;
  __syncthreads();
  const int k = i / columns.positions(), element = columns.element(i - k * columns.positions());
  if (warp > 0 || i >= count || element < 0)
    return;
  for (int w = 1; w < 8; ++w) sum += s.sum[w][lane];
  store_gradient(dweight, int64_t(k) * columns.window.count() + element, sum);
}

template <class T, class Product>
void weight_pass(const char* name, const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  const Plan plan = plan_of(z, weight_run, int(sizeof(T)));
  const tensor::Operand<T> dys = tensor::padded_rows(dy, z.pixels(), z.k);
  WeightPass<T> p{plan.patch, columns_of(plan.window), x, dys.data, z.k, 0, 0, 0, nullptr};
  p.patch.by_chunks = p.patch.by_chunks && aligned_for_packs(x);
  p.dy_pitch = int(tensor::rounded_up(z.k, tensor::chunk<T>));
  p.runs = int(blocks_for(z.pixels(), weight_run));
  const dim3 tiles(1, unsigned(blocks_for(z.k, columns_a_block)),
                   unsigned(blocks_for(p.columns.positions(), Product::columns)));
  const tensor::Split shares = tensor::split_of(tiles.y * tiles.z, p.runs, 4);
  p.runs_a_share = shares.tiles;
  const Tensor partial = Tensor::empty({shares.count, z.k, p.columns.positions()}, current_device());
  p.partial = partial.data();
  const int stage_bytes = weight_stage_bytes(plan, int(sizeof(T)));
  const size_t bytes = std::max<size_t>(size_t(weight_buffers(sizeof(T)) * stage_bytes),
                                        sizeof(typename Product::Sums) * (weight_threads / 2));
  launch(name, {dim3(unsigned(shares.count), tiles.y, tiles.z), weight_threads, bytes},
         weight_kernel<T, Product>, p, stage_bytes);
  const int count = z.k * p.columns.positions();
  launch("conv2d stem add shares", {dim3(unsigned(blocks_for(count, 32))), 256}, add_shares_kernel<float>,
         p.columns, count, shares.count, p.partial, dweight);
}

}  // namespace lucida::stem
