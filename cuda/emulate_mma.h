// cp.async, ldmatrix and mma of cuda/mma.cuh on the host; their definitions are in cuda/emulate_mma.cpp.
//
// A copy is done at the wait that makes it visible to its thread. Until then its destination is NaN, so both
// a missing wait and a stage that is overwritten while somebody still reads it give wrong answers.
#pragma once
#include <algorithm>

#include "cuda/emulate_block.h"

namespace lucida {
namespace emulate {

void copy_async(const char* name, void* shared, const void* global, size_t bytes, bool valid, Place);

void load_matrices(const WarpOperation&, unsigned* r, const void* row, Place);
void multiply(const WarpOperation&, float* d, const unsigned* a, const unsigned* b, Place);
extern const WarpOperation load_x2, load_x2_transposed, load_x4, load_x4_transposed;
extern const WarpOperation multiply_bf16, multiply_bf16_k8, multiply_f16, multiply_tf32;

}  // namespace emulate

inline void cp_async_16(void* shared, const void* global, bool valid = true, emulate::Place at = {}) {
  emulate::copy_async("cp_async_16", shared, global, 16, valid, at);
}
inline void cp_async_4(void* shared, const void* global, bool valid = true, emulate::Place at = {}) {
  emulate::copy_async("cp_async_4", shared, global, 4, valid, at);
}
inline void cp_async_commit() {
  emulate::Block::current->commit_copies();
}
template <int Pending>
void cp_async_wait() {
  emulate::Block::current->wait_copies(Pending);
}

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, emulate::Place at = {}) {
  emulate::load_matrices(emulate::load_x4, r, row, at);
}
inline void ldmatrix_x4_transposed(unsigned (&r)[4], const void* row, emulate::Place at = {}) {
  emulate::load_matrices(emulate::load_x4_transposed, r, row, at);
}
inline void ldmatrix_x2(unsigned (&r)[2], const void* row, emulate::Place at = {}) {
  emulate::load_matrices(emulate::load_x2, r, row, at);
}
inline void ldmatrix_x2_transposed(unsigned (&r)[2], const void* row, emulate::Place at = {}) {
  emulate::load_matrices(emulate::load_x2_transposed, r, row, at);
}

inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], emulate::Place at = {}) {
  emulate::multiply(emulate::multiply_bf16, d, a, b, at);
}
inline void mma_bf16_k8(float (&d)[4], const unsigned (&a)[2], unsigned b, emulate::Place at = {}) {
  emulate::multiply(emulate::multiply_bf16_k8, d, a, &b, at);
}
inline void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], emulate::Place at = {}) {
  emulate::multiply(emulate::multiply_f16, d, a, b, at);
}
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], emulate::Place at = {}) {
  emulate::multiply(emulate::multiply_tf32, d, a, b, at);
}

inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                     emulate::Place at = {}) {
  std::copy_n(c, 4, d);
  mma_bf16(d, a, b, at);
}
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                     emulate::Place at = {}) {
  std::copy_n(c, 4, d);
  mma_tf32(d, a, b, at);
}

}  // namespace lucida
