// The instructions that feed and run the tensor cores (sm_80 and newer), one function each: asynchronous
// copies into shared memory, ldmatrix and mma. nvcc sees one PTX instruction; the emulator sees a plain
// definition of it (cuda/emulate_mma.h). All are warp-wide but cp_async: every lane of the warp calls them
// together.
//
// Who holds what. D += A B; A is 16 x K by rows, B is K x 8 by columns, D is 16 x 8. Lane l is in group
// g = l / 4 and is number t = l % 4 in it. A 32-bit register holds two 16-bit elements, the first in its low
// half. (PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k8")
//
//   16 bits, K = 16     A   k: 0-7    8-15         B    n: 0-7           D       n: 0-7
//              m: 0-7     [  a[0]  |  a[2]  ]   k: 0-7  [ b[0] ]    m: 0-7  [ d[0] d[1] ]
//                 8-15    [  a[1]  |  a[3]  ]      8-15 [ b[1] ]       8-15 [ d[2] d[3] ]
//
//       in its 8 x 8 quarter:  a: [g][2t], [g][2t+1]    b: [2t][g], [2t+1][g]    d: [g][2t], [g][2t+1]
//
//   16 bits, K = 8: the left half of A and the upper one of B alone, two registers and one.
//
//   tf32, K = 8: the same with quarters of 8 x 4 (k: 0-3, 4-7) and one element a register: a: [g][t],
//   b: [t][g]. The low 13 bits of an input are ignored.
//
// ldmatrix_x4 reads four 8 x 8 matrices of 16-bit elements: lanes 8i to 8i+7 give the addresses of the rows
// of matrix i (16 bytes each, 16-byte aligned, in shared memory), and r[i] of lane l becomes its elements
// [g][2t], [g][2t+1]; transposed: [2t][g], [2t+1][g]. So with rows by k, A and B come out as mma wants them;
// from memory with columns by k (B stored [k][n]) the transposed form does. For tf32 a row is 4 floats and
// r[i] of lane l is element [g][t]. (PTX ISA, "ldmatrix")
#pragma once
#include "cuda/launch.h"

#ifndef __CUDACC__
#include "cuda/emulate_mma.h"
#else

namespace lucida {

__device__ inline unsigned shared_address(const void* shared) {
  return unsigned(__cvta_generic_to_shared(shared));
}

// 16 bytes from global to shared memory, past the registers and the L1 cache; both 16-byte aligned. They are
// there after a cp_async_wait (for the thread that copied) and a barrier (for the others). Where !valid, 16
// zero bytes are written and `global` is not read: it may point anywhere.
__device__ inline void cp_async_16(void* shared, const void* global, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void cp_async_4(void* shared, const void* global, bool valid = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 4 : 0)
               : "memory");
}
// Closes the group of this thread's copies since the last commit (it may be empty).
__device__ inline void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most the last `Pending` groups of this thread are under way.
template <int Pending>
__device__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

__device__ inline void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix_x4_transposed(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
// Two matrices; the addresses of lanes 16 to 31 are not used.
__device__ inline void ldmatrix_x2(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix_x2_transposed(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

// d += a b in f32.
__device__ inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ inline void mma_bf16_k8(float (&d)[4], const unsigned (&a)[2], unsigned b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b));
}
__device__ inline void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d = c + a b.
__device__ inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                                const float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
        "f"(c[3]));
}
__device__ inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                                const float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
        "f"(c[3]));
}

}  // namespace lucida

#endif
