// Conv2d on tensor cores, backward_weight of few channels (cuda/conv2d_stem_weight.cuh): D = A B with dy turned
// as A, 64 channels x pixels, and windows as B, pixels x columns.
//
//   mapping   a warp has 64 channels x 80 columns, 4 x 10 mma tiles; the two halves of a block's 160 columns
//             take every other step of 16 (bf16) or 8 pixels each
//   bf16      a register of B holds one element in the windows of two pixels, which are not neighbours. So
//             lanes read pairs of elements, two words of two pixels, and exchange halves: two registers, of
//             two tiles. Elements without a neighbour are read one by one.
//   issue     about 1/2 load, 1/2 address and 1/2 permutation an mma; A adds 1/10
//   banks     4 pixels x 8 pairs of a row are 26 neighbouring words, of 8 elements in tf32 likewise: no conflicts
//             but where 8 columns pass from one kernel row to the next
//   weak spot tf32 has one run in shared memory, not two: two blocks an SM overlap, nothing within a block
#include "cuda/conv2d_stem_weight.cuh"
#include "cuda/conv2d_tensor_weight.cuh"

namespace lucida::tensor {
namespace {

using stem::SharedAt;

template <class T>
struct StemTensorProduct {
  static constexpr int warp_tiles = stem::most_warp_tiles, columns = 2 * 8 * warp_tiles;
  static constexpr int least_tiles = stem::least_warp_tiles;  // whether they exist is not asked in the loop
  static constexpr int step_pixels = 32 / int(sizeof(T));
  using Sums = float[4][warp_tiles][4];

  PixelFragments<T, stem::columns_a_block, true> a{0};
  int first_tile, tiles, pair_tiles;  // of this warp; how many of its tiles exist, how many are of pairs
  int distance[warp_tiles];           // in bytes; of a tile of first elements, the pair's
  Sums sums{};

  __device__ static int place(int pixel, int chunk_index) {
    return pixel_chunk<T, stem::columns_a_block>(pixel, chunk_index);
  }

  __device__ StemTensorProduct(const stem::WeightPass<T>& p, const int* distances) {
    const int half = int(threadIdx.x) / 32 % 2;
    first_tile = (int(blockIdx.z) * 2 + half) * warp_tiles;
    tiles = std::min(p.columns.tiles - first_tile, int{warp_tiles});
    pair_tiles = std::min(p.columns.pair_tiles - first_tile, int{warp_tiles});
#pragma unroll
    for (int j = 0; j < warp_tiles; ++j)
      distance[j] = distances[8 * (half * warp_tiles + j) + int(threadIdx.x) % 32 / 4];
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
    if constexpr (sizeof(T) == 2) {  // pixels 2t, 2t + 1, 2t + 8, 2t + 9
      const int2 near = reinterpret_cast<const int2*>(begin)[t],
                 far = reinterpret_cast<const int2*>(begin)[t + 4];
      const SharedAt at[4] = {patch + near.x, patch + near.y, patch + far.x, patch + far.y};
#pragma unroll
      for (int j = 0; j < warp_tiles; j += 2)
        if (j < pair_tiles)
          load_pairs(b[j], b[j + 1], at, distance[j]);
        else
          load_singles(b[j], b[j + 1], at, distance[j], distance[j + 1]);
    } else {  // pixels t, t + 4
      const SharedAt near = patch + begin[t], far = patch + begin[t + 4];
#pragma unroll
      for (int j = 0; j < warp_tiles; ++j) {
        b[j][0] = stem::load_word(near + distance[j]);
        b[j][1] = stem::load_word(far + distance[j]);
      }
    }
  }
  __device__ static void load_pairs(unsigned (&first)[2], unsigned (&second)[2], const SharedAt (&at)[4],
                                    int distance) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const unsigned even = stem::load_word(at[2 * i] + distance),
                     odd = stem::load_word(at[2 * i + 1] + distance);
      first[i] = __byte_perm(even, odd, 0x5410);
      second[i] = __byte_perm(even, odd, 0x7632);
    }
  }
  __device__ static void load_singles(unsigned (&first)[2], unsigned (&second)[2], const SharedAt (&at)[4],
                                      int distance, int next) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      first[i] = stem::load_halves(at[2 * i] + distance, at[2 * i + 1] + distance);
      second[i] = stem::load_halves(at[2 * i] + next, at[2 * i + 1] + next);
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
  stem::weight_pass<T, StemTensorProduct<T>>("conv2d backward weight stem", z, x, dy, dweight);
}

template void stem_weight<float>(const Conv2dSizes&, const float*, const float*, GradSlot);
template void stem_weight<Bf16>(const Conv2dSizes&, const Bf16*, const Bf16*, GradSlot);

}  // namespace lucida::tensor
