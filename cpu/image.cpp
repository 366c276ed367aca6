// Bytes to normalised values: a table of the 256 values of each channel replaces two divisions; rows in
// threads.
#include "layers/image.h"

#include <array>

#include "engine/parallel.h"

namespace lucida {
namespace {

template <class T>
using Table = std::array<std::array<T, 3>, 256>;

template <class T>
Table<T> values() {
  Table<T> table;
  for (size_t v = 0; v < 256; ++v)
    for (size_t c = 0; c < 3; ++c)
      table[v][c] = T((float(v) / 255.0f - ImageStatistics::mean[c]) / ImageStatistics::deviation[c]);
  return table;
}

template <class T>
void normalize(int64_t rows, int height, int width, const uint8_t* x, const uint8_t* flips, T* y) {
  static const Table<T> table = values<T>();
  parallel_tasks(rows, [&](int64_t row) {
    const bool flip = flips[row / height];
    const uint8_t* from = x + (row * width + (flip ? width - 1 : 0)) * 3;
    T* to = y + row * width * 3;
    for (int w = 0; w < width; ++w, from += flip ? -3 : 3, to += 3)
      for (size_t c = 0; c < 3; ++c) to[c] = table[from[c]][c];
  });
}

template <class T>
const ImageKernelsOf<T> table{normalize<T>};
const Provide<ImageKernels> provide{{Device::cpu, 1, "table of values, all threads", &table<float>}};
const Provide<ImageKernelsOf<Bf16>> provide_bf16{
    {Device::cpu, 1, "table of values, all threads", &table<Bf16>}};

}  // namespace
}  // namespace lucida
