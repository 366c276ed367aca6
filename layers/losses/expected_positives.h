// The regulariser of EPR and ROLE: an image has k positive labels on average (Cole et al., CVPR 2021).
//     R = (sum of p / N - k)^2 / L^2,  p = 1 / (1 + exp(-x)), the sum over all N * L entries
//     dR / dx = 2 (sum of p / N - k) / (N L^2) * p (1 - p)
// The result is weight * R.
//
// Read next:  cpu/ladder/expected_positives_0_plain.cpp, cuda/losses/expected_positives.cu,
//             layers/losses/single_positive.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "layers/losses/formulas.h"

namespace lucida {

Tensor expected_positives(const Tensor& logits, double k, double weight);  // [N,L] -> scalar

struct ExpectedPositivesKernels {
  static constexpr std::string_view name = "expected_positives";
  // What R and its derivative need beside the sum.
  struct Goal {
    int64_t rows, classes;
    double k, weight;

    constexpr double excess(double sum) const { return sum / double(rows) - k; }
    constexpr float loss(double sum) const {
      return float(weight * excess(sum) * excess(sum) / (double(classes) * double(classes)));
    }
    constexpr float slope(double sum) const {  // dR / dp
      return float(2 * weight * excess(sum) / (double(rows) * double(classes) * double(classes)));
    }
  };
  // *loss = weight * R and *slope = its derivative by any p; the sum is made in double in a fixed order.
  void (*forward)(Goal, const float* x, float* loss, float* slope);
  void (*backward)(int64_t count, const float* dloss, const float* slope, const float* x, GradSlot dx);
};

}  // namespace lucida
