// Transposition, rung 0: one thread an element, in the order of the input.
//   math      y[column][row] = x[row][column]
//   mapping   thread i of the grid has element i of x
//   traffic   reads of a warp are 128 consecutive bytes, its writes 32 columns apart: a sector of 32 bytes
//             for 4
//   roofline  memory
//   weak spot the longer the columns, the farther apart lie the 32 writes of a request
//   why it loses to the next rung: eight times the bytes it needs are written
#include "cuda/element.cuh"
#include "engine/layout.h"

namespace lucida {
namespace {

constexpr int threads = 256;

__global__ void transpose_kernel(int64_t count, int64_t rows, int64_t columns, const float* from, float* to) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= count)
    return;
  const int64_t image = i / (rows * columns), r = i / columns % rows, c = i % columns;
  to[(image * columns + c) * rows + r] = from[i];
}

void transpose(int64_t n, int64_t rows, int64_t columns, const float* from, float* to) {
  const int64_t count = n * rows * columns;
  if (count > 0)
    launch("layout transpose", {dim3(unsigned(blocks_for(count, threads))), threads}, transpose_kernel, count,
           rows, columns, from, to);
}

const LayoutKernels table{transpose};
const Provide<LayoutKernels> provide{{this_device, 0, "one thread an element", &table}};

}  // namespace
}  // namespace lucida
