// Conv2d on tensor cores, forward of few channels:  y[pixel][k] = sum over e  window of pixel [e]  w[k][e].
//
//   mapping   a block makes 256 pixels x 64 channels, a warp 64 x 64 (cuda/tensor_tile.cuh). B, the weight,
//             is packed in the order in which lanes hold it (cuda/conv2d_stem_pack.cuh). A comes straight
//             from the patch: lane 4g + t needs registers t and t + 4 of a step's 8 in rows g and g + 8, so
//             it keeps where the windows of its 8 rows begin, reads two distances a step and adds.
//   depth     bf16: 70 pairs in 9 steps, the 7 elements that are left in one of half the depth (m16n8k8),
//             one by one; tf32: 19 steps of 8. Both have 152 slots for 147: 97 % of what is multiplied
//             counts. The other 5 repeat elements at half their weight (stem::taken_in_turn).
//   banks     windows of neighbouring pixels are stride * c elements apart: 3 words in bf16, so 8 x 4 lanes
//             read 25 neighbouring words; 6 in tf32, where rows g and g + 8 of a tile are pixels 2g and 2g
//             + 1, 12 words apart, and the lanes fill the 32 banks. Conflicts remain where a step passes
//             from one kernel row to the next.
//   traffic   x once from memory, 3 times from L2; the weight, 19 KB in bf16, once a block
//   issue     the loop of whole steps: 2.3 machine instructions an mma (nvcc 13.0, sm_80, 2026-11-25); an
//             A100 affords 8, an H100 4. A PTX simulator counts 4.4 (bf16) and 3.7 (tf32) for the whole
//             launch, 1.24 and 1.25 wavefronts of shared memory, 1.11 and 1.13 times those without
//             conflicts (four images of 112 x 112, 2026-11-25)
//   weak spot a block copies, then multiplies: only the SM's other block overlaps. Rows of x that are not
//             whole 16-byte chunks (224 pixels are) are copied element by element. Ten products a result
//             tile are few to pay for copies and stores.
#include "cuda/conv2d_stem_pack.cuh"

namespace lucida::tensor {
namespace {

using stem::SharedAt;
constexpr int stem_threads = stem::forward_run / warp_rows * 32;

template <class T>
struct StemForward {
  stem::ForwardPlan plan;
  const T* x;
  const unsigned char* packed;  // weights
  Results<T> out;
};

// The pixel of row i of a warp's 64.
template <class T>
__device__ int pixel_of_row(int i) {
  return sizeof(T) == 2 ? i : i / 16 * 16 + i % 8 * 2 + i / 8 % 2;
}

template <class T>
struct StemFragments {
  SharedAt window[8];     // of rows 8i + lane / 4
  const uint4* weights;   // this lane's first chunk
  const int2* distances;  // of its two words; 4 further: the next step's

  __device__ StemFragments(const stem::ForwardPlan& plan, const unsigned char* memory)
      : weights(reinterpret_cast<const uint4*>(memory) + threadIdx.x % 32),
        distances(reinterpret_cast<const int2*>(memory + plan.weight_bytes) + threadIdx.x % 4) {
    const int row = int(threadIdx.x) % 32 / 4, first = int(threadIdx.x) / 32 * warp_rows;
    const int* begin = reinterpret_cast<const int*>(memory + plan.packed_bytes) + first;
    const SharedAt patch = stem::shared_at(memory + plan.patch_at);
#pragma unroll
    for (int i = 0; i < 8; ++i) window[i] = patch + begin[pixel_of_row<T>(8 * i + row)];
  }

  __device__ void load(Fragment& f, int step) const {
    const int2 at = distances[4 * step];
    const uint4* chunks = weights + step * (whole_step_words / 4);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int q = 0; q < 4; ++q) f.a[i][q] = stem::load_word(window[2 * i + q % 2] + (q < 2 ? at.x : at.y));
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      const uint4 w = chunks[16 * j];
      f.b[j][0] = w.x;
      f.b[j][1] = w.y;
      f.b[j + 1][0] = w.z;
      f.b[j + 1][1] = w.w;
    }
  }
};

