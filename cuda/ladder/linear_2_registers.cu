// Linear, rung 2: 8 x 8 results in a thread's registers and 128-bit loads.
//   math      y = x w^T + b,  dx = dy w,  dw = dy^T x: cuda/linear_passes.cuh
//   mapping   cuda/gemm.cuh
//   traffic   a block of 128 x 128 fetches 1/16 byte of L2 an FMA; an A100 affords 1
//   roofline  f32 arithmetic: 1.09 instructions and 0.25 wavefronts of shared memory an FMA
//   weak spot two blocks an SM: little else to do while one waits
//   why it loses to the next rung: all threads of a block wait for a tile, then all multiply; the memory pipe
//   idles during the one, the FMA pipe during the other
#include "cuda/ladder/one_buffer.cuh"
#include "cuda/linear_passes.cuh"

namespace lucida {
namespace {

const Provide<LinearKernels> provide{
    {this_device, 2, "8 x 8 results a thread", &gemm::linear_table<gemm::OneBuffer>}};

}  // namespace
}  // namespace lucida
