// Conv2d on tensor cores, forward of few channels:  y[pixel][k] = sum over e  window of pixel [e]  w[k][e].
//
//   mapping   a block makes 256 pixels x 64 channels, a warp 64 x 64 (cuda/tensor_tile.cuh). B, the weight
//             in the window's order, is read by ldmatrix. A comes straight from the patch: lane 4g + t
//             needs registers t and t + 4 of a step's 8 in rows g and g + 8, so it keeps where the windows
//             of its 8 rows begin, reads two distances a step and adds.
//   depth     bf16: 128 elements in 8 steps of pairs, the other 19 in three of half the depth (m16n8k8),
//             element by element; tf32: 19 steps of 8. Both 152 for 147: 97 % of what is multiplied counts.
//   banks     windows of neighbouring pixels are stride * c elements apart: 3 words in bf16, so 8 x 4 lanes
//             read 25 neighbouring words; 6 in tf32, where rows g and g + 8 of a tile are pixels 2g and 2g
//             + 1, 12 words apart, and the lanes fill the 32 banks. Conflicts remain where a step passes
//             from one kernel row to the next.
//   traffic   x once from memory, 3 times from L2; the weight, 20 KB in bf16, once a block
//   issue     the loop of whole steps: 2.3 machine instructions an mma (nvcc 13.0, sm_80, 2026-11-25); an
//             A100 affords 8, an H100 4. A PTX simulator counts 5.2 (bf16) and 4.4 (tf32) for the whole
//             launch, 1.50 and 1.65 wavefronts of shared memory, 1.08 and 1.10 times those without
//             conflicts (four images of 112 x 112, 2026-11-25)
//   weak spot a block copies, then multiplies: only the SM's other block overlaps. Rows of x that are not
//             whole 16-byte chunks (224 pixels are) are copied element by element. Eleven products a result
//             tile are few to pay for copies, bias and store.
#include "cuda/conv2d_stem.cuh"
#include "cuda/tensor_store.cuh"

namespace lucida::tensor {
namespace {

using stem::SharedAt;
constexpr int stem_threads = stem::forward_run / warp_rows * 32;

template <class T>
struct StemForward {
  stem::ForwardPlan plan;
  const T* x;
  const unsigned char* packed;  // weights
  const float* bias;            // or null
  Results<T> out;
};

// For every 64 output channels, as ForwardPlan says: rows of the weight in the window's order, zeros behind
// them, and the distances. A thread writes one element of one row.
template <class T>
__global__ void pack_kernel(stem::ForwardPlan plan, int outputs, const T* weight, unsigned char* packed) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x), k = int(blockIdx.y), row = k % warp_columns;
  if (i >= plan.weight_pitch / int(sizeof(T)))
    return;
  const int element = plan.window.element(i);
  unsigned char* tile = packed + int64_t(k / warp_columns) * plan.packed_bytes;
  T* to = reinterpret_cast<T*>(tile + row * plan.weight_pitch) + i;
  *to = element >= 0 && k < outputs ? weight[int64_t(k) * plan.window.count() + element] : narrow<T>(0);
  if (row == 0 && i < plan.depth)
    reinterpret_cast<int*>(tile + plan.weight_bytes)[i] =
        element >= 0 ? plan.window.distance(element) * int(sizeof(T)) : -1;
}

// The pixel of row i of a warp's 64.
template <class T>
__device__ int pixel_of_row(int i) {
  return sizeof(T) == 2 ? i : i / 16 * 16 + i % 8 * 2 + i / 8 % 2;
}

template <class T>
struct StemFragments {
  SharedAt window[8];            // of rows 8i + lane / 4
  const unsigned char* weights;  // of all 64 channels
  const int* distances;          // in bytes, -1 behind the last
  int pitch, b_lane;             // of the weights; where this lane's row of the first ldmatrix begins

  __device__ StemFragments(const stem::ForwardPlan& plan, const unsigned char* memory)
      : weights(memory),
        distances(reinterpret_cast<const int*>(memory + plan.weight_bytes)),
        pitch(plan.weight_pitch) {
    const int lane = int(threadIdx.x) % 32, first = int(threadIdx.x) / 32 * warp_rows;
    b_lane = (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 16;
    const int* begin = reinterpret_cast<const int*>(memory + plan.packed_bytes) + first;
    const SharedAt patch = stem::shared_at(memory + plan.patch_at);
#pragma unroll
    for (int i = 0; i < 8; ++i) window[i] = patch + begin[pixel_of_row<T>(8 * i + lane / 4)];
  }

  __device__ void load(Fragment& f, int step) const {
    const int* at = distances + (8 * step + int(threadIdx.x) % 4) * (4 / int(sizeof(T)));
    load_a(f, at[0], at[16 / sizeof(T)]);
    load_b(f, step);
  }
  __device__ void load_a(Fragment& f, int near, int far) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int q = 0; q < 4; ++q) f.a[i][q] = stem::load_word(window[2 * i + q % 2] + (q < 2 ? near : far));
  }
  __device__ void load_b(Fragment& f, int step) const {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      unsigned r[4];
      ldmatrix_x4(r, weights + b_lane + j * 16 * pitch + step * 32);
      f.b[2 * j][0] = r[0];
      f.b[2 * j][1] = r[1];
      f.b[2 * j + 1][0] = r[2];
      f.b[2 * j + 1][1] = r[3];
    }
  }
};

