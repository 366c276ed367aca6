// How a kernel is started and where its shared memory comes from: the only file that knows whether a .cu file
// is compiled by nvcc for a GPU or by g++ for the emulator (cuda/emulate.h).
//
//     launch("relu forward", {blocks, threads}, relu_kernel, count, x, y);
//
// Never <<<>>>: launch() compiles both ways, names the kernel for profilers and error messages, checks the
// launch and asks the driver for more than 48 KiB of shared memory where a kernel needs it.
#pragma once
#include "engine/tensor.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#else
#include "cuda/emulate.h"
#endif

namespace lucida {

// Blocks, threads a block, and bytes of dynamic shared memory a block.
struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
};

constexpr int64_t blocks_for(int64_t work, int64_t a_block) {
  return (work + a_block - 1) / a_block;
}

#ifdef __CUDACC__

inline constexpr Device::Kind this_device = Device::cuda;
// Where this thread's kernels run; what they need besides their arguments lies there too.
Device current_device();

// cuda/runtime.cu has these. The name is what profilers show and must live as long as the program.
void begin_launch(const char* name);
// Throws Error: "conv2d forward <<<12,1,1 x 256>>>: too many resources requested for launch".
void check_launch(const char* name, const Grid&, cudaError_t);
void allow_shared_memory(const void* kernel, size_t bytes);  // beyond 48 KiB; asks the driver once a kernel
cudaStream_t compute_stream();

template <class... Parameters, class... Arguments>
void launch(const char* name, Grid grid, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.shared_bytes > 48 << 10)
    allow_shared_memory(reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  begin_launch(name);
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, compute_stream()>>>(arguments...);
  check_launch(name, grid, cudaGetLastError());
}

// The block's static shared memory of type T. One struct a kernel: two calls with one T are the same memory.
template <class T>
__device__ T& shared() {
  __shared__ alignas(16) T storage;
  return storage;
}

// The block's dynamic shared memory, as large as the launch asked for.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

#else

// A namespace of its own: the tests of a CUDA build link these functions and nvcc's into one program.
inline namespace emulated {

inline constexpr Device::Kind this_device = Device::emulated;
inline Device current_device() {
  return {this_device};
}

template <class... Parameters, class... Arguments>
void launch(const char* name, Grid grid, void (*kernel)(Parameters...), Arguments... arguments) {
  const std::function<void()> body = [&] { kernel(arguments...); };
  emulate::run({name, grid.blocks, grid.threads, grid.shared_bytes, &body});
}

template <class T>
T& shared() {
  return emulate::static_shared<T>();
}

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulate::dynamic_shared());
}

}  // namespace emulated

#endif

}  // namespace lucida
