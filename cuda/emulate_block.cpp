#include "cuda/emulate_block.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace lucida::emulate {
namespace {

unsigned rotated_choice(unsigned bits, unsigned by) {  // one of the bits that are set
  return (unsigned(std::countr_zero(std::rotr(bits, int(by)))) + by) % 32;
}
unsigned lowest(unsigned bits) {
  return unsigned(std::countr_zero(bits));
}
unsigned highest(unsigned bits) {
  return 31 - unsigned(std::countl_zero(bits));
}
unsigned above(unsigned position) {  // the bits above this one
  return ~1u << position;
}

}  // namespace

// ---- a block from its first turn to its last --------------------------------------------------------------

void Block::run(const Launch& launch, uint3 index) {
  require(!current, launch.name, ": launched from inside a kernel");
  begin(launch, index);
  happens_before(&begun_);
  give_turn(scheduler_);
  happens_after(&left_);
  const Unwatched book_keeping;
  current = nullptr;
  if (failure_) {  // the other threads are somewhere in the kernel: their stacks are given up
    idle_.clear();
    fibers_.clear();
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  check_canaries();
}

void Block::begin(const Launch& launch, uint3 index) {
  const Unwatched book_keeping;
  current = this;
  launch_ = &launch;
  index_ = blockIdx = index;
  gridDim = launch.blocks;
  const dim3 shape = blockDim = launch.threads;
  count_ = live_ = shape.x * shape.y * shape.z;
  threads_.resize(std::max<size_t>(threads_.size(), count_));
  for (unsigned t = 0; t < count_; ++t) {
    Thread& thread = threads_[t];
    thread.fiber = nullptr;
    thread.index = {t % shape.x, t / shape.x % shape.y, t / (shape.x * shape.y)};
    thread.copies.clear();
    thread.group = 0;
  }
  warps_.resize((count_ + 31) / 32);
  ready_warps_ = 0;
  for (unsigned w = 0; w < warps_.size(); ++w) {
    warps_[w].ready = 0;
    warps_[w].groups.clear();
    warps_[w].live = count_ - 32 * w >= 32 ? ~0u : (1u << (count_ - 32 * w)) - 1;
    make_ready(w, warps_[w].live);
  }
  arrived_ = 0;
  running_ = count_ - 1;  // in forward order thread 0 follows
  random_ = 1 + index.x + 7919 * index.y + 104729 * index.z;
  ++serial_;
  static_.clear();
  static_bytes_ = 0;
  open_dynamic(launch.shared_bytes);
}

// The life of a fiber: one thread after another.
void Block::run_threads() {
  for (;;) {
    const unsigned me = running_;
    Fiber& self = *threads_[me].fiber;
    happens_after(&begun_);
    try {
      (*launch_->body)();
      end_thread();
    } catch (...) {
      const Unwatched book_keeping;
      failure_ = std::current_exception();
    }
    happens_before(&left_);
    retire(threads_[me]);
    if (failure_ || live_ == 0)
      self.switch_to(scheduler_);
    else
      give_turn(self);
  }
}

void Block::end_thread() {
  const Unwatched book_keeping;
  Warp& warp = warps_[running_ / 32];
  warp.live &= ~(1u << running_ % 32);
  --live_;
  for (size_t g = warp.groups.size(); g-- > 0;) finish_if_complete(running_ / 32, g);
  if (arrived_ > 0 && arrived_ == live_)
    release_barrier();
  settle();
}

// ---- turns ------------------------------------------------------------------------------------------------

void Block::give_turn(Fiber& from) {
  Fiber& next = choose();
  if (&next != &from)
    from.switch_to(next);
}

// The fiber of the thread whose turn it is.
Fiber& Block::choose() {
  const Unwatched book_keeping;
  const unsigned next = running_ = next_turn();
  Warp& warp = warps_[next / 32];
  warp.ready &= ~(1u << next % 32);
  if (warp.ready == 0)
    ready_warps_ &= ~(1u << next / 32);
  Thread& thread = threads_[next];
  threadIdx = thread.index;
  if (!thread.fiber)  // begins now
    thread.fiber = &idle_fiber(next);
  return *thread.fiber;
}

Fiber& Block::idle_fiber(unsigned thread) {
  const auto entry = [](void* block) { static_cast<Block*>(block)->run_threads(); };
  if (races_are_watched) {  // a fiber for each thread: two threads on one would be in order
    while (fibers_.size() <= thread) fibers_.push_back(std::make_unique<Fiber>(entry, this));
    return *fibers_[thread];
  }
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(entry, this));
    return *fibers_.back();
  }
  Fiber& fiber = *idle_.back();
  idle_.pop_back();
  return fiber;
}

void Block::retire(Thread& thread) {
  const Unwatched book_keeping;
  if (!races_are_watched)
    idle_.push_back(thread.fiber);
  thread.fiber = nullptr;
}

