// Bytes to normalised values: rows staged in shared memory, divisions by constants as three instructions.
//   math      layers/image.h.  a / b, exactly rounded, for a constant b:  q = a * (1/b),  q + (a - q b) *
//             (1/b) (Markstein's correction; tests/image_test.cpp compares every byte of every channel with
//             division)
//   mapping   a block takes four rows of pixels. Their bytes go to shared memory, 16 a lane; then thread t
//             makes 16 bytes of values from the bytes at the same place or, of a mirrored row, at the
//             mirrored one. 96 threads: a step of the loop is a multiple of 3 values, so a thread keeps the
//             order of its channels
//   traffic   1 byte in and 4 (bf16: 2) out for a value, each once
//   roofline  memory, bf16 close to issue: 12 instructions a value
//   weak spot a row of 224 pixels is 168 packs of f32: in the second step a quarter of the threads idle; bf16
//             reads bytes 8 apart, two lanes a bank
//   measured  (PTX simulator, 224 x 224, 2026-11) 1.01 of the minimal bytes, all sectors full, 190 (bf16:
//             269) warp instructions a KB. Rung 0: 1.33 (1.56), 398 (576)
#include "layers/image.h"

#include "cuda/element.cuh"

namespace lucida {
namespace {

constexpr int threads = 96, rows_a_block = 4;

struct Divisor {
  float value, reciprocal;
};
struct Channel {
  float mean;
  Divisor deviation;
};
struct Channels {
  Channel red, green, blue;
};

__device__ float exact_quotient(float a, Divisor b) {
  const float q = a * b.reciprocal;
  return fmaf(fmaf(-q, b.value, a), b.reciprocal, q);
}

__device__ float normalized(uint8_t byte, const Channel& c) {
  return exact_quotient(exact_quotient(widen(byte), {255.0f, 1 / 255.0f}) - c.mean, c.deviation);
}

template <class T, class F>
__device__ Pack<T> make_pack(const F& value) {
  Pack<T> v;
  for (int k = 0; k < Pack<T>::size; ++k) v[k] = value(k);
  return v;
}

template <class T>
__device__ void copy(const uint8_t* from, int length, uint8_t* to) {
  for (int i = int(threadIdx.x); i < length / int(sizeof(T)); i += threads)
    reinterpret_cast<T*>(to)[i] = reinterpret_cast<const T*>(from)[i];
}

template <class T>
__global__ void __launch_bounds__(threads) normalize_kernel(int height, int width, bool packs, Channels rgb,
                                                            const uint8_t* x, const uint8_t* flips, T* y) {
  constexpr int size = Pack<T>::size;
  uint8_t* const bytes = dynamic_shared<uint8_t>();
  const int strips = (height + rows_a_block - 1) / rows_a_block, image = int(blockIdx.x) / strips;
  const int first = int(blockIdx.x) % strips * rows_a_block, rows = min(rows_a_block, height - first);
  const int length = 3 * width;  // of a row, in bytes and in values
  const int64_t begin = (int64_t(image) * height + first) * length;
  if (packs)
    copy<uint4>(x + begin, rows * length, bytes);
  else
    copy<uint8_t>(x + begin, rows * length, bytes);
  const bool mirrored = flips[image] != 0;
  const int start = int(threadIdx.x) * size, direction = mirrored ? -1 : 1;
  Channel channels[3];
  int from[size];  // where value k of a pack comes from: pixels lie in reverse, their channels do not
#pragma unroll
  for (int k = 0; k < size; ++k) {
    const int c = (start + k) % 3;
    channels[k % 3] = c == 0 ? rgb.red : c == 1 ? rgb.green : rgb.blue;
    from[k] = direction * (start + k) + (mirrored ? length - 3 + 2 * c : 0);
  }
  __syncthreads();
  for (int row = 0; row < rows; ++row) {
    const uint8_t* const in = bytes + row * length;
    T* const out = y + begin + row * length;
    for (int at = start; at < length; at += threads * size) {
      const auto value = [&](int k) {
        return normalized(in[from[k] + direction * (at - start)], channels[k % 3]);
      };
      if (packs)
        store_pack(out + at, make_pack<T>(value));
      else
        for (int k = 0; k < size && at + k < length; ++k) out[at + k] = narrow<T>(value(k));
    }
  }
}

template <class T>
void normalize(int64_t rows, int height, int width, const uint8_t* x, const uint8_t* flips, T* y) {
  const auto channel = [](int c) {
    const float deviation = ImageStatistics::deviation[c];
    return Channel{ImageStatistics::mean[c], {deviation, 1 / deviation}};
  };
  const bool packs = width % 16 == 0 && aligned_for_packs(x) && aligned_for_packs(y);
  if (rows * width > 0)
    launch("image",
           {dim3(unsigned(rows / height * blocks_for(height, rows_a_block))), threads,
            size_t(rows_a_block * 3 * width)},
           normalize_kernel<T>, height, width, packs, Channels{channel(0), channel(1), channel(2)}, x, flips,
           y);
}

template <class T>
const ImageKernelsOf<T> table{normalize<T>};
const Provide<ImageKernels> provide{{this_device, 1, "rows in shared memory", &table<float>}};
const Provide<ImageKernelsOf<Bf16>> provide_bf16{{this_device, 1, "rows in shared memory", &table<Bf16>}};

}  // namespace
}  // namespace lucida
