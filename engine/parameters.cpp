#include "engine/parameters.h"

#include <algorithm>

#include "engine/memory.h"

namespace lucida {
namespace {

int64_t padded(int64_t floats) {
  return (floats + 15) / 16 * 16;
}

}  // namespace

void move_to(const std::vector<NamedTensor>& tensors, Device device) {
  for (const NamedTensor& t : tensors) {
    const bool wanted = t.tensor->wants_grad();
    *t.tensor = t.tensor->on(device).want_grad(wanted);
  }
}

ParameterArena::ParameterArena(const std::vector<NamedTensor>& tensors,
                               const std::function<ParameterOptions(const NamedTensor&)>& options,
                               Device device) {
  const MemoryLabel label("parameters and gradients");
  std::vector<Tensor*> owners;
  for (const NamedTensor& t : tensors) {
    if (t.role == Role::buffer || !t.tensor->wants_grad()) {
      *t.tensor = t.tensor->on(device);
      continue;
    }
    segments_.push_back({t.name, 0, t.tensor->count(), options(t), {}});
    owners.push_back(t.tensor);
  }
  const int64_t total = lay_out();
  values_ = Tensor::full({total}, 0, device);
  gradients_ = Tensor::full({total}, 0, device);
  for (size_t i = 0; i < segments_.size(); ++i) {
    Segment& s = segments_[i];
    const Tensor old = *owners[i];
    s.parameter = values_.slice(s.first, old.shape());
    copy_memory(s.parameter.data(), device, old.data(), old.device(), size_t(s.count) * sizeof(float));
    s.parameter.want_grad().use_grad_memory(gradients_.slice(s.first, old.shape()));
    *owners[i] = s.parameter;
  }
}

// Runs that differ in decay alone become neighbours: without any decay they are one. Returns their length.
int64_t ParameterArena::lay_out() {
  std::vector<Segment*> order;
  for (Segment& s : segments_) order.push_back(&s);
  std::stable_sort(order.begin(), order.end(), [](const Segment* a, const Segment* b) {
    return std::pair(a->options.lr_scale, !a->options.decay) <
           std::pair(b->options.lr_scale, !b->options.decay);
  });
  int64_t end = 0;
  for (Segment* s : order) {
    if (runs_.empty() || runs_.back().options != s->options)
      runs_.push_back({end, 0, s->options});
    s->first = end;
    end += padded(s->count);
    runs_.back().count = end - runs_.back().first;
  }
  return end;
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
  for (const Segment& s : segments_) s.parameter.forget_grad();
}

void ParameterArena::finish_gradients() {
  for (const Segment& s : segments_)
    if (!s.parameter.has_grad())
      fill_memory(values_.device(), s.parameter.grad_slot().data, s.count, 0);
}

}  // namespace lucida
