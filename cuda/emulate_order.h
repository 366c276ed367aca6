// The order in which the emulator gives threads their turns; host code may include this. A turn lasts until
// the thread has to wait (barrier, warp operation) or ends. Two warps A and B of two lanes up to a block
// barrier, with a warp operation on the way: capitals before it, small letters after it.
//
//   forward    A0 A1 B0 B1 a0 a1 b0 b1   everybody in turn: warps go in step
//   backward   B1 B0 b1 b0 A1 A0 a1 a0   the last warp first, as far as it gets; lanes from the last
//   unfair     A0 A1 a0 a1 B0 B1 b0 b1   the first warp first, as far as it gets
//   shuffled   B0 A1 A0 a1 B1 b1 a0 b0   anybody who can go on; the same in every run
//
// Two threads that touch the same shared memory with no barrier or warp operation between them go first and
// second in one of unfair and backward, second and first in the other: unless their accesses commute, one of
// the two gives a wrong answer. Warps that share by mistake what each writes and reads again disturb one
// another only when they go in step.
#pragma once

namespace lucida::emulate {

enum class Order { forward, backward, shuffled, unfair };
inline Order order = Order::forward;
#ifdef __SANITIZE_THREAD__  // sees races in any order (cuda/emulate_watch.h), at hundreds of times the cost
constexpr Order all_orders[] = {Order::unfair};
#else
constexpr Order all_orders[] = {Order::forward, Order::backward, Order::shuffled, Order::unfair};
#endif

}  // namespace lucida::emulate
