// Linear, rung 3, the f32 kernels of production: the product of cuda/gemm.cuh, copies beside FMAs.
//   math      cuda/linear_passes.cuh
//   mapping   128 x 128 or 128 x 64 results a block, 8 x 8 a thread
//   traffic   1/16 byte of L2 an FMA (128 x 128)
//   roofline  f32 arithmetic; a PTX simulator counts 1.23 instructions an FMA (512 x 512 x 512; 2026-11-25)
//   why it loses to the next rung: tensor cores multiply tf32 8 times as fast, at 10 fraction bits
//   weak spot few rows (a batch of 16): most of a tile is empty
#include "cuda/linear_passes.cuh"

namespace lucida {
namespace {

const Provide<LinearKernels> provide{
    {this_device, 3, "three buffers filled by cp.async", &gemm::linear_table<gemm::Multistage>}};

}  // namespace
}  // namespace lucida
