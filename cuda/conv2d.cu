#include "cuda/conv2d_passes.cuh"

namespace lucida {
namespace {

const Provide<Conv2dKernels> provide{{this_device, 3, "implicit GEMM, three buffers filled by cp.async",
                                      &gemm::conv2d_table<gemm::Multistage>}};

}  // namespace
}  // namespace lucida
