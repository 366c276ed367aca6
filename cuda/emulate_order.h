// The order in which the emulator gives threads their turns; host code may include this. A turn lasts until
// the thread has to wait (barrier, warp operation) or ends. Two warps A and B of two lanes, each with a warp
// operation (|) between its halves, as they run up to a block barrier (#):
//
//   forward    A0 A1 B0 B1 | A0 A1 B0 B1 #     everybody in turn: warps go in step
//   backward   B1 B0 | B1 B0  A1 A0 | A1 A0 #   the last warp first, as far as it gets; lanes from the last
//   unfair     A0 A1 | A0 A1  B0 B1 | B0 B1 #   the first warp first, as far as it gets
//   shuffled   B0 A1 A0 | B1 | A1 B1 B0 A0 #    anybody who can go on, the same in every run
//
// Two threads that touch the same shared memory without a barrier between them run in both orders somewhere
// here, so unless their accesses commute one of the orders gives a wrong answer.
#pragma once

namespace lucida::emulate {

enum class Order { forward, backward, shuffled, unfair };
inline Order order = Order::forward;
constexpr Order all_orders[] = {Order::forward, Order::backward, Order::shuffled, Order::unfair};

}  // namespace lucida::emulate
