// Conv2d on tensor cores, backward_weight of few channels (cuda/conv2d_stem_weight.cuh): D = A B with dy
// turned as A, 64 channels x pixels, and windows as B, pixels x columns.
//
//   mapping   a warp has 64 channels x 80 columns, 4 x 10 mma tiles; the two halves of a block's 160 columns
//             take every other step of 16 (bf16) or 8 pixels each
//   bf16      a register of B holds one element in the windows of two pixels, which are not neighbours. So
//             lanes read pairs of elements, a word for each of two pixels, and exchange halves: two
//             registers, of two tiles. An element that no pair has is a half of such words. Where windows
//             have no pairs (cuda/conv2d_stem.h) elements are read one by one.
//   issue     3.2 instructions an mma in the loop, 2.8 in tf32 (nvcc 13.0, sm_80, 2026-11-25); an A100
//             affords 8, an H100 4; 6.6 and 4.9 in a whole launch, as a PTX simulator counts, with 1.65 and
//             1.30 wavefronts of shared memory (four images of 112 x 112, 2026-11-25). About half are loads
//             and their addresses, A's 1/10 (tf32: 4/10)
//   banks     4 pixels x 8 pairs of a row are 26 neighbouring words, of 8 elements in tf32 likewise: no
//             conflicts but where 8 columns pass from one kernel row to the next
//   weak spot tf32 has one run in shared memory, not two: two blocks an SM overlap, nothing within a block
#include "cuda/conv2d_stem_weight.cuh"
#include "cuda/conv2d_tensor_weight.cuh"

namespace lucida::tensor {
namespace {

using stem::SharedAt;

// pairs: of bf16, where windows have them.
template <class T, bool pairs>
struct StemTensorProduct {
  static constexpr int warp_tiles = stem::most_warp_tiles, columns = 2 * 8 * warp_tiles;
  static constexpr int least_tiles = stem::least_warp_tiles;  // whether they exist is not asked in the loop
  static constexpr int step_pixels = 32 / int(sizeof(T));
  using Sums = float[4][warp_tiles][4];

  PixelFragments<T, stem::columns_a_block, true> a{0};
  int first_tile, tiles;     // of this warp; how many of its tiles exist
  int distance[warp_tiles];  // in bytes
  // With pairs: what __byte_perm() takes for the first of two tiles. The upper halves of two words where a
  // lane's column is one that a pair before it left over; the lower ones elsewhere.
  unsigned halves[warp_tiles / 2];
  Sums sums{};

  __device__ static int place(int pixel, int chunk_index) {
    return pixel_chunk<T, stem::columns_a_block>(pixel, chunk_index);
  }

  __device__ StemTensorProduct(const stem::WeightPass<T>& p, const int* distances) {
    const int half = int(threadIdx.x) / 32 % 2;
    first_tile = (int(blockIdx.z) * 2 + half) * warp_tiles;
    tiles = std::min(p.columns.tiles - first_tile, int{warp_tiles});
#pragma unroll
    for (int j = 0; j < warp_tiles; ++j) {
      distance[j] = distances[8 * (half * warp_tiles + j) + int(threadIdx.x) % 32 / 4];
      if (pairs && j % 2 == 0) {
        const bool upper = (distance[j] / 2 + p.columns.window.first) % 2 == 1;
        halves[j / 2] = upper ? 0x7632 : 0x5410;
        distance[j] -= upper ? 2 : 0;
      }
    }
  }

  __device__ void multiply(const unsigned char* dy, SharedAt patch, const int* begin, int count) {
    if (tiles <= 0)
      return;
    for (int step = int(threadIdx.x) / 64; step * step_pixels < count; step += 2) {
      unsigned b[warp_tiles][2];
      load_b(b, patch, begin + step * step_pixels);
      unsigned a_step[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if constexpr (sizeof(T) == 2)
          a.matrices(a_step[i], dy, i, step);
        else
#pragma unroll
          for (int q = 0; q < 4; ++q) a_step[i][q] = a.word(dy, 2 * i + q % 2, q / 2, step);
#pragma unroll
      for (int j = 0; j < warp_tiles; ++j)
        if (j < least_tiles || j < tiles)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            if constexpr (sizeof(T) == 2)
              mma_bf16(sums[i][j], a_step[i], b[j]);
            else
              mma_tf32(sums[i][j], a_step[i], b[j]);
          }
    }
  }

  // Column lane / 4 of each tile, in the windows of the step's pixels that a lane has.
  __device__ void load_b(unsigned (&b)[warp_tiles][2], SharedAt patch, const int* begin) const {
    const int t = int(threadIdx.x) % 4;
    if constexpr (sizeof(T) == 4) {  // pixels t, t + 4
      const SharedAt near = patch + begin[t], far = patch + begin[t + 4];
#pragma unroll
      for (int j = 0; j < warp_tiles; ++j) {
        b[j][0] = stem::load_word(near + distance[j]);
        b[j][1] = stem::load_word(far + distance[j]);
      }
    } else {  // pixels 2t, 2t + 1, 2t + 8, 2t + 9
      const int2 near = reinterpret_cast<const int2*>(begin)[t],
                 far = reinterpret_cast<const int2*>(begin)[t + 4];
      load_two(b, 0, patch + near.x, patch + near.y);
      load_two(b, 1, patch + far.x, patch + far.y);
    }
  }
  // Register i of all tiles, from the windows of two pixels.
  __device__ void load_two(unsigned (&b)[warp_tiles][2], int i, SharedAt even, SharedAt odd) const {
#pragma unroll
    for (int j = 0; j < warp_tiles; ++j)
      if (!pairs) {
        b[j][i] = stem::load_halves(even + distance[j], odd + distance[j]);
      } else if (j % 2 == 0) {
        const unsigned low = stem::load_word(even + distance[j]), high = stem::load_word(odd + distance[j]);
        b[j][i] = __byte_perm(low, high, halves[j / 2]);
        b[j + 1][i] = __byte_perm(low, high, 0x7632);
      }
  }

  __device__ void store(const stem::WeightPass<T>& p, int share) const {
    const int lane = int(threadIdx.x) % 32, positions = p.columns.positions();
    const int k = int(blockIdx.y) * stem::columns_a_block + lane / 4;
    float* to = p.partial + (int64_t(share) * p.k + k) * positions + 8 * first_tile + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 8; ++i, to += 8 * positions) {
      if (k + 8 * i >= p.k)
        return;
#pragma unroll
      for (int j = 0; j < warp_tiles; ++j)
        if (j < tiles)
          *reinterpret_cast<float2*>(to + 8 * j) = {sums[i / 2][j][i % 2 * 2], sums[i / 2][j][i % 2 * 2 + 1]};
    }
  }
};

}  // namespace

template <class T>
void stem_weight(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  const char* name = "conv2d backward weight stem";
  if (sizeof(T) == 2 && stem::plan_of(z, stem::weight_run, sizeof(T)).window.pairs > 0)
    stem::weight_pass<T, StemTensorProduct<T, sizeof(T) == 2>>(name, z, x, dy, dweight);
  else
    stem::weight_pass<T, StemTensorProduct<T, false>>(name, z, x, dy, dweight);
}

template void stem_weight<float>(const Conv2dSizes&, const float*, const float*, GradSlot);
template void stem_weight<Bf16>(const Conv2dSizes&, const Bf16*, const Bf16*, GradSlot);

}  // namespace lucida::tensor
