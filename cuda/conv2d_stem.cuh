// The stem on the device: the patch of a run is copied to shared memory, windows are found in it, and loads
// from it. What a patch is stands in cuda/conv2d_stem.h.
//   traffic   neighbouring windows share rows: 256 pixels of a 224 x 224 image read 13 rows for 5 that are
//             new, out of L2; each byte of x comes from memory once
#pragma once
#include "cuda/conv2d_stem.h"
#include "cuda/element.cuh"
#include "cuda/tensor_tile.cuh"

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

// The same in bytes from the patch's first element; the patch begins with first_row.
template <class T>
__device__ int offset_in_patch(const Patch& p, int pixel, int first_row) {
  const Begin begin = window_of(p, pixel);
  return ((begin.row - first_row) * p.pitch + begin.element) * int(sizeof(T));
}

// Rows first_row to the last that pixel `last` reads; a warp copies a row, then the one warps further. By
// chunks: queued as cp.async.
template <class T>
__device__ void fetch_patch(const Patch& p, const T* x, int first_row, int last, T* patch) {
  constexpr int chunk = 16 / int(sizeof(T));
  const int warps = int(blockDim.x) / 32, warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int image = p.by_image_rows.quotient(first_row + warp), row = first_row + warp - image * p.image_rows;
  T* to = patch + warp * p.pitch;
  for (int left = window_of(p, last).row + p.extent - first_row - warp; left > 0; left -= warps) {
    while (row >= p.image_rows) {
      row -= p.image_rows;
      ++image;
    }
    const bool inside = image < p.images && unsigned(row - p.pad) < unsigned(p.height);
    const T* from = x + (inside ? int64_t(image * p.height + row - p.pad) * p.row : 0);
    const int length = inside ? p.row : 0;
    if (p.by_chunks)
#pragma unroll 1
      for (int e = lane * chunk; e < p.pitch; e += 32 * chunk)
        cp_async_16(to + e, tensor::element_at(from, e - p.margin),
                    unsigned(e - p.margin) < unsigned(length));
    else
      for (int e = lane; e < p.pitch; e += 32)
        to[e] = unsigned(e - p.margin) < unsigned(length) ? from[e - p.margin] : narrow<T>(0);
    row += warps;
    to += warps * p.pitch;
  }
}

}  // namespace lucida::stem
