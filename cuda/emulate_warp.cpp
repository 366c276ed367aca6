// What each lane gets from a warp operation, by its definition in the CUDA programming guide.
#include "cuda/emulate_warp.h"

#include <algorithm>

namespace lucida::emulate {
namespace {

template <class Visit>
void for_each_lane(const Lanes& lanes, Visit visit) {
  for (int lane = 0; lane < 32; ++lane)
    if (lanes.has(lane))
      visit(lane, lanes.call<LaneCall>(lane));
}

// Lane l reads source(l, call). Segments of `width` lanes are warps of their own; what a lane reads from one
// that did not come is undefined: 0xFF bytes, a NaN.
template <int (*Source)(int lane, const LaneCall&)>
void shuffle_work(const Lanes& lanes) {
  for_each_lane(lanes, [&](int lane, LaneCall& call) {
    const int source = Source(lane, call);
    call.result = lanes.has(source) ? lanes.call<LaneCall>(source).value : ~uint64_t{0};
  });
}
int first_of_segment(int lane, int width) {
  return lane & ~(width - 1);
}
int last_of_segment(int lane, int width) {
  return lane | (width - 1);
}
int source_index(int lane, const LaneCall& c) {
  return first_of_segment(lane, c.width) + (c.parameter & (c.width - 1));
}
int source_up(int lane, const LaneCall& c) {
  const int source = lane - c.parameter;
  return source >= first_of_segment(lane, c.width) ? source : lane;
}
int source_down(int lane, const LaneCall& c) {
  const int source = lane + c.parameter;
  return source <= last_of_segment(lane, c.width) ? source : lane;
}
int source_xor(int lane, const LaneCall& c) {
  const int source = lane ^ c.parameter;
  return source <= last_of_segment(lane, c.width) ? source : lane;  // earlier segments may be read
}

void ballot_work(const Lanes& lanes) {
  uint64_t votes = 0;
  for_each_lane(lanes, [&](int lane, const LaneCall& call) { votes |= call.value << lane; });
  for_each_lane(lanes, [&](int, LaneCall& call) { call.result = votes; });
}

void match_any_work(const Lanes& lanes) {
  for_each_lane(lanes, [&](int, LaneCall& mine) {
    for_each_lane(lanes, [&](int lane, const LaneCall& other) {
      mine.result |= uint64_t{other.value == mine.value} << lane;
    });
  });
}
void match_all_work(const Lanes& lanes) {
  match_any_work(lanes);
  for_each_lane(lanes,
                [&](int, LaneCall& call) { call.result = call.result == lanes.present ? lanes.present : 0; });
}

template <class T, T (*Combine)(T, T)>
void reduce_work(const Lanes& lanes) {
  T total = static_cast<T>(lanes.call<LaneCall>(std::countr_zero(lanes.present)).value);
  unsigned seen = 0;
  for_each_lane(lanes, [&](int, const LaneCall& call) {
    if (seen++ > 0)
      total = Combine(total, static_cast<T>(call.value));
  });
  for_each_lane(lanes, [&](int, LaneCall& call) { call.result = static_cast<uint32_t>(total); });
}
template <class T>
T smaller(T a, T b) {
  return std::min(a, b);
}
template <class T>
T larger(T a, T b) {
  return std::max(a, b);
}
unsigned added(unsigned a, unsigned b) {
  return a + b;
}
unsigned anded(unsigned a, unsigned b) {
  return a & b;
}
unsigned ored(unsigned a, unsigned b) {
  return a | b;
}
unsigned xored(unsigned a, unsigned b) {
  return a ^ b;
}

}  // namespace

const WarpOperation syncwarp{"__syncwarp", nullptr, false, true, true};
const WarpOperation shfl{"__shfl_sync", shuffle_work<source_index>};
const WarpOperation shfl_up{"__shfl_up_sync", shuffle_work<source_up>};
const WarpOperation shfl_down{"__shfl_down_sync", shuffle_work<source_down>};
const WarpOperation shfl_xor{"__shfl_xor_sync", shuffle_work<source_xor>};
const WarpOperation activemask{"__activemask", ballot_work, false, false, false, true};
const WarpOperation ballot{"__ballot_sync", ballot_work};
const WarpOperation any{"__any_sync", ballot_work};
const WarpOperation all{"__all_sync", ballot_work};
const WarpOperation match_any{"__match_any_sync", match_any_work};
const WarpOperation match_all{"__match_all_sync", match_all_work};
const WarpOperation reduce_add{"__reduce_add_sync", reduce_work<unsigned, added>};
const WarpOperation reduce_min{"__reduce_min_sync", reduce_work<int, smaller<int>>};
const WarpOperation reduce_max{"__reduce_max_sync", reduce_work<int, larger<int>>};
const WarpOperation reduce_min_unsigned{"__reduce_min_sync", reduce_work<unsigned, smaller<unsigned>>};
const WarpOperation reduce_max_unsigned{"__reduce_max_sync", reduce_work<unsigned, larger<unsigned>>};
const WarpOperation reduce_and{"__reduce_and_sync", reduce_work<unsigned, anded>};
const WarpOperation reduce_or{"__reduce_or_sync", reduce_work<unsigned, ored>};
const WarpOperation reduce_xor{"__reduce_xor_sync", reduce_work<unsigned, xored>};

}  // namespace lucida::emulate
