// Conv2d, rung 2: implicit GEMM with 8 x 8 results in a thread's registers and 128-bit loads.
//   math      cuda/conv2d_sources.cuh: each pass as one product
//   mapping   cuda/gemm.cuh (who computes what), cuda/conv2d_sources.cuh (where the operands come from)
//   traffic   a block of 128 x 128 fetches 1/16 byte of L2 an FMA; an A100 affords 1
//   roofline  f32 arithmetic: 1.09 instructions and 0.25 wavefronts of shared memory an FMA
//   weak spot the 3 channels of an image: copies of 4 bytes
//   why it loses to the next rung: all threads of a block wait for a tile, then all multiply; the memory pipe
//   idles during the one, the FMA pipe during the other
#include "cuda/conv2d_passes.cuh"
#include "cuda/ladder/one_buffer.cuh"

namespace lucida {
namespace {

const Provide<Conv2dKernels> provide{
    {this_device, 2, "implicit GEMM, 8 x 8 results a thread", &gemm::conv2d_table<gemm::OneBuffer>}};

}  // namespace
}  // namespace lucida
