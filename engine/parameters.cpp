#include "engine/parameters.h"

#include "engine/memory.h"

namespace lucida {

void move_to(const std::vector<NamedTensor>& tensors, Device device) {
  for (const NamedTensor& t : tensors) {
    const bool wanted = t.tensor->wants_grad();
    *t.tensor = t.tensor->on(device).want_grad(wanted);
  }
}

ParameterArena::ParameterArena(const std::vector<NamedTensor>& tensors,
                               const std::function<ParameterOptions(const NamedTensor&)>& options,
                               Device device) {
  constexpr int64_t align = 16;
  const MemoryLabel label("parameters and gradients");
  int64_t total = 0;
  std::vector<Tensor*> owners;
  for (const NamedTensor& t : tensors) {
    if (t.role == Role::buffer || !t.tensor->wants_grad()) {
      *t.tensor = t.tensor->on(device);
      continue;
    }
    segments_.push_back({t.name, total, t.tensor->count(), options(t), {}});
    owners.push_back(t.tensor);
    total += (t.tensor->count() + align - 1) / align * align;
  }
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

void ParameterArena::begin_step() {
  for (const Segment& s : segments_) s.parameter.forget_grad();
}

void ParameterArena::finish_gradients() {
  for (const Segment& s : segments_)
    if (!s.parameter.has_grad())
      fill_memory(values_.device(), s.parameter.grad_slot().data, s.count, 0);
}

}  // namespace lucida
