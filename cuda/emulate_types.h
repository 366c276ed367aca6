// CUDA's vector types on the host: float4, uint2, dim3 and their make_ functions, with CUDA's alignment, so
// that a pointer that is not aligned for a 128-bit load is one here too (the undefined sanitizer reports it).
#pragma once
#include <cstdint>

namespace lucida::emulate {

template <class T>
struct alignas(2 * sizeof(T)) Vector2 {
  T x, y;
};
template <class T>
struct Vector3 {
  T x, y, z;
};
template <class T>
struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) Vector4 {
  T x, y, z, w;
};

template <class Vector>
struct Make {
  template <class... Elements>
  constexpr Vector operator()(Elements... elements) const {
    return {static_cast<decltype(Vector::x)>(elements)...};
  }
};

}  // namespace lucida::emulate

using char2 = lucida::emulate::Vector2<signed char>;
using char4 = lucida::emulate::Vector4<signed char>;
using uchar2 = lucida::emulate::Vector2<unsigned char>;
using uchar4 = lucida::emulate::Vector4<unsigned char>;
using short2 = lucida::emulate::Vector2<short>;
using short4 = lucida::emulate::Vector4<short>;
using ushort2 = lucida::emulate::Vector2<unsigned short>;
using ushort4 = lucida::emulate::Vector4<unsigned short>;
using int2 = lucida::emulate::Vector2<int>;
using int3 = lucida::emulate::Vector3<int>;
using int4 = lucida::emulate::Vector4<int>;
using uint2 = lucida::emulate::Vector2<unsigned>;
using uint3 = lucida::emulate::Vector3<unsigned>;
using uint4 = lucida::emulate::Vector4<unsigned>;
using float2 = lucida::emulate::Vector2<float>;
using float3 = lucida::emulate::Vector3<float>;
using float4 = lucida::emulate::Vector4<float>;
using double2 = lucida::emulate::Vector2<double>;
using longlong2 = lucida::emulate::Vector2<long long>;
using ulonglong2 = lucida::emulate::Vector2<unsigned long long>;

inline constexpr lucida::emulate::Make<char2> make_char2;
inline constexpr lucida::emulate::Make<char4> make_char4;
inline constexpr lucida::emulate::Make<uchar2> make_uchar2;
inline constexpr lucida::emulate::Make<uchar4> make_uchar4;
inline constexpr lucida::emulate::Make<short2> make_short2;
inline constexpr lucida::emulate::Make<short4> make_short4;
inline constexpr lucida::emulate::Make<ushort2> make_ushort2;
inline constexpr lucida::emulate::Make<ushort4> make_ushort4;
inline constexpr lucida::emulate::Make<int2> make_int2;
inline constexpr lucida::emulate::Make<int3> make_int3;
inline constexpr lucida::emulate::Make<int4> make_int4;
inline constexpr lucida::emulate::Make<uint2> make_uint2;
inline constexpr lucida::emulate::Make<uint3> make_uint3;
inline constexpr lucida::emulate::Make<uint4> make_uint4;
inline constexpr lucida::emulate::Make<float2> make_float2;
inline constexpr lucida::emulate::Make<float3> make_float3;
inline constexpr lucida::emulate::Make<float4> make_float4;
inline constexpr lucida::emulate::Make<double2> make_double2;
inline constexpr lucida::emulate::Make<longlong2> make_longlong2;
inline constexpr lucida::emulate::Make<ulonglong2> make_ulonglong2;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline constinit thread_local uint3 threadIdx{}, blockIdx{};
inline constinit thread_local dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;
