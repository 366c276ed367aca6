// The sum of a formula over all entries:
//     loss = scale * sum of f(x, y, s).loss        d loss / dx = scale * f(x, y, s).dx, the same for s
// scale is 1 / (N * L) for a mean, 1 for a sum.
//
// Read next:  layers/losses/formulas.h, cpu/ladder/entry_loss_0_plain.cpp, cuda/losses/entry_loss.cu,
//             tests/formulas_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "layers/losses/formulas.h"

namespace lucida {

// logits, labels [N,L]; state [N,L] or undefined (all 0). Only Estimated gives the state a gradient.
Tensor entry_loss(const Formula&, const Tensor& logits, const Tensor& labels, const Tensor& state,
                  double scale);

// 1 where an unobserved entry's logit is above the threshold. u8 [N,L].
Tensor unobserved_above(float threshold, const Tensor& logits, const Tensor& labels);

struct EntryLossKernels {
  static constexpr std::string_view name = "entry_loss";
  // The sum is made in double in a fixed order.
  void (*forward)(const Formula&, int64_t count, double scale, const float* x, const float* y,
                  const float* s /*or null*/, float* loss);
  void (*backward)(const Formula&, int64_t count, double scale, const float* dloss, const float* x,
                   const float* y, const float* s /*or null*/, GradSlot dx, GradSlot ds);
  void (*above)(int64_t count, float threshold, const float* x, const float* y, uint8_t* selected);
};

}  // namespace lucida
