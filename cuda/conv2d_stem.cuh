// The stem on the device: the patch of a run is copied to shared memory, windows are found in it, and loads
// from it. What a patch is stands in cuda/conv2d_stem.h.
//   traffic   neighbouring windows share rows: 256 pixels of a 224 x 224 image read 13 rows for 5 that are
//             new, out of L2; each byte of x comes from memory once
#pragma once
#include "cuda/conv2d_stem.h"
#include "cuda/element.cuh"
#include "cuda/mma.cuh"

namespace lucida::stem {

// A place in shared memory. 32 bits of address: with pointers each load would cost two instructions more.
#ifdef __CUDACC__
using SharedAt = unsigned;
__device__ inline SharedAt shared_at(const void* p) {
  return shared_address(p);
}
__device__ inline unsigned load_word(SharedAt at) {
  unsigned word;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(word) : "r"(at) : "memory");
  return word;
}
// Two elements of bf16 from anywhere, in one register.
__device__ inline unsigned load_halves(SharedAt low, SharedAt high) {
  unsigned word;
  asm volatile("{ .reg .u16 l, h; ld.shared.u16 l, [%1]; ld.shared.u16 h, [%2]; mov.b32 %0, {l, h}; }"
               : "=r"(word)
               : "r"(low), "r"(high)
               : "memory");
  return word;
}
#else
using SharedAt = const unsigned char*;
inline SharedAt shared_at(const void* p) {
  return static_cast<SharedAt>(p);
}
inline unsigned load_word(SharedAt at) {
  return *reinterpret_cast<const unsigned*>(at);
}
inline unsigned load_halves(SharedAt low, SharedAt high) {
  return *reinterpret_cast<const uint16_t*>(low) | unsigned(*reinterpret_cast<const uint16_t*>(high)) << 16;
}
#endif

// Where the window of a pixel of y begins: a row of the stack and an element of it.
struct Begin {
  int row, element;
};
__device__ inline Begin window_of(const Patch& p, int pixel) {
  const int line = p.out_w.quotient(pixel), image = p.out_h.quotient(line);
  return {image * p.image_rows + (line - image * int(p.out_h.d)) * p.stride,
          p.first + (pixel - line * int(p.out_w.d)) * p.step};
}

// Rows first_row to the last that pixel `last` reads; a warp copies a row. By chunks: queued as cp.async.
template <class T>
__device__ void fetch_patch(const Patch& p, const T* x, int first_row, int last, T* patch) {
  constexpr int chunk = 16 / int(sizeof(T));
  const int rows = window_of(p, last).row + p.extent - first_row, lane = int(threadIdx.x) % 32;
  for (int q = int(threadIdx.x) / 32; q < rows; q += int(blockDim.x) / 32) {
    const int image = p.by_image_rows.quotient(first_row + q);
    const int y = first_row + q - image * p.image_rows - p.pad;
    const bool inside = image < p.images && unsigned(y) < unsigned(p.height);
    const T* from = x + (inside ? (int64_t(image) * p.height + y) * p.row : 0);
    T* to = patch + q * p.pitch;
    if (p.by_chunks)
      for (int e = lane * chunk; e < p.pitch; e += 32 * chunk)
        cp_async_16(to + e, from + (e - p.margin), inside && unsigned(e - p.margin) < unsigned(p.row));
    else
      for (int e = lane; e < p.pitch; e += 32)
        to[e] = inside && unsigned(e - p.margin) < unsigned(p.row) ? from[e - p.margin] : narrow<T>(0);
  }
}

}  // namespace lucida::stem
