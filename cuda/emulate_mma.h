// Tensor cores on the host: cp.async, ldmatrix and mma of cuda/mma.cuh, spelled out.
#pragma once
#include "cuda/emulate.h"
#include "engine/half.h"

namespace lucida {
namespace emulate {

template <class Call>
const Call& lane_call(void* const* calls, int lane) {
  return *static_cast<const Call*>(calls[lane]);
}

struct LoadMatrix {
  unsigned* r;
  const uint16_t* row;
  template <int Matrices, bool Transposed>
  static void work(void* const* calls) {
    for (int lane = 0; lane < 32; ++lane)
      for (int m = 0; m < Matrices; ++m) {
        const int g = lane / 4, t = lane % 4;
        const auto at = [&](int row, int column) {
          return unsigned(lane_call<LoadMatrix>(calls, 8 * m + row).row[column]);
        };
        const unsigned low = Transposed ? at(2 * t, g) : at(g, 2 * t);
        const unsigned high = Transposed ? at(2 * t + 1, g) : at(g, 2 * t + 1);
        lane_call<LoadMatrix>(calls, lane).r[m] = low | high << 16;
      }
  }
};

template <int Matrices, bool Transposed>
void load_matrix(unsigned* r, const void* row, std::source_location at) {
  LoadMatrix call{r, static_cast<const uint16_t*>(row)};
  Block::current->collective(&call, LoadMatrix::work<Matrices, Transposed>, at);
}

struct Mma {
  float* d;
  const unsigned *a, *b;

  // Two 16-bit elements a register, K = 16.
  template <float (*Widen)(uint16_t)>
  static void work16(void* const* calls) {
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      const Mma& call = lane_call<Mma>(calls, lane);
      for (int half = 0; half < 2; ++half) {
        const auto element = [half](unsigned r) { return Widen(uint16_t(r >> 16 * half)); };
        for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][2 * t + half + i / 2 * 8] = element(call.a[i]);
        for (int i = 0; i < 2; ++i) b[2 * t + half + i * 8][g] = element(call.b[i]);
      }
    }
    multiply<16>(calls, a, b);
  }
  static void work_tf32(void* const* calls) {
    float a[16][8], b[8][8];
    const auto element = [](unsigned r) { return std::bit_cast<float>(r & 0xFFFFE000u); };
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      const Mma& call = lane_call<Mma>(calls, lane);
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = element(call.a[i]);
      for (int i = 0; i < 2; ++i) b[t + i * 4][g] = element(call.b[i]);
    }
    multiply<8>(calls, a, b);
  }
  template <int K>
  static void multiply(void* const* calls, const float (&a)[16][K], const float (&b)[K][8]) {
    float d[16][8];
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i)
        d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = lane_call<Mma>(calls, lane).d[i];
    for (int m = 0; m < 16; ++m)
      for (int k = 0; k < K; ++k)
        for (int n = 0; n < 8; ++n) d[m][n] += a[m][k] * b[k][n];
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i)
        lane_call<Mma>(calls, lane).d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
};

inline void mma(float* d, const unsigned* a, const unsigned* b, void (*work)(void* const*),
                std::source_location at) {
  Mma call{d, a, b};
  Block::current->collective(&call, work, at);
}

}  // namespace emulate

using Here = std::source_location;

inline void cp_async_16(void* shared, const void* global, bool valid = true) {
  if (valid)
    std::memcpy(shared, global, 16);
  else
    std::memset(shared, 0, 16);
}
inline void cp_async_4(void* shared, const void* global, bool valid = true) {
  if (valid)
    std::memcpy(shared, global, 4);
  else
    std::memset(shared, 0, 4);
}
inline void cp_async_commit() {}
template <int Pending>
void cp_async_wait() {}

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, Here at = Here::current()) {
  emulate::load_matrix<4, false>(r, row, at);
}
inline void ldmatrix_x4_transposed(unsigned (&r)[4], const void* row, Here at = Here::current()) {
  emulate::load_matrix<4, true>(r, row, at);
}
inline void ldmatrix_x2(unsigned (&r)[2], const void* row, Here at = Here::current()) {
  emulate::load_matrix<2, false>(r, row, at);
}
inline void ldmatrix_x2_transposed(unsigned (&r)[2], const void* row, Here at = Here::current()) {
  emulate::load_matrix<2, true>(r, row, at);
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     Here at = Here::current()) {
  emulate::mma(d, a, b, emulate::Mma::work16<float_from_bf16>, at);
}
inline void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                    Here at = Here::current()) {
  emulate::mma(d, a, b, emulate::Mma::work16<float_from_f16>, at);
}
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     Here at = Here::current()) {
  emulate::mma(d, a, b, emulate::Mma::work_tf32, at);
}

}  // namespace lucida
