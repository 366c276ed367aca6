// Large-loss methods: Kim et al., "Large Loss Matters in Weakly Supervised Multi-Label Classification",
// CVPR 2022.
//
// A network first fits the true labels; an unobserved label (taken as negative) whose loss stays large is
// probably a false negative. From epoch 2 on, with l = BCE(x, y) and u = l on unobserved entries, 0 on
// observed ones:
//     T        = the k-th largest u of the batch
//     selected = unobserved entries with u >= T and u > 0 (ties included)
//     LL-R   rejects:               the loss of selected entries is 0
//     LL-Ct  corrects temporarily:  it is BCE(x, 1) = -log p
//     LL-Cp  corrects permanently:  the same, and the label is 1 in all later epochs
// The mean is over all N*L entries. How many are selected (Delta is the option delta_rel):
//     LL-R, LL-Ct:  k = ceil(N*L * (1 - clean)),  clean = 1, then clean -= Delta after each epoch; in this
//                   floating-point order, the official code's: 1 - 5 * 0.005 gives 33, not 32, of 1280
//     LL-Cp:        k = ceil(N*L * Delta), the same in every epoch
// Where fewer than k unobserved entries have a loss, T is 0; u > 0 then keeps saturated entries out.
//
// Read next:  layers/losses/large_loss.cpp, cpu/ladder/large_loss_0_plain.cpp, cpu/losses/large_loss.cpp
//             layers/losses/softplus.h, cuda/losses/large_loss.cu, tests/losses_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "layers/losses/loss.h"
#include "layers/losses/softplus.h"

namespace lucida {

enum class LargeLoss { reject, correct_temporarily, correct_permanently };

// k for a batch of `entries` = N*L.
int64_t large_loss_count(LargeLoss, int64_t entries, int epoch, double delta_rel);

// u, with the same bits on every device: the loss of label 0 where the label is unobserved, else 0. A NaN has
// u = 0 and is never selected.
template <class T>
constexpr T unobserved_loss(T logit, T label) {
  const T u = label == 0 ? softplus(logit) : T(0);
  return u > 0 ? u : T(0);
}

struct LargeLossKernels {
  static constexpr std::string_view name = "large_loss";
  // selected[i] = 1 or 0 for the entries above. 0 <= k <= count; with k = 0 all are 0.
  void (*select)(int64_t count, int64_t k, const float* logits, const float* labels, uint8_t* selected);
  // LL-R: weights = 0 where selected, else 1.     LL-Ct, LL-Cp: targets = 1 where selected, else unchanged.
  void (*reject)(int64_t count, const uint8_t* selected, float* weights);
  void (*correct)(int64_t count, const uint8_t* selected, float* targets);
};

}  // namespace lucida
