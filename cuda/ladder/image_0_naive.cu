// Bytes to normalised values, rung 0: one thread a value.
//   math      layers/image.h
//   mapping   thread i of the grid has value i of the result
//   traffic   1 byte a lane in, 4 (bf16: 2) out: 32 and 128 bytes a request
//   roofline  memory: 5 bytes (bf16: 3) a value
//   weak spot a mirrored row is read backwards
//   why it loses to the next rung: 32 bytes a request where 512 are possible, and two divisions of about ten
//   instructions each for 5 bytes
#include "cuda/element.cuh"
#include "layers/image.h"

namespace lucida {
namespace {

constexpr int threads = 256;

struct Statistics {
  float mean[3], deviation[3];
};

template <class T>
__global__ void normalize_kernel(int64_t rows, int height, int width, Statistics s, const uint8_t* x,
                                 const uint8_t* flips, T* y) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x, row = i / (3 * width);
  if (row >= rows)
    return;
  const int c = int(i % 3), w = int(i / 3 % width), from = flips[row / height] ? width - 1 - w : w;
  const float v = widen(x[(row * width + from) * 3 + c]);
  const float mean = c == 0 ? s.mean[0] : c == 1 ? s.mean[1] : s.mean[2];
  const float deviation = c == 0 ? s.deviation[0] : c == 1 ? s.deviation[1] : s.deviation[2];
  y[i] = narrow<T>((v / 255.0f - mean) / deviation);
}

template <class T>
void normalize(int64_t rows, int height, int width, const uint8_t* x, const uint8_t* flips, T* y) {
  constexpr auto &m = ImageStatistics::mean, &d = ImageStatistics::deviation;
  const Statistics s{{m[0], m[1], m[2]}, {d[0], d[1], d[2]}};
  const int64_t count = rows * width * 3;
  if (count > 0)
    launch("image", {dim3(unsigned(blocks_for(count, threads))), threads}, normalize_kernel<T>, rows, height,
           width, s, x, flips, y);
}

template <class T>
const ImageKernelsOf<T> table{normalize<T>};
const Provide<ImageKernels> provide{{this_device, 0, "one thread a value", &table<float>}};
const Provide<ImageKernelsOf<Bf16>> provide_bf16{{this_device, 0, "one thread a value", &table<Bf16>}};

}  // namespace
}  // namespace lucida
