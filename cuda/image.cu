// Bytes to normalised values: rows staged in shared memory, divisions by constants as three instructions.
//   math      layers/image.h.  a / b, exactly rounded, for a constant b:  q = a * (1/b),  q + (a - q b) * (1/b)
//             (Markstein's correction; tests/image_test.cpp compares every byte of every channel with division)
//   mapping   a block takes one row of pixels. Its bytes go to shared memory, 16 a lane; then thread t makes 16
//             bytes of values from the bytes at the same place or, of a mirrored row, at the mirrored one. 96
//             threads: a step of the loop is a multiple of 3 values, so a thread keeps the order of its channels
//   traffic   1 byte in and 4 (bf16: 2) out for a value, each once
//   roofline  memory
//   weak spot a row of 224 pixels is 168 packs of f32: in the second step a quarter of the threads idle
#include "layers/image.h"

#include "cuda/element.cuh"

namespace lucida {
namespace {

constexpr int threads = 96;

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
struct Row {  // of bytes and of values
  int length;
  bool mirrored;
};

__device__ float exact_quotient(float a, Divisor b) {
  const float q = a * b.reciprocal;
  return fmaf(fmaf(-q, b.value, a), b.reciprocal, q);
}

__device__ float normalized(uint8_t byte, const Channel& c) {
  return exact_quotient(exact_quotient(widen(byte), {255.0f, 1 / 255.0f}) - c.mean, c.deviation);
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
  const Row row{3 * width, flips[int(blockIdx.x) / height] != 0};
  const int64_t begin = int64_t(blockIdx.x) * row.length;
  if (packs)
    copy<uint4>(x + begin, row.length, bytes);
  else
    copy<uint8_t>(x + begin, row.length, bytes);
  __syncthreads();

  const int phase = int(threadIdx.x) * size % 3;  // the channel of the thread's first value
  Channel channels[3];
  int shift[3];  // a mirrored pixel lies at length - 3 - e, but its channels are not mirrored
  for (int k = 0; k < 3; ++k) {
    const int c = (phase + k) % 3;
    channels[k] = c == 0 ? rgb.red : c == 1 ? rgb.green : rgb.blue;
    shift[k] = row.mirrored ? row.length - 3 + 2 * c : 0;
  }
  const int direction = row.mirrored ? -1 : 1;
  for (int first = int(threadIdx.x) * size; first < row.length; first += threads * size) {
    Pack<T> v{};
    for (int k = 0; k < size; ++k)
      if (packs || first + k < row.length)
        v[k] = normalized(bytes[direction * (first + k) + shift[k % 3]], channels[k % 3]);
    if (packs)
      store_pack(y + begin + first, v);
    else
      for (int k = 0; k < size && first + k < row.length; ++k) y[begin + first + k] = narrow<T>(v[k]);
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
    launch("image", {dim3(unsigned(rows)), threads, size_t(3 * width)}, normalize_kernel<T>, height, width,
           packs, Channels{channel(0), channel(1), channel(2)}, x, flips, y);
}

template <class T>
const ImageKernelsOf<T> table{normalize<T>};
const Provide<ImageKernels> provide{{this_device, 1, "rows in shared memory", &table<float>}};
const Provide<ImageKernelsOf<Bf16>> provide_bf16{{this_device, 1, "rows in shared memory", &table<Bf16>}};

}  // namespace
}  // namespace lucida
