#include "engine/parameters.h"

#include <algorithm>
#include <numeric>

#include "engine/memory.h"

namespace lucida {

void move_to(const std::vector<NamedTensor>& tensors, Device device) {
  for (const NamedTensor& t : tensors) {
    const bool wanted = t.tensor->wants_grad();
    *t.tensor = t.tensor->on(device).want_grad(wanted);
  }
}

namespace {

int64_t padded(int64_t floats) {
  return (floats + 15) / 16 * 16;
}

// A place for each of them in one block of zeros, their values copied there, the model's handles re-pointed.
// Together, because a few small tensors left behind would cut the place they all came from into pieces.
Tensor gather(const std::vector<Tensor*>& owners, Device device,
              const std::function<void(int64_t first)>& at) {
  int64_t total = 0;
  for (const Tensor* t : owners) total += padded(t->count());
  const Tensor block = Tensor::full({total}, 0, device);
  int64_t first = 0;
  for (Tensor* t : owners) {
    const Tensor old = *t;
    *t = block.slice(first, old.shape());
    copy_memory(t->data(), device, old.data(), old.device(), size_t(old.count()) * sizeof(float));
    at(first);
    first += padded(old.count());
  }
  return block;
}

}  // namespace

ParameterArena::ParameterArena(const std::vector<NamedTensor>& tensors,
                               const std::function<ParameterOptions(const NamedTensor&)>& options,
                               Device device) {
  std::vector<Tensor*> trained, others;
  for (const NamedTensor& t : tensors) {
    if (t.role == Role::buffer || !t.tensor->wants_grad()) {
      others.push_back(t.tensor);
      continue;
    }
    trained.push_back(t.tensor);
    segments_.push_back({t.name, 0, t.tensor->count(), options(t), {}});
  }
  const std::vector<size_t> order = layout();
  std::vector<Tensor*> in_order;
  for (size_t i : order) in_order.push_back(trained[i]);
  const MemoryLabel label("parameters", Holds::parameters);
  auto next = order.begin();
  values_ = gather(in_order, device, [&](int64_t first) { segments_[*next++].first = first; });
  find_runs(order);
  others_ = gather(others, device, [](int64_t) {});
  if (device.kind != Device::cpu || !reuses_memory()) {
    const MemoryLabel gradients("gradients of parameters", Holds::gradients);
    gradients_ = Tensor::full({count()}, 0, device);
  }
  for (size_t i = 0; i < segments_.size(); ++i) {
    Segment& s = segments_[i];
    s.parameter = *trained[i];
    s.parameter.want_grad();
    if (gradients_in_one_block())
      s.parameter.use_grad_memory(gradients_.slice(s.first, s.parameter.shape()));
  }
}

// The segments as they lie in the block. Runs that differ in decay alone become neighbours: without any decay
// they are one.
std::vector<size_t> ParameterArena::layout() const {
  std::vector<size_t> order(segments_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const ParameterOptions &left = segments_[a].options, &right = segments_[b].options;
    return std::pair(left.lr_scale, !left.decay) < std::pair(right.lr_scale, !right.decay);
  });
  return order;
}

void ParameterArena::find_runs(const std::vector<size_t>& layout) {
  for (size_t i : layout) {
    const Segment& s = segments_[i];
    if (runs_.empty() || runs_.back().options != s.options)
      runs_.push_back({s.first, 0, s.options});
    runs_.back().count += padded(s.count);
  }
}

std::vector<float> ParameterArena::in_model_order(const std::vector<float>& block) const {
  std::vector<float> segments;
  for (const Segment& s : segments_)
    segments.insert(segments.end(), block.begin() + s.first, block.begin() + s.first + padded(s.count));
  return segments;
}

std::vector<float> ParameterArena::in_block_order(const std::vector<float>& segments) const {
  std::vector<float> block(segments.size());
  auto from = segments.begin();
  for (const Segment& s : segments_) {
    std::copy_n(from, padded(s.count), block.begin() + s.first);
    from += padded(s.count);
  }
  return block;
}

void ParameterArena::begin_step() {
  for (const Segment& s : segments_) s.parameter.drop_grad();
}

void ParameterArena::finish_gradients() {
  for (const Segment& s : segments_)
    if (!s.parameter.has_grad())
      fill_memory(values_.device(), s.parameter.grad_slot().data, s.count, 0);
}

}  // namespace lucida
