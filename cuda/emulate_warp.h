// CUDA's barriers and warp operations on the host. The `at` that every one takes is the caller's line, for
// reports.
#pragma once
#include <cstring>

#include "cuda/emulate_block.h"

namespace lucida::emulate {

// What a lane passes to a warp operation, and what it gets: each lane of the mask one value, up to 8 bytes.
struct LaneCall {
  uint64_t value;
  int parameter = 0;  // source lane, distance, lane mask
  int width = 32;
  uint64_t result = 0;
};

// Their definitions are in cuda/emulate_warp.cpp.
extern const WarpOperation syncwarp, shfl, shfl_up, shfl_down, shfl_xor, activemask, ballot, any, all,
    match_any, match_all, reduce_add, reduce_min, reduce_max, reduce_min_unsigned, reduce_max_unsigned,
    reduce_and, reduce_or, reduce_xor;

inline uint64_t exchange(const WarpOperation& operation, unsigned mask, LaneCall call, Place at) {
  Block::current->collective(operation, &call, mask, at);
  return call.result;
}

template <class T>
uint64_t bits_of(T v) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  return bits;
}

template <class T>
T shuffle(const WarpOperation& operation, unsigned mask, T v, int parameter, int width, Place at) {
  const uint64_t bits = exchange(operation, mask, {bits_of(v), parameter, width}, at);
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

}  // namespace lucida::emulate

// ---- barriers ---------------------------------------------------------------------------------------------

inline void __syncthreads(lucida::emulate::Place at = {}) {
  lucida::emulate::Block::current->barrier("__syncthreads", false, at);
}
inline int __syncthreads_count(int vote, lucida::emulate::Place at = {}) {
  return int(lucida::emulate::Block::current->barrier("__syncthreads_count", vote, at).yes);
}
inline int __syncthreads_or(int vote, lucida::emulate::Place at = {}) {
  return lucida::emulate::Block::current->barrier("__syncthreads_or", vote, at).yes > 0;
}
inline int __syncthreads_and(int vote, lucida::emulate::Place at = {}) {
  const auto votes = lucida::emulate::Block::current->barrier("__syncthreads_and", vote, at);
  return votes.yes == votes.all;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, lucida::emulate::Place at = {}) {
  lucida::emulate::Block::current->collective(lucida::emulate::syncwarp, nullptr, mask, at);
}

// ---- shuffles ---------------------------------------------------------------------------------------------

template <class T>
T __shfl_sync(unsigned mask, T v, int lane, int width = 32, lucida::emulate::Place at = {}) {
  return lucida::emulate::shuffle(lucida::emulate::shfl, mask, v, lane, width, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, lucida::emulate::Place at = {}) {
  return lucida::emulate::shuffle(lucida::emulate::shfl_up, mask, v, int(by), width, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, lucida::emulate::Place at = {}) {
  return lucida::emulate::shuffle(lucida::emulate::shfl_down, mask, v, int(by), width, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int lane_mask, int width = 32, lucida::emulate::Place at = {}) {
  return lucida::emulate::shuffle(lucida::emulate::shfl_xor, mask, v, lane_mask, width, at);
}

// ---- votes, matches, sums ---------------------------------------------------------------------------------

// The lanes that come to this place while the others of the warp wait elsewhere or have ended. (On a GPU
// those that happen to run together: never more, sometimes fewer.)
inline unsigned __activemask(lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::activemask, ~0u, {1}, at));
}
inline unsigned __ballot_sync(unsigned mask, int vote, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::ballot, mask, {vote != 0}, at));
}
inline int __any_sync(unsigned mask, int vote, lucida::emulate::Place at = {}) {
  return lucida::emulate::exchange(lucida::emulate::any, mask, {vote != 0}, at) != 0;
}
inline int __all_sync(unsigned mask, int vote, lucida::emulate::Place at = {}) {
  return lucida::emulate::exchange(lucida::emulate::all, mask, {vote == 0}, at) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v, lucida::emulate::Place at = {}) {
  return unsigned(
      lucida::emulate::exchange(lucida::emulate::match_any, mask, {lucida::emulate::bits_of(v)}, at));
}
template <class T>
unsigned __match_all_sync(unsigned mask, T v, int* same, lucida::emulate::Place at = {}) {
  const uint64_t lanes =
      lucida::emulate::exchange(lucida::emulate::match_all, mask, {lucida::emulate::bits_of(v)}, at);
  *same = lanes != 0;
  return unsigned(lanes);
}

inline unsigned __reduce_add_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_add, mask, {v}, at));
}
inline int __reduce_add_sync(unsigned mask, int v, lucida::emulate::Place at = {}) {
  return int(__reduce_add_sync(mask, unsigned(v), at));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_min_unsigned, mask, {v}, at));
}
inline int __reduce_min_sync(unsigned mask, int v, lucida::emulate::Place at = {}) {
  return int(lucida::emulate::exchange(lucida::emulate::reduce_min, mask, {unsigned(v)}, at));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_max_unsigned, mask, {v}, at));
}
inline int __reduce_max_sync(unsigned mask, int v, lucida::emulate::Place at = {}) {
  return int(lucida::emulate::exchange(lucida::emulate::reduce_max, mask, {unsigned(v)}, at));
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_and, mask, {v}, at));
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_or, mask, {v}, at));
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned v, lucida::emulate::Place at = {}) {
  return unsigned(lucida::emulate::exchange(lucida::emulate::reduce_xor, mask, {v}, at));
}
