// Training or evaluation: an argument of a layer, never a hidden switch. train_again: the second time that a
// step of training computes the same activations (`recomputed` in engine/autograd.h); running statistics have
// seen this batch.
#pragma once

namespace lucida {

enum class Mode { train, eval, train_again };

}  // namespace lucida