// The last steps, one at least, 8 elements each, read one by one. Elements that a window does not have are
// 0, not something times the weight's 0: that something may be infinite.
__device__ inline void multiply_tail(const StemFragments<Bf16>& from, int first, int steps,
                                     Accumulators& sum) {
  const int lane = int(threadIdx.x) % 32;
  do {
    const int low = from.distances[first + lane % 4 * 2], high = from.distances[first + lane % 4 * 2 + 1];
    const unsigned there = (low < 0 ? 0 : 0xFFFFu) | (high < 0 ? 0 : 0xFFFF0000u);
    unsigned a[4][2], b[2][4];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      a[i / 2][i % 2] =
          stem::load_halves(from.window[i] + std::max(low, 0), from.window[i] + std::max(high, 0)) & there;
#pragma unroll
    for (int half = 0; half < 2; ++half)
      ldmatrix_x4(b[half], from.weights + (32 * half + lane) * from.pitch + first * 2);
#pragma unroll
    for (int j = 0; j < 8; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) mma_bf16_k8(sum.c[i][j], a[i], b[j / 4][j % 4]);
    first += 8;
  } while (--steps > 0);
}
__device__ inline void multiply_tail(const StemFragments<float>& from, int first, int steps,
                                     Accumulators& sum) {
  do {
    const int* at = from.distances + first + int(threadIdx.x) % 4;
    Fragment f;
    from.load_a(f, std::max(at[0], 0), std::max(at[4], 0));
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int q = 0; q < 4; ++q) f.a[i][q] = at[q < 2 ? 0 : 4] < 0 ? 0 : f.a[i][q];
    from.load_b(f, first / 8);
    multiply<float>(sum, f);
    first += 8;
  } while (--steps > 0);
}

// The bias of a lane's columns, or zeros.
struct Bias {
  float c[8][2] = {};

