// Runs CUDA kernels on the host, so that they can be tested, debugged and sanitised without a GPU. nvcc
// compiles a .cu file for a GPU; g++ compiles the same text with this header, which gives CUDA's words their
// meaning here. cuda/launch.h includes one or the other. docs/emulator.md tells how to use it.
//
//   cuda/emulate_block.h    a thread block on fibers: turns, barriers, shared memory. Read this first
//   cuda/emulate_order.h    who has the next turn
//   cuda/emulate_fiber.h    a stack that can be left and entered again
//   cuda/emulate_warp.h     __syncthreads, shuffles, votes
//   cuda/emulate_mma.h      cp.async, ldmatrix, mma
//   cuda/emulate_math.h     bits, arithmetic, atomics
//   cuda/emulate_types.h    float4, dim3, threadIdx;  cuda/emulate_half.h: __half2, __nv_bfloat162
//
// It is for tests, `lucida op` and debuggers. It knows nothing of time: no caches, no banks, no coalescing.
#pragma once
#include "cuda/emulate_block.h"
#include "cuda/emulate_math.h"
#include "cuda/emulate_types.h"
#include "cuda/emulate_warp.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
