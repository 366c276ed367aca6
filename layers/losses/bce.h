// Binary cross-entropy of logits, with a weight an entry:
//     l(x, t) = -t log p - (1 - t) log(1 - p),  p = 1 / (1 + exp(-x))
//             = max(x, 0) - x t + log(1 + exp(-|x|))        exact for any x: no log of a rounded 0
//     loss    = sum of w * l(x, t) / (N * L)                d loss / dx = w * (p - t) / (N * L)
// Every entry counts in the denominator, whatever its weight.
//
// Two losses are this formula with targets from the labels alone:
//     bce   full labels: t = 1 where the label is 1
//     an    assume negative: unobserved labels (0) and observed negatives (-1) are both t = 0
//
// Read next:  layers/losses/bce.cpp, cpu/ladder/bce_0_plain.cpp, cpu/losses/bce.cpp, tests/losses_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"

namespace lucida {

// logits, targets [N,L]; weights [N,L] or undefined (all 1) -> scalar. Targets and weights get no gradient.
Tensor weighted_bce(const Tensor& logits, const Tensor& targets, const Tensor& weights);

// t = 1 where the label is 1, else 0. labels [N,L] with 1, 0 (unobserved) or -1 (observed negative).
Tensor targets_from_labels(const Tensor& labels);

struct BceKernels {
  static constexpr std::string_view name = "bce";
  // *loss = weighted sum of l / count; the sum is made in double in a fixed order.
  void (*forward)(int64_t count, const float* x, const float* t, const float* w /*or null*/, float* loss);
  void (*backward)(int64_t count, const float* dloss, const float* x, const float* t,
                   const float* w /*or null*/, GradSlot dx);
  void (*targets)(int64_t count, const float* labels, float* t);
};

}  // namespace lucida
