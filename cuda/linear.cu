#include "cuda/linear_passes.cuh"

namespace lucida {
namespace {

const Provide<LinearKernels> provide{
    {this_device, 3, "three buffers filled by cp.async", &gemm::linear_table<gemm::Multistage>}};

}  // namespace
}  // namespace lucida