unsigned Block::next_turn() {
  unsigned warp, lane;
  switch (order) {
    case Order::backward:
      warp = highest(ready_warps_);
      lane = highest(warps_[warp].ready);
      break;
    case Order::unfair:
      warp = lowest(ready_warps_);
      lane = lowest(warps_[warp].ready);
      break;
    case Order::shuffled:
      random_ =
          random_ * 1664525 + 1013904223;  // Numerical Recipes' generator: its high bits are good enough
      warp = rotated_choice(ready_warps_, random_ >> 27);
      lane = rotated_choice(warps_[warp].ready, random_ >> 22 & 31);
      break;
    default:  // forward: the next one after this
      warp = running_ / 32;
      if (const unsigned rest = warps_[warp].ready & above(running_ % 32))
        return warp * 32 + lowest(rest);
      const unsigned later = ready_warps_ & above(warp);
      warp = lowest(later ? later : ready_warps_);
      lane = lowest(warps_[warp].ready);
  }
  return warp * 32 + lane;
}

void Block::make_ready(unsigned warp, unsigned lanes) {
  warps_[warp].ready |= lanes;
  if (warps_[warp].ready)
    ready_warps_ |= 1u << warp;
}

// ---- waiting ----------------------------------------------------------------------------------------------

Block::Votes Block::barrier(const char* operation, bool vote, Place at) {
  char* const meeting = &meetings_[barriers_ % 2];
  happens_before(meeting);
  Fiber& self = arrive_at_barrier(operation, vote, at);
  give_turn(self);
  happens_after(meeting);
  return votes_;
}

Fiber& Block::arrive_at_barrier(const char* operation, bool vote, Place at) {
  const Unwatched book_keeping;
  Thread& me = threads_[running_];
  me.operation = operation;
  me.at = at;
  if (arrived_++ == 0) {
    first_arrived_ = running_;
    yes_ = 0;
  }
  const Thread& first = threads_[first_arrived_];
  if (!(first.at == at))
    report("divergent barrier: thread ", first_arrived_, " waits in ", first.operation, " at ",
           text_of(first.at), ", thread ", running_, " in ", operation, " at ", text_of(at));
  yes_ += vote;
  if (arrived_ == live_)
    release_barrier();
  settle();
  return *me.fiber;
}

void Block::release_barrier() {
  votes_ = {yes_, arrived_};
  arrived_ = 0;
  ++barriers_;
  for (unsigned w = 0; w < warps_.size(); ++w) make_ready(w, warps_[w].live);
}

void Block::collective(const WarpOperation& operation, void* call, unsigned mask, Place at) {
  Fiber& self = *threads_[running_].fiber;
  char* const meeting = arrive_at_warp(operation, call, mask, at);
  give_turn(self);
  if (operation.orders_memory)
    happens_after(meeting);
}

char* Block::arrive_at_warp(const WarpOperation& operation, void* call, unsigned mask, Place at) {
  const Unwatched book_keeping;
  const unsigned w = running_ / 32, lane = running_ % 32;
  Thread& me = threads_[running_];
  Warp& warp = warps_[w];
  me.operation = operation.name;
  me.at = at;
  if (!(mask >> lane & 1))
    report("thread ", running_, " calls ", operation.name, " at ", text_of(at), " with mask 0x", std::hex,
           mask, ", which does not name its lane");
  const auto mine = [&](const Group& group) {
    return group.mask == mask && group.operation->whoever_comes == operation.whoever_comes;
  };
  const size_t g = size_t(std::find_if(warp.groups.begin(), warp.groups.end(), mine) - warp.groups.begin());
  if (g == warp.groups.size())
    warp.groups.push_back({mask, 0, &operation, at, &warp.meetings[warp.operations++ % 64]});
  Group& group = warp.groups[g];
  if (group.operation != &operation || !(operation.anywhere || group.at == at))
    report("divergent warp: thread ", w * 32 + lowest(group.arrived), " waits in ", group.operation->name,
           " at ", text_of(group.at), ", thread ", running_, " in ", operation.name, " at ", text_of(at));
  warp.calls[lane] = call;
  group.arrived |= 1u << lane;
  char* const meeting = group.meeting;
  if (operation.orders_memory)
    happens_before(meeting);
  finish_if_complete(w, g);
  settle();
  return meeting;
}

// Lanes that have ended are not waited for.
void Block::finish_if_complete(unsigned w, size_t g) {
  Warp& warp = warps_[w];
  const Group group = warp.groups[g];
  const bool everybody =
      group.operation->whoever_comes ? warp.ready == 0 : group.arrived == (group.mask & warp.live);
  if (group.arrived == 0 || !everybody)
    return;
  if (group.operation->whole_warp && group.arrived != ~0u)
    report(group.operation->name, " at ", text_of(group.at), " needs all 32 lanes; ",
           std::popcount(group.arrived), " of warp ", w, " came");
  if (group.operation->work)
    group.operation->work({group.arrived, warp.calls});
  warp.groups.erase(warp.groups.begin() + std::ptrdiff_t(g));
  make_ready(w, group.arrived);
}

// The running thread waits or has ended. Can others go on?
void Block::settle() {
  const unsigned w = running_ / 32;
  if (warps_[w].ready == 0)
    for (size_t g = warps_[w].groups.size(); g-- > 0;)
      if (warps_[w].groups[g].operation->whoever_comes)
        finish_if_complete(w, g);
  if (ready_warps_ == 0 && live_ > 0)
    report("deadlock: ", who_waits());
}

}  // namespace lucida::emulate
