// Conv2d in f32, backward_weight of few channels (cuda/conv2d_stem_weight.cuh), of rung 3.
//
//   mapping   a thread sums 8 channels x 19 columns, so 64 threads have 64 x 152: a tile of whole quads
//             would take 160 or 192 for 147. Lanes 8q + c have channels 4q to 4q + 3 and the four 32
//             further (warps 0 and 2: the first 16 of each), columns c, c + 8, ...
//   issue     152 FMAs for 2 + 19 loads and 19 address sums a pixel: 1.30 instructions each (nvcc 13.0,
//             sm_80); a PTX simulator counts 1.52 in the whole launch and 0.19 wavefronts of shared memory
//             (four images of 112 x 112, 2026-11-25)
//   banks     8 lanes read 8 neighbouring elements, 4 times each: no conflicts
//   weak spot 19 loads of 4 bytes; two blocks an SM (152 sums a thread)
#include "cuda/conv2d_stem_weight.cuh"

namespace lucida::stem {
namespace {

struct FmaProduct {
  static constexpr int columns = fma_columns, thread_columns = columns / 8;
  using Sums = float[8][thread_columns];

  int channel, first_column;
  int distance[thread_columns];  // in bytes
  Sums sums{};

  __device__ static int place(int pixel, int chunk) { return pixel * columns_a_block * 4 + chunk * 16; }

  __device__ FmaProduct(const WeightPass<float>&, const int* distances) {
    const int lane = int(threadIdx.x) % 32;
    channel = int(threadIdx.x) / 32 % 2 * 16 + lane / 8 * 4;
    first_column = int(blockIdx.z) * columns + lane % 8;
#pragma unroll
    for (int j = 0; j < thread_columns; ++j) distance[j] = distances[lane % 8 + 8 * j];
  }

  // Warps 0 and 1 have even pixels, 2 and 3 odd ones.
  __device__ void multiply(const unsigned char* dy, SharedAt patch, const int* begin, int count) {
    const float* line = reinterpret_cast<const float*>(dy) + channel;
#pragma unroll 1
    for (int pixel = int(threadIdx.x) / 64; pixel < count; pixel += 2) {
      const Pack<float> low = load_pack(line + pixel * columns_a_block),
                        high = load_pack(line + pixel * columns_a_block + 32);
      const SharedAt window = patch + begin[pixel];
#pragma unroll
      for (int j = 0; j < thread_columns; ++j) {
        const float v = __uint_as_float(load_word(window + distance[j]));
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[i][j] += low[i] * v;
          sums[i + 4][j] += high[i] * v;
        }
      }
    }
  }

  __device__ void store(const WeightPass<float>& p, int share) const {
    const int positions = p.columns.positions();
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int k = int(blockIdx.y) * columns_a_block + channel + i % 4 + i / 4 * 32;
      float* to = p.partial + (int64_t(share) * p.k + k) * positions;
#pragma unroll
      for (int j = 0; j < thread_columns; ++j)
        if (k < p.k && first_column + 8 * j < positions)
          to[first_column + 8 * j] = sums[i][j];
    }
  }
};

}  // namespace

void backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  weight_pass<float, FmaProduct>("conv2d backward weight stem", z, x, dy, dweight);
}

}  // namespace lucida::stem
