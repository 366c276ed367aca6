// Tensor-core instructions by their definition. Lane l is number t = l % 4 of group g = l / 4; the layouts
// are drawn in cuda/mma.cuh.
#include "cuda/emulate_mma.h"

#include <bit>

#include "engine/half.h"

namespace lucida::emulate {
namespace {

struct LoadCall {
  unsigned* r;
  const uint16_t* row;
};

template <int Matrices, bool Transposed>
void load_work(const Lanes& lanes) {
  for (int m = 0; m < Matrices; ++m)
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      const auto element = [&](int row, int column) {
        return unsigned(lanes.call<LoadCall>(8 * m + row).row[column]);
      };
      const unsigned low = Transposed ? element(2 * t, g) : element(g, 2 * t);
      const unsigned high = Transposed ? element(2 * t + 1, g) : element(g, 2 * t + 1);
      lanes.call<LoadCall>(lane).r[m] = low | high << 16;
    }
}

struct MultiplyCall {
  float* d;
  const unsigned *a, *b;
};

// D += A B in f32, k ascending. Tensor cores add several products at once and cut what falls below: an answer
// may differ from theirs in the last bits of the largest product.
template <int K>
void multiply_matrices(const Lanes& lanes, const float (&a)[16][K], const float (&b)[K][8]) {
  float d[16][8];
  const auto row = [](int lane, int i) { return lane / 4 + i / 2 * 8; };
  const auto column = [](int lane, int i) { return lane % 4 * 2 + i % 2; };
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) d[row(lane, i)][column(lane, i)] = lanes.call<MultiplyCall>(lane).d[i];
  for (int m = 0; m < 16; ++m)
    for (int k = 0; k < K; ++k)
      for (int n = 0; n < 8; ++n) d[m][n] += a[m][k] * b[k][n];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) lanes.call<MultiplyCall>(lane).d[i] = d[row(lane, i)][column(lane, i)];
}

template <float (*Widen)(uint16_t), int K>
void multiply_16_bits(const Lanes& lanes) {
  float a[16][K], b[K][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const MultiplyCall& call = lanes.call<MultiplyCall>(lane);
    for (int half = 0; half < 2; ++half) {
      const auto element = [half](unsigned r) { return Widen(uint16_t(r >> 16 * half)); };
      for (int i = 0; i < K / 4; ++i) a[g + i % 2 * 8][2 * t + half + i / 2 * 8] = element(call.a[i]);
      for (int i = 0; i < K / 8; ++i) b[2 * t + half + i * 8][g] = element(call.b[i]);
    }
  }
  multiply_matrices(lanes, a, b);
}

void multiply_19_bits(const Lanes& lanes) {
  float a[16][8], b[8][8];
  const auto element = [](unsigned r) { return std::bit_cast<float>(r & 0xFFFFE000u); };
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const MultiplyCall& call = lanes.call<MultiplyCall>(lane);
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = element(call.a[i]);
    for (int i = 0; i < 2; ++i) b[t + i * 4][g] = element(call.b[i]);
  }
  multiply_matrices(lanes, a, b);
}

}  // namespace

const WarpOperation load_x2{"ldmatrix_x2", load_work<2, false>, true};
const WarpOperation load_x2_transposed{"ldmatrix_x2_transposed", load_work<2, true>, true};
const WarpOperation load_x4{"ldmatrix_x4", load_work<4, false>, true};
const WarpOperation load_x4_transposed{"ldmatrix_x4_transposed", load_work<4, true>, true};
const WarpOperation multiply_bf16{"mma_bf16", multiply_16_bits<float_from_bf16, 16>, true};
const WarpOperation multiply_bf16_k8{"mma_bf16_k8", multiply_16_bits<float_from_bf16, 8>, true};
const WarpOperation multiply_f16{"mma_f16", multiply_16_bits<float_from_f16, 16>, true};
const WarpOperation multiply_tf32{"mma_tf32", multiply_19_bits, true};

void load_matrices(const WarpOperation& operation, unsigned* r, const void* row, Place at) {
  Block& block = *Block::current;
  const bool gives_row = block.lane() < 16 || &operation == &load_x4 || &operation == &load_x4_transposed;
  if (gives_row) {
    block.require_shared(operation.name, row, 16, at);
    watch_read(row, 16);
  }
  LoadCall call{r, static_cast<const uint16_t*>(row)};
  block.collective(operation, &call, ~0u, at);
}

void multiply(const WarpOperation& operation, float* d, const unsigned* a, const unsigned* b, Place at) {
  MultiplyCall call{d, a, b};
  Block::current->collective(operation, &call, ~0u, at);
}

void copy_async(const char* name, void* shared, const void* global, size_t bytes, bool valid, Place at) {
  Block& block = *Block::current;
  block.require_shared(name, shared, bytes, at);
  if (valid && reinterpret_cast<uintptr_t>(global) % bytes != 0)
    block.report(name, " at ", text_of(at), " reads from an address that is not aligned to ", bytes,
                 " bytes");
  block.copy_later(shared, valid ? global : nullptr, bytes);
}

}  // namespace lucida::emulate
