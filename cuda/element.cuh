// Elements of tensors in registers: kernels compute in float, whatever T the tensor has, and move 16 bytes a
// lane (4 floats or 8 bf16) where addresses allow it.
//
//     auto a = load_pack(x + i);             // one 128-bit request
//     for (int k = 0; k < Pack<T>::size; ++k) a[k] = fmaxf(a[k], 0);
//     store_pack(y + i, a);
#pragma once
#include "cuda/launch.h"

namespace lucida {

// 16 bytes of elements, widened to float.
template <class T>
struct Pack {
  static constexpr int size = 16 / int(sizeof(T));
  float value[size];
  __device__ float& operator[](int i) { return value[i]; }
  __device__ float operator[](int i) const { return value[i]; }
};

__device__ inline float widen(float v) {
  return v;
}
__device__ inline float widen(uint8_t v) {
  return v;
}
__device__ inline float widen(Bf16 v) {
#ifdef __CUDACC__
  return __uint_as_float(unsigned(v.bits) << 16);
#else
  return float(v);
#endif
}

// The two bf16 of one register: a shift or a mask each. PTX from C++ would spend a mov on top.
__device__ inline float widen_low(unsigned pair) {
#ifdef __CUDACC__
  float v;
  asm("shl.b32 %0, %1, 16;" : "=f"(v) : "r"(pair));
  return v;
#else
  return std::bit_cast<float>(pair << 16);
#endif
}
__device__ inline float widen_high(unsigned pair) {
#ifdef __CUDACC__
  float v;
  asm("and.b32 %0, %1, 0xFFFF0000;" : "=f"(v) : "r"(pair));
  return v;
#else
  return std::bit_cast<float>(pair & 0xFFFF0000u);
#endif
}

template <class T>
__device__ T narrow(float v) {
#ifdef __CUDACC__
  if constexpr (sizeof(T) == 2) {
    const __nv_bfloat16 h = __float2bfloat16_rn(v);
    return reinterpret_cast<const T&>(h);
  }
#endif
  return T(v);
}

// Two floats as bf16 in one register, the first in the low half.
__device__ inline unsigned narrow_pair(float low, float high) {
#ifdef __CUDACC__
  const __nv_bfloat162 h = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const unsigned&>(h);
#else
  return unsigned(Bf16(low).bits) | unsigned(Bf16(high).bits) << 16;
#endif
}

__device__ inline Pack<float> load_pack(const float* p) {
  const float4 v = *reinterpret_cast<const float4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ inline Pack<Bf16> load_pack(const Bf16* p) {
  const uint4 v = *reinterpret_cast<const uint4*>(p);
  return {{widen_low(v.x), widen_high(v.x), widen_low(v.y), widen_high(v.y), widen_low(v.z), widen_high(v.z),
           widen_low(v.w), widen_high(v.w)}};
}
// Four bytes, for kernels that have f32 on their other side.
__device__ inline Pack<float> load_four(const uint8_t* p) {
  const unsigned v = *reinterpret_cast<const unsigned*>(p);
  return {{float(v & 255), float(v >> 8 & 255), float(v >> 16 & 255), float(v >> 24)}};
}

__device__ inline void store_pack(float* p, const Pack<float>& v) {
  *reinterpret_cast<float4*>(p) = make_float4(v.value[0], v.value[1], v.value[2], v.value[3]);
}
__device__ inline void store_pack(Bf16* p, const Pack<Bf16>& v) {
  uint4 words;
  words.x = narrow_pair(v.value[0], v.value[1]);
  words.y = narrow_pair(v.value[2], v.value[3]);
  words.z = narrow_pair(v.value[4], v.value[5]);
  words.w = narrow_pair(v.value[6], v.value[7]);
  *reinterpret_cast<uint4*>(p) = words;
}

// Writes or adds a gradient, 16 bytes at once.
template <class T>
__device__ void store_gradient(GradSlotOf<T> slot, int64_t i, Pack<T> v) {
  if (slot.accumulate) {
    const Pack<T> old = load_pack(slot.data + i);
    for (int k = 0; k < Pack<T>::size; ++k) v[k] += old[k];
  }
  store_pack(slot.data + i, v);
}
// One element.
template <class T>
__device__ void store_gradient(GradSlotOf<T> slot, int64_t i, float v) {
  slot.data[i] = narrow<T>(slot.accumulate ? widen(slot.data[i]) + v : v);
}

// Whether all of these may be read in packs from every multiple of Pack<T>::size.
template <class... T>
bool aligned_for_packs(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace lucida
