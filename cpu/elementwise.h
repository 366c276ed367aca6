// Loops over all elements, split between threads. The body is inlined, so the compiler turns the inner loop
// into vector instructions; memory bandwidth is the limit.
#pragma once
#include "engine/parallel.h"
#include "engine/tensor.h"

namespace lucida {

inline constexpr int64_t elements_a_thread = 16384;  // below this a second thread costs more than it saves

// y[i] = f(i) for all i. f may read y[i], but no other part of y.
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

}  // namespace lucida
