// The order in which the emulator gives threads of a block their turns; host code may include this.
#pragma once

namespace lucida::emulate {

enum class Order {
  forward,   // threads 0, 1, 2, ... each as far as it gets
  backward,  // the last thread first
  shuffled,  // warps and lanes in random order, the same in every run
  unfair     // one warp as far as it gets, through barriers as soon as the others have come: a missing
             // barrier then gives a wrong answer
};
inline Order order = Order::forward;
constexpr Order all_orders[] = {Order::forward, Order::backward, Order::shuffled, Order::unfair};

}  // namespace lucida::emulate
