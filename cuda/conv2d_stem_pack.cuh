// The weight of a convolution of few channels as forward on tensor cores reads it, made before each launch:
// for every 64 output channels a block's shared memory as it is, so that copying is all that is left to do.
//
//   order     slots of stem::ForwardPlan along the depth; words in the order of the lanes that multiply them
//   columns   channels are dealt out as cuda/tensor_store.cuh wants them
//   traffic   19 KB (bf16) or 39 KB (f32) for 64 channels of 7 x 7 x 3, a 100th of what the layer moves
#pragma once
#include "cuda/conv2d_stem.cuh"
#include "cuda/tensor_store.cuh"

namespace lucida::tensor {

// A warp's words of B in a step: lanes' fragments in chunks of four words, 32 lanes' first chunks, then their
// second ones, so that one 16-byte load a lane, without conflicts, reads four.
constexpr int whole_step_words = 16 * 32, tail_step_words = 8 * 32;

// Word i of the packed weight of 64 channels that begin with `first`.
template <class T>
__device__ unsigned weight_word(const stem::ForwardPlan& plan, int i, int first, int outputs,
                                const T* weight) {
  const int behind = i - plan.whole_steps * whole_step_words;  // < 0: in a whole step
  const int step = behind < 0 ? i / whole_step_words : plan.whole_steps + behind / tail_step_words;
  const int lane = i / 4 % 32,
            word = (behind < 0 ? i % whole_step_words : behind % tail_step_words) / 128 * 4 + i % 4;
  const int tile = behind < 0 ? word / 2 : word, half = behind < 0 ? word % 2 : 0;
  const int channel = first + dealt_column<chunk<T>>(8 * tile + lane / 4);
  const int slot = plan.slot_of(step, lane % 4, half, int(sizeof(T)));
  const auto value = [&](int at) {
    const stem::Slot s = plan.slot(at);
    return channel < outputs ? widen(weight[int64_t(channel) * plan.window.count() + s.element]) * s.share
                             : 0.0f;
  };
  if constexpr (sizeof(T) == 2)
    return narrow_pair(value(slot), value(slot + 1));
  else
    return __float_as_uint(value(slot));
}

// For every 64 output channels, as ForwardPlan says: the weight, the distances, the bias. A thread makes a
// word.
template <class T>
__global__ void pack_kernel(stem::ForwardPlan plan, int outputs, const T* weight, const float* bias,
                            unsigned* packed) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x), first = int(blockIdx.y) * stem::columns_a_block;
  const int distance = i - plan.weight_bytes / 4, channel = first + i - plan.bias_at / 4;
  unsigned word = 0;
  if (i >= plan.packed_bytes / 4)
    return;
  if (distance < 0)
    word = weight_word(plan, i, first, outputs, weight);
  else if (channel < first) {
    const stem::Slot slot =
        plan.slot(plan.slot_of(distance / 8, distance / 2 % 4, distance % 2, int(sizeof(T))));
    word = unsigned(plan.window.distance(slot.element) * int(sizeof(T)));
  } else if (bias && channel < outputs)
    word = __float_as_uint(bias[channel]);
  packed[int64_t(blockIdx.y) * (plan.packed_bytes / 4) + i] = word;
}

}  // namespace lucida::tensor
