// Transposition through squares of 32 x 32 in shared memory.
//   mapping   a block of 32 x 8 threads takes one square: warp w reads rows w, w + 8, ... of it and writes
//             columns w, w + 8, ... as rows of the result
//   traffic   each element read once and written once, 128 consecutive bytes a request on both sides
//   roofline  memory
//   measured  (PTX simulator, 256 x 1024, 2026-11) 1.00 of the minimal bytes, no bank conflicts, 214 warp
//             instructions a KB. Rung 0 moves 4.5 times the minimum
//   weak spot 4 bytes a lane; an image of 3 channels fills 3 of a square's 32 rows. It runs at borders only,
//             when weights are loaded or saved, never in a training step
#include "engine/layout.h"

#include "cuda/element.cuh"

namespace lucida {
namespace {

constexpr int side = 32, warps = 8;

struct Square {
  float value[side][side + 1];  // 33 columns: the elements of a column lie in 32 different banks
};

__global__ void __launch_bounds__(side* warps)
    transpose_kernel(int64_t rows, int64_t columns, const float* from, float* to) {
  Square& s = shared<Square>();
  const int64_t across = (columns + side - 1) / side, down = (rows + side - 1) / side;
  const int64_t square = int64_t(blockIdx.x) % (across * down), image = int64_t(blockIdx.x) / (across * down);
  const int64_t top = square / across * side, left = square % across * side;
  const int lane = int(threadIdx.x), warp = int(threadIdx.y);
  from += image * rows * columns;
  to += image * rows * columns;
#pragma unroll
  for (int r = warp; r < side; r += warps)
    if (top + r < rows && left + lane < columns)
      s.value[r][lane] = from[(top + r) * columns + left + lane];
  __syncthreads();
#pragma unroll
  for (int c = warp; c < side; c += warps)
    if (left + c < columns && top + lane < rows)
      to[(left + c) * rows + top + lane] = s.value[lane][c];
}

void transpose(int64_t n, int64_t rows, int64_t columns, const float* from, float* to) {
  const int64_t squares = n * blocks_for(rows, side) * blocks_for(columns, side);
  if (squares > 0)
    launch("layout transpose", {dim3(unsigned(squares)), dim3(side, warps)}, transpose_kernel, rows, columns,
           from, to);
}

const LayoutKernels table{transpose};
const Provide<LayoutKernels> provide{{this_device, 1, "squares in shared memory", &table}};

}  // namespace
}  // namespace lucida