// The last steps, 8 elements each, read one by one.
__device__ inline void multiply_tail(const StemFragments<Bf16>& from, int whole, int steps,
                                     Accumulators& sum) {
  const uint4* chunks = from.weights + whole * (whole_step_words / 4);
  for (int step = whole; step < whole + steps; ++step, chunks += tail_step_words / 4) {
    const int2 at = from.distances[4 * step];
    unsigned a[4][2];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      a[i / 2][i % 2] = stem::load_halves(from.window[i] + at.x, from.window[i] + at.y);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint4 w = chunks[32 * half];
      const unsigned b[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) mma_bf16_k8(sum.c[i][4 * half + j], a[i], b[j]);
    }
  }
}

// The bias of a lane's columns.
struct Bias {
  float c[8][2];

  template <class T>
  __device__ static Bias of(const stem::ForwardPlan& plan, const unsigned char* memory) {
    constexpr int fours = chunk<T> / 4;  // float4 to a chunk of results
    Bias bias;
    const float4* from = reinterpret_cast<const float4*>(memory + plan.bias_at) + threadIdx.x % 4 * fours;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float4 v = from[i / fours * 4 * fours + i % fours];
      bias.c[2 * i][0] = v.x;
      bias.c[2 * i][1] = v.y;
      bias.c[2 * i + 1][0] = v.z;
      bias.c[2 * i + 1][1] = v.w;
    }
    return bias;
  }
  __device__ void fill(Accumulators& sum) const {
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sum.c[i][j][e] = c[j][e % 2];
  }
};

// sum = bias + A B of all steps of pairs, at least 2; one is read while the one before it is multiplied.
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
  for (; step + 1 < steps; step += 2) {
    from.load(even, step);
    multiply<T>(sum, odd);
    from.load(odd, step + 1);
    multiply<T>(sum, even);
  }
  if (step < steps)
    from.load(even, step);
  multiply<T>(sum, odd);
  if (step < steps)
    multiply<T>(sum, even);
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
#pragma unroll
  for (int i = 0; i < stem::forward_run; i += stem_threads) {
    const int pixel = std::min(first + i + int(threadIdx.x), last);
    begin[i + threadIdx.x] = stem::offset_in_patch<T>(p, pixel, first_row);
  }
  stem::fetch_patch(p, s.x, first_row, last, reinterpret_cast<T*>(memory + s.plan.patch_at));
  cp_async_commit();
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
  const Bias bias = Bias::of<T>(s.plan, memory);
  Accumulators sum;
  if constexpr (whole)
    multiply_whole(from, s.plan.whole_steps, bias, sum);
  else
    bias.fill(sum);
  if constexpr (sizeof(T) == 2)
    multiply_tail(from, s.plan.whole_steps, s.plan.tail_steps, sum);
  const int pixel = first + int(threadIdx.x) / 32 * warp_rows;
  store<T, chunk<T>>(sum, s.out, column, [&](int i) {
    const int line = pixel + pixel_of_row<T>(i);
    return line < s.plan.patch.pixels ? line : -1;
  });
}

}  // namespace

template <class T>
void stem_forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const int tiles = int(blocks_for(z.k, warp_columns));
  StemForward<T> s{stem::forward_plan(z, dtype_of<T>), x, nullptr, {{y, false}, z.k}};
  s.plan.patch.by_chunks = s.plan.patch.by_chunks && aligned_for_packs(x);
  const Tensor packed = Tensor::empty({tiles, s.plan.packed_bytes / 4}, current_device());
  s.packed = reinterpret_cast<const unsigned char*>(packed.data());
  const dim3 pack_blocks(unsigned(blocks_for(s.plan.packed_bytes / 4, 128)), unsigned(tiles));
  launch("conv2d stem pack weight", {pack_blocks, 128}, pack_kernel<T>, s.plan, z.k, weight, bias,
         reinterpret_cast<unsigned*>(packed.data()));
  const dim3 blocks(unsigned(blocks_for(z.pixels(), stem::forward_run)), unsigned(tiles));
  auto* kernel = stem_forward_kernel<T, true>;
  if constexpr (sizeof(T) == 2)
    kernel = s.plan.whole_steps > 0 ? kernel : stem_forward_kernel<T, false>;
  launch("conv2d forward stem", {blocks, stem_threads, size_t(s.plan.shared_bytes)}, kernel, s);
}

template void stem_forward<float>(const Conv2dSizes&, const float*, const float*, const float*, float*);
template void stem_forward<Bf16>(const Conv2dSizes&, const Bf16*, const Bf16*, const float*, Bf16*);

}  // namespace lucida::tensor
