// CUDA's functions of one thread on the host: bits, arithmetic, loads with cache hints, atomics. Those that a
// GPU only approximates (__expf, rsqrtf, __fdividef) are exact to rounding here.
#pragma once
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cuda/emulate_half.h"

// ---- bits -------------------------------------------------------------------------------------------------

inline unsigned __float_as_uint(float v) {
  return std::bit_cast<unsigned>(v);
}
inline int __float_as_int(float v) {
  return std::bit_cast<int>(v);
}
inline float __uint_as_float(unsigned v) {
  return std::bit_cast<float>(v);
}
inline float __int_as_float(int v) {
  return std::bit_cast<float>(v);
}
inline long long __double_as_longlong(double v) {
  return std::bit_cast<long long>(v);
}
inline double __longlong_as_double(long long v) {
  return std::bit_cast<double>(v);
}
inline int __popc(unsigned v) {
  return std::popcount(v);
}
inline int __popcll(unsigned long long v) {
  return std::popcount(v);
}
inline int __clz(int v) {
  return std::countl_zero(unsigned(v));
}
inline int __clzll(long long v) {
  return std::countl_zero(static_cast<unsigned long long>(v));
}
inline int __ffs(int v) {  // position of the lowest bit that is set, counted from 1; 0 for 0
  return v == 0 ? 0 : 1 + std::countr_zero(unsigned(v));
}
inline int __ffsll(long long v) {
  return v == 0 ? 0 : 1 + std::countr_zero(static_cast<unsigned long long>(v));
}
inline unsigned __brev(unsigned v) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (v >> i & 1) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return unsigned(uint64_t(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return int(int64_t(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return unsigned((uint64_t(high) << 32 | low) << (by & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return unsigned((uint64_t(high) << 32 | low) >> (by & 31));
}
// Four bytes of {b, a} by the digits of `select`, of which 3 bits count. (PTX's prmt has a fourth, for a
// byte's sign.)
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned select) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned digit = select >> 4 * i & 7;
    result |= (unsigned(bytes >> 8 * digit) & 255) << 8 * i;
  }
  return result;
}

// ---- arithmetic -------------------------------------------------------------------------------------------

inline float rsqrtf(float v) {
  return 1 / std::sqrt(v);
}
inline double rsqrt(double v) {
  return 1 / std::sqrt(v);
}
inline float __frsqrt_rn(float v) {
  return float(1 / std::sqrt(double(v)));
}
inline float __frcp_rn(float v) {
  return 1 / v;
}
inline float __fsqrt_rn(float v) {
  return std::sqrt(v);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float __expf(float v) {
  return std::exp(v);
}
inline float __logf(float v) {
  return std::log(v);
}
inline float __log2f(float v) {
  return std::log2(v);
}
inline float __powf(float a, float b) {
  return std::pow(a, b);
}
inline float __sinf(float v) {
  return std::sin(v);
}
inline float __cosf(float v) {
  return std::cos(v);
}
inline float __saturatef(float v) {
  return v > 0 ? v < 1 ? v : 1 : 0;  // NaN: 0
}
// A product and a sum that are not contracted to an fma.
inline float __fmul_rn(float a, float b) {
  volatile const float product = a * b;
  return product;
}
inline float __fadd_rn(float a, float b) {
  volatile const float left = a;
  return left + b;
}
inline float __fsub_rn(float a, float b) {
  return __fadd_rn(a, -b);
}
inline int __float2int_rn(float v) {
  return int(std::nearbyint(v));
}
inline int __float2int_rd(float v) {
  return int(std::floor(v));
}
inline int __float2int_rz(float v) {
  return int(v);
}
inline float __int2float_rn(int v) {
  return float(v);
}
inline float __uint2float_rn(unsigned v) {
  return float(v);
}

// min and max of two numbers of one type; of floats the one that is not NaN. As in CUDA int and unsigned meet
// as unsigned, int and int64_t not at all.
template <class A, class B>
concept MinMax = std::is_arithmetic_v<A> && std::is_arithmetic_v<B> && std::is_floating_point_v<A>
== std::is_floating_point_v<B> &&
    (std::is_floating_point_v<A> || sizeof(std::common_type_t<A, int>) == sizeof(std::common_type_t<B, int>));
template <class A, class B>
requires MinMax<A, B>
constexpr auto min(A a, B b) -> decltype(a + b) {
  const decltype(a + b) left = a, right = b;
  return left < right || right != right ? left : right;
}
template <class A, class B>
requires MinMax<A, B>
constexpr auto max(A a, B b) -> decltype(a + b) {
  const decltype(a + b) left = a, right = b;
  return left > right || right != right ? left : right;
}

// ---- memory -----------------------------------------------------------------------------------------------

template <class T>
T __ldg(const T* p) {  // through the read-only cache
  return *p;
}
template <class T>
T __ldcg(const T* p) {  // cached in L2 only
  return *p;
}
template <class T>
T __ldcs(const T* p) {  // read once
  return *p;
}
template <class T>
void __stcg(T* p, std::type_identity_t<T> v) {
  *p = v;
}
template <class T>
void __stcs(T* p, std::type_identity_t<T> v) {
  *p = v;
}

inline void __threadfence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// Atomics return what was there before. Blocks run on several OS threads, so these are real ones. Relaxed
// would be CUDA's order; with release and acquire the thread sanitizer sees "last block" counters order what
// they guard.
namespace lucida::emulate {
template <class T, class Next>
T atomic_update(T* p, Next next) {
  const std::atomic_ref<T> cell(*p);
  T old = cell.load();
  while (!cell.compare_exchange_weak(old, next(old))) {
  }
  return old;
}
}  // namespace lucida::emulate

template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_add(v);
}
// Of 16-bit floats. CUDA promises each half of a pair to be atomic, not the pair: here, too, another thread's
// sum may come between the two.
template <class Format>
lucida::emulate::Half<Format> atomicAdd(lucida::emulate::Half<Format>* p,
                                        std::type_identity_t<lucida::emulate::Half<Format>> v) {
  return {lucida::emulate::atomic_update(
      &p->bits, [v](uint16_t old) { return Format::narrow(Format::widen(old) + v.widened()); })};
}
template <class Format>
lucida::emulate::HalfPair<Format> atomicAdd(lucida::emulate::HalfPair<Format>* p,
                                            std::type_identity_t<lucida::emulate::HalfPair<Format>> v) {
  return {atomicAdd(&p->x, v.x), atomicAdd(&p->y, v.y)};
}
template <class T>
T atomicSub(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_sub(v);
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).exchange(v);
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  std::atomic_ref<T>(*p).compare_exchange_strong(expected, v);
  return expected;
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  return lucida::emulate::atomic_update(p, [v](T old) { return v < old ? v : old; });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  return lucida::emulate::atomic_update(p, [v](T old) { return v > old ? v : old; });
}
template <class T>
T atomicAnd(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_and(v);
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_or(v);
}
template <class T>
T atomicXor(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_xor(v);
}
// Counts 0, 1, ... limit, 0, 1, ...: the counter of a grid's "last block" is ready for the next launch.
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return lucida::emulate::atomic_update(p, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}
