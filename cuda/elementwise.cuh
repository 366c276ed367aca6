// Loops over all elements of tensors, 16 bytes a lane: the second rung of everything elementwise.
//
//     map_elements("add forward", count, Sum{}, y, a, b);     y[i] = f(a[i], b[i])
//     map_elements("relu backward", count, Mask{}, dx, y, dy);   the same into a GradSlot: overwrites or adds
//     update_elements("sgd", count, Sgd{...}, g, w, m);       f(g[i], w[i], m[i]) changes what is not const
//
//   mapping   a block owns `rows` rows of 256 packs; thread t takes pack t of each row, so that a request of
//             a warp is 512 consecutive bytes. A thread loads all its packs before it stores the first one:
//             as many bytes are in flight at once. The last block, and tensors that do not start at a
//             multiple of 16 bytes, go pack by pack or element by element.
//   traffic   every tensor once
//   roofline  memory: an add moves 12 bytes for one flop
//   weak spot tensors of different formats: beside f32, bytes move 4 a lane, and bf16 is left to cuda/cast.cu
//   measured  (PTX simulator, 2026-11-25) sectors moved are the minimum, 512 bytes a request; warp
//             instructions a KB: 5 to 29 on f32, 20 to 41 on bf16, where 300 would cost time
#pragma once
#include <algorithm>
#include <type_traits>

#include "cuda/element.cuh"

namespace lucida {
namespace elementwise {

inline constexpr int threads = 256;

// The packs of a kernel on tensors of these types: of floats as soon as one of them is f32.
template <class... T>
using PackOf =
    std::conditional_t<(std::is_same_v<std::remove_const_t<T>, Bf16> && ...), Pack<Bf16>, Pack<float>>;
// Of a thread: 16 values of each of several inputs, 32 of one.
template <class P, size_t inputs>
inline constexpr int rows = (inputs == 1 ? 32 : 16) / P::size;

template <class P, class T>
__device__ P load(const T* p) {
  if constexpr (P::size * sizeof(T) == 16)
    return load_pack(p);
  else
    return load_four(p);
}

// Where results go: memory that is overwritten, or a gradient that may have to be added to.
template <class T>
struct Overwritten {
  using Element = T;
  T* data;
  static constexpr bool accumulate = false;
};
template <class T>
struct Gradient {
  using Element = T;
  T* data;
  bool accumulate;
};

template <class P, class F, class... Values>
__device__ P apply(const F& f, const Values&... v) {
  P result;
  for (int k = 0; k < P::size; ++k) result[k] = f(v[k]...);
  return result;
}

// The pack of results at i, ready to be stored.
template <class P, class F, class To, class... T>
__device__ P result_at(int64_t i, const F& f, To y, const T*... x) {
  P result = apply<P>(f, load<P>(x + i)...);
  if (y.accumulate) {
    const P old = load<P>(y.data + i);
    for (int k = 0; k < P::size; ++k) result[k] += old[k];
  }
  return result;
}

template <class F, class To, class... T>
__global__ void __launch_bounds__(threads, 2)  // without the 2 ptxas spills to fit 8 blocks
    map_kernel(int64_t count, bool packs, F f, To y, const T*... x) {
  using P = PackOf<typename To::Element, T...>;
  constexpr int row = threads * P::size, height = rows<P, sizeof...(T)>;
  const int64_t begin = int64_t(blockIdx.x) * height * row, i = begin + int(threadIdx.x) * P::size;
  if (packs && begin + height * row <= count) {
    P result[height];
#pragma unroll
    for (int r = 0; r < height; ++r) result[r] = result_at<P>(i + r * row, f, y, x...);
#pragma unroll
    for (int r = 0; r < height; ++r) store_pack(y.data + i + r * row, result[r]);
    return;
  }
  for (int64_t j = i; j < i + height * row && j < count; j += row)
    if (packs && j + P::size <= count)
      store_pack(y.data + j, result_at<P>(j, f, y, x...));
    else
      for (int64_t e = j; e < j + P::size && e < count; ++e)
        store_gradient(GradSlotOf<typename To::Element>{y.data, y.accumulate}, e, f(widen(x[e])...));
}

template <class F, class... T>
__global__ void __launch_bounds__(threads) update_kernel(int64_t count, bool packs, F f, T*... x) {
  using P = Pack<float>;
  const int64_t i = (int64_t(blockIdx.x) * threads + threadIdx.x) * P::size;
  const auto store_changed = [](auto* p, const P& v) {
    if constexpr (!std::is_const_v<std::remove_pointer_t<decltype(p)>>)
      store_pack(p, v);
  };
  const auto update = [&](auto... v) {
    for (int k = 0; k < P::size; ++k) f(v[k]...);
    (store_changed(x + i, v), ...);
  };
  if (packs && i + P::size <= count)
    update(load<P>(x + i)...);
  else
    for (int64_t e = i; e < i + P::size && e < count; ++e) f(x[e]...);
}

template <class F, class To, class... T>
void map(const char* name, int64_t count, F f, To y, const T*... x) {
  using P = PackOf<typename To::Element, T...>;
  const unsigned blocks = unsigned(blocks_for(count, rows<P, sizeof...(T)> * threads * P::size));
  if (blocks > 0)
    launch(name, {dim3(blocks), threads}, map_kernel<F, To, T...>, count, aligned_for_packs(y.data, x...), f,
           y, x...);
}

}  // namespace elementwise

template <class F, class To, class... T>
void map_elements(const char* name, int64_t count, F f, To* y, const T*... x) {
  elementwise::map(name, count, f, elementwise::Overwritten<To>{y}, x...);
}
template <class F, class To, class... T>
void map_elements(const char* name, int64_t count, F f, GradSlotOf<To> y, const T*... x) {
  elementwise::map(name, count, f, elementwise::Gradient<To>{y.data, y.accumulate}, x...);
}

// f(float&...) on f32 tensors; those of const floats are only read.
template <class F, class... T>
void update_elements(const char* name, int64_t count, F f, T*... x) {
  const unsigned blocks = unsigned(blocks_for(count, elementwise::threads * Pack<float>::size));
  if (blocks > 0)
    launch(name, {dim3(blocks), elementwise::threads}, elementwise::update_kernel<F, T...>, count,
           aligned_for_packs(x...), f, x...);
}

}  // namespace lucida
