// Loops over all elements, split between threads. The body is inlined; memory bandwidth is the limit.
#pragma once
#include <algorithm>
#include <initializer_list>

#include "cpu/simd.h"
#include "engine/parallel.h"
#include "engine/tensor.h"

namespace lucida {

inline constexpr int64_t elements_a_thread = 16384;  // below this a second thread costs more than it saves

// y[i] = f(i) for all i; the compiler turns the loop into vector instructions where f has no branch. f may
// read y[i], but no other part of y.
template <class T, class F>
void map_elements(int64_t count, T* y, F f) {
  parallel_for(count, elements_a_thread, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) y[i] = f(i);
  });
}

// The same for a gradient: overwrites or adds, as the slot says.
template <class F>
void map_gradient(int64_t count, GradSlot dx, F f) {
  float* d = dx.data;
  if (dx.accumulate)
    map_elements(count, d, [&](int64_t i) { return d[i] + f(i); });
  else
    map_elements(count, d, f);
}

// Overwrites or adds a vector at a time: f(part, i) is the vector from element i, part a simd::Whole or, at
// the end, a simd::First. `reads` are the tensors that f reads. A result that leaves the caches goes around
// them, so that it is not read before it is written: not where it lies over what was just read.
template <class F>
void map_vectors(int64_t count, GradSlot y, std::initializer_list<const float*> reads, F f) {
  using namespace simd;
  const bool around = !y.accumulate && aligned(y.data) && count * int64_t(sizeof(float)) >= leaves_caches &&
                      std::find(reads.begin(), reads.end(), y.data) == reads.end();
  const auto each = [&](auto put) {
    parallel_for(count / lanes, elements_a_thread / lanes, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * lanes; i < end * lanes; i += lanes) put(Whole{}, y.data + i, f(Whole{}, i));
      fence();
    });
    if (const int rest = int(count % lanes))
      put(First{rest}, y.data + count - rest, f(First{rest}, count - rest));
  };
  if (around)
    each([](auto part, float* to, Vec v) {
      if constexpr (std::is_same_v<decltype(part), Whole>)
        store_past_caches(to, v);
      else
        part.store(to, v);
    });
  else if (y.accumulate)
    each([](auto part, float* to, Vec v) { part.store(to, part.load(to) + v); });
  else
    each([](auto part, float* to, Vec v) { part.store(to, v); });
}

}  // namespace lucida
