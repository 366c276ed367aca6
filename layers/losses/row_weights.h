// A number for each entry that depends on its label and on how many labels of each kind its row has:
//     Pairs        pr: the state of Ranked
//                  unobserved where y = 1, positives where y = 0, 0 where y = -1
//     KnownShare   partial-bce: a weight
//                  a * share^gamma + b where y is known, 0 else; share = known / L
//     LeftOut      csl-normalized: the state of Asymmetric, 1 - weight
//                  -1 / (1 + known) where y is known, 1 else
//
// Read next:  cpu/ladder/row_weights_0_plain.cpp, cuda/losses/row_weights.cu, layers/losses/formulas.h
#pragma once
#include <cmath>
#include <string_view>
#include <variant>

#include "engine/dispatch.h"

namespace lucida {

struct RowCounts {
  int positive = 0, unobserved = 0, negative = 0;

  constexpr void add(float y) {
    positive += y == 1;
    unobserved += y == 0;
    negative += y != 1 && y != 0;
  }
  constexpr int known() const { return positive + negative; }
  constexpr int all() const { return positive + unobserved + negative; }
};

struct Pairs {
  template <class T>
  constexpr float operator()(T y, RowCounts row) const {
    return y == 1 ? float(row.unobserved) : y == 0 ? float(row.positive) : 0.0f;
  }
};
struct KnownShare {
  float a, b, gamma;
  template <class T>
  constexpr float operator()(T y, RowCounts row) const {
    return y == 0 ? 0.0f : a * std::pow(float(row.known()) / float(row.all()), gamma) + b;
  }
};
struct LeftOut {
  template <class T>
  constexpr float operator()(T y, RowCounts row) const {
    return y == 0 ? 1.0f : -1 / float(1 + row.known());
  }
};
using RowRule = std::variant<Pairs, KnownShare, LeftOut>;

Tensor row_weights(const RowRule&, const Tensor& labels);  // [N,L] -> [N,L]

struct RowWeightsKernels {
  static constexpr std::string_view name = "row_weights";
  void (*spread)(const RowRule&, int64_t rows, int64_t classes, const float* y, float* weights);
};

}  // namespace lucida
