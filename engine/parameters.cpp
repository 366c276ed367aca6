#include "engine/parameters.h"

#include "engine/memory.h"

namespace lucida {

void move_to(const std::vector<NamedTensor>& tensors, Device device) {
  for (const NamedTensor& t : tensors) {
    const bool wanted = t.tensor->wants_grad();
    *t.tensor = t.tensor->on(device).want_grad(wanted);
  }
}

namespace {

constexpr int64_t alignment = 16;

// A place for each of them in one block of zeros, their values copied there, the model's handles re-pointed.
// Together, because a few small tensors left behind would cut the place they all came from into pieces.
Tensor gather(const std::vector<Tensor*>& owners, Device device,
              const std::function<void(int64_t first)>& at) {
  int64_t total = 0;
  for (const Tensor* t : owners) total += (t->count() + alignment - 1) / alignment * alignment;
  const Tensor block = Tensor::full({total}, 0, device);
  int64_t first = 0;
  for (Tensor* t : owners) {
    const Tensor old = *t;
    *t = block.slice(first, old.shape());
    copy_memory(t->data(), device, old.data(), old.device(), size_t(old.count()) * sizeof(float));
    at(first);
    first += (old.count() + alignment - 1) / alignment * alignment;
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
  size_t i = 0;
  const MemoryLabel label("parameters", Holds::parameters);
  values_ = gather(trained, device, [&](int64_t first) { segments_[i++].first = first; });
  others_ = gather(others, device, [](int64_t) {});
  if (device.kind != Device::cpu || !reuses_memory()) {
    const MemoryLabel gradients("gradients of parameters", Holds::gradients);
    gradients_ = Tensor::full({count()}, 0, device);
  }
  for (i = 0; i < segments_.size(); ++i) {
    Segment& s = segments_[i];
    s.parameter = *trained[i];
    s.parameter.want_grad();
    if (gradients_in_one_block())
      s.parameter.use_grad_memory(gradients_.slice(s.first, s.parameter.shape()));
  }
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