  __device__ Bias(const float* bias, int column, int columns) {
    column += int(threadIdx.x) % 4 * 2;
    if (!bias)
      return;
#pragma unroll
    for (int j = 0; j < 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if (column + 8 * j + e < columns)
          c[j][e] = bias[column + 8 * j + e];
  }
};

// sum = bias + A B of all steps of pairs, an even number of them and at least 4; one is read while the one
// before it is multiplied.
template <class T>
__device__ void multiply_whole(const StemFragments<T>& from, int steps, const Bias& bias, Accumulators& sum) {
  Fragment even, odd;
  from.load(even, 0);
  from.load(odd, 1);
#pragma unroll
  for (int j = 0; j < 8; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float c[4] = {bias.c[j][0], bias.c[j][1], bias.c[j][0], bias.c[j][1]};
      if constexpr (sizeof(T) == 2)
        mma_bf16(sum.c[i][j], even.a[i], even.b[j], c);
      else
        mma_tf32(sum.c[i][j], even.a[i], even.b[j], c);
    }
  int step = 2;
  do {
    from.load(even, step);
    multiply<T>(sum, odd);
    from.load(odd, step + 1);
    multiply<T>(sum, even);
    step += 2;
  } while (step < steps);
  multiply<T>(sum, odd);
}

// Queues the copies of what a block multiplies.
template <class T>
__device__ void fetch(const StemForward<T>& s, int first, unsigned char* memory) {
  const stem::Patch& p = s.plan.patch;
  const unsigned char* from = s.packed + int64_t(blockIdx.y) * s.plan.packed_bytes + threadIdx.x * 16;
  unsigned char* to = memory + threadIdx.x * 16;
  for (const unsigned char* end = memory + s.plan.packed_bytes; to < end;
       to += stem_threads * 16, from += stem_threads * 16)
    cp_async_16(to, from);
  const int first_row = stem::window_of(p, first).row,
            last = std::min(first + stem::forward_run, p.pixels) - 1;
  int* begin = reinterpret_cast<int*>(memory + s.plan.packed_bytes);
  for (int i = int(threadIdx.x); i < stem::forward_run; i += stem_threads)
    begin[i] = stem::offset_in_patch<T>(p, std::min(first + i, last), first_row);
  stem::fetch_patch(p, s.x, first_row, last, reinterpret_cast<T*>(memory + s.plan.patch_at));
  cp_async_commit();
}

// Rows of y follow each other like pixels, so a lane goes from one to its next by an addition.
template <class T>
__device__ void store_pixels(unsigned char* staging, const Accumulators& sum, const Results<T>& y, int column,
                             int pixel, int pixels) {
  constexpr int chunks = warp_columns / chunk<T>, at_once = 32 / chunks;
  const int lane = int(threadIdx.x) % 32, chunk_index = lane % chunks, left = pixels - pixel - lane / chunks;
  stage<T>(staging, sum);
  __syncwarp();
  if (column + chunk_index * chunk<T> >= y.columns)
    return;
  // The staged row of this lane's m-th pixel is row(m) further than that of its first. Chunks are exchanged
  // alike in rows 4 m apart.
  const auto row = [](int m) { return sizeof(T) == 2 ? m * at_once : m / 8 * 16 + m % 8; };
  int staged_at[4];
#pragma unroll
  for (int m = 0; m < 4; ++m)
    staged_at[m] = staged<T>(row(m) + lane / chunks * (sizeof(T) == 2 ? 1 : 8), chunk_index);
  const int64_t next = int64_t{at_once} * y.columns;
  T* to = y.slot.data + int64_t(pixel + lane / chunks) * y.columns + column + chunk_index * chunk<T>;
#pragma unroll
  for (int m = 0; m < warp_rows / at_once; ++m, to += next)
    if (m * at_once < left)
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(
          staging + staged_at[m % 4] + (row(m) - row(m % 4)) * warp_columns * int(sizeof(T)));
}

// whole: there are steps of pairs, so the compiler need not think of skipping them.
template <class T, bool whole>
__global__ void __launch_bounds__(stem_threads, 2) stem_forward_kernel(const StemForward<T> s) {
  auto* memory = dynamic_shared<unsigned char>();
  const int first = int(blockIdx.x) * stem::forward_run, column = int(blockIdx.y) * warp_columns;
  fetch(s, first, memory);
  cp_async_wait<0>();
  __syncthreads();
  const StemFragments<T> from(s.plan, memory);
  Accumulators sum;
  if constexpr (whole)
    multiply_whole(from, s.plan.whole_steps, Bias(s.bias, column, s.out.columns), sum);
  else
    start(sum, s.bias, column, s.out.columns);
  multiply_tail(from, s.plan.whole_steps * 32 / int(sizeof(T)), s.plan.tail_steps, sum);
  __syncthreads();  // results are laid where operands were
  const int warp = int(threadIdx.x) / 32, pixel = first + warp * warp_rows, pixels = s.plan.patch.pixels;
  unsigned char* staging = memory + warp * warp_rows * warp_columns * int(sizeof(T));
  if (s.out.whole)
    store_pixels(staging, sum, s.out, column, pixel, pixels);
  else
    store(staging, sum, s.out, column, [&](int i) {
      const int at = pixel + pixel_of_row<T>(i);
      return at < pixels ? int64_t{at} : int64_t{-1};
    });
}

}  // namespace

template <class T>
void stem_forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const int tiles = int(blocks_for(z.k, warp_columns));
  StemForward<T> s{stem::forward_plan(z, dtype_of<T>), x, nullptr, bias, {{y, false}, z.k}};
  s.plan.patch.by_chunks = s.plan.patch.by_chunks && aligned_for_packs(x);
  const Tensor packed = Tensor::empty({tiles, s.plan.packed_bytes / 4}, current_device());
  s.packed = reinterpret_cast<const unsigned char*>(packed.data());
  const dim3 pack_blocks(unsigned(blocks_for(s.plan.weight_pitch, 128 * sizeof(T))),
                         unsigned(tiles * warp_columns));
  launch("conv2d stem pack weight", {pack_blocks, 128}, pack_kernel<T>, s.plan, z.k, weight,
         reinterpret_cast<unsigned char*>(packed.data()));
  const dim3 blocks(unsigned(blocks_for(z.pixels(), stem::forward_run)), unsigned(tiles));
  launch("conv2d forward stem", {blocks, stem_threads, size_t(s.plan.shared_bytes)},
         s.plan.whole_steps > 0 ? stem_forward_kernel<T, true> : stem_forward_kernel<T, false>, s);
}

template void stem_forward<float>(const Conv2dSizes&, const float*, const float*, const float*, float*);
template void stem_forward<Bf16>(const Conv2dSizes&, const Bf16*, const Bf16*, const float*, Bf16*);

}  // namespace lucida::tensor
