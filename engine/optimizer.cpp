#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/memory.h"

namespace lucida {
namespace {

StoredTensor flat(const Tensor& t) {
  return StoredTensor::from({t.count()}, t.to_host());
}

void restore(const Safetensors& state, const std::string& file, const std::string& name, const Tensor& into) {
  const std::vector<float> values = state.at(name, file).floats();
  require(int64_t(values.size()) == into.count(), file, ": '", name, "' has ", values.size(),
          " values, this model has ", into.count(), " trainable ones: was it frozen differently?");
  copy_memory(into.data(), into.device(), values.data(), Device{}, values.size() * sizeof(float));
}

// Calls f(first, count, gradient, options) for each run of neighbouring segments that are updated alike and
// whose gradients lie in one block; without any decay a whole backbone is one. Padding between segments is
// zero in weight and gradient and stays zero.
template <class F>
void each_run(const ParameterArena& arena, bool any_decay, F f) {
  const auto& segments = arena.segments();
  const auto options = [&](size_t i) {
    return ParameterOptions{segments[i].options.lr_scale, any_decay && segments[i].options.decay};
  };
  for (size_t i = 0; i < segments.size();) {
    size_t j = i + 1;
    while (arena.gradients_in_one_block() && j < segments.size() && options(j) == options(i)) ++j;
    const int64_t end = j < segments.size() ? segments[j].first : arena.count();
    const int64_t count = arena.gradients_in_one_block() ? end - segments[i].first : segments[i].count;
    f(segments[i].first, count, arena.gradient_of(i), options(i));
    i = j;
  }
}

// Calls f(count, gradient) for pieces that are all gradients together.
template <class F>
void each_gradient(const ParameterArena& arena, F f) {
  if (arena.gradients_in_one_block())
    return f(arena.count(), arena.gradients().data());
  for (size_t i = 0; i < arena.segments().size(); ++i) f(arena.segments()[i].count, arena.gradient_of(i));
}

}  // namespace

OptimizerOptions::Kind optimizer_named(const std::string& name) {
  if (name == "adam")
    return OptimizerOptions::adam;
  if (name == "adamw")
    return OptimizerOptions::adamw;
  require(name == "sgd", "no optimizer is called '", name, "': there are adam, adamw and sgd");
  return OptimizerOptions::sgd;
}

AdamCorrection::AdamCorrection(const OptimizerOptions& o, OptimizerKernels::Step s)
    : rate(float(double(s.lr) / (1 - std::pow(double(o.beta1), double(s.step))))),
      root(float(std::sqrt(1 - std::pow(double(o.beta2), double(s.step))))) {}

Optimizer::Optimizer(ParameterArena& arena, OptimizerOptions options) : arena_(arena), options_(options) {
  const MemoryLabel label("optimizer moments", Holds::optimizer);
  const Device device = arena.values().device();
  first_ = Tensor::full({arena.count()}, 0, device);
  if (options.kind != OptimizerOptions::sgd)
    second_ = Tensor::full({arena.count()}, 0, device);
}

void Optimizer::step(double lr) {
  arena_.finish_gradients();
  ++steps_;
  const auto& kernels = kernels_for<OptimizerKernels>(arena_.values().device());
  float* w = arena_.values().data();
  each_run(arena_, options_.weight_decay != 0,
           [&](int64_t first, int64_t count, const float* g, ParameterOptions p) {
             const float decay = p.decay ? options_.weight_decay : 0.0f;
             const OptimizerKernels::Step s{count, float(lr * double(p.lr_scale)), decay, steps_};
             if (options_.kind == OptimizerOptions::sgd)
               kernels.sgd(options_, s, g, w + first, first_.data() + first);
             else
               kernels.adam(options_, s, g, w + first, first_.data() + first, second_.data() + first);
           });
}

void Optimizer::save(Safetensors& state) const {
  state.tensors["optimizer.first_moment"] = flat(first_);
  if (second_.defined())
    state.tensors["optimizer.second_moment"] = flat(second_);
  const std::vector<int64_t> steps = {steps_};
  state.tensors["optimizer.steps"] = StoredTensor::from({1}, steps);
}

void Optimizer::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "optimizer.first_moment", first_);
  if (second_.defined())
    restore(state, file, "optimizer.second_moment", second_);
  steps_ = state.at("optimizer.steps", file).integers().at(0);
}

double gradient_norm(const ParameterArena& arena) {
  const auto& kernels = kernels_for<OptimizerKernels>(arena.values().device());
  double squares = 0;
  each_gradient(arena, [&](int64_t count, const float* g) { squares += kernels.sum_of_squares(count, g); });
  return std::sqrt(squares);
}

double clip_gradients(ParameterArena& arena, double limit) {
  arena.finish_gradients();
  const double norm = gradient_norm(arena);
  if (norm > limit) {
    const auto& kernels = kernels_for<OptimizerKernels>(arena.values().device());
    const float factor = float(limit / (norm + 1e-6));
    each_gradient(arena, [&](int64_t count, float* g) { kernels.scale(count, factor, g); });
  }
  return norm;
}

WeightAverage::WeightAverage(ParameterArena& arena, float decay) : arena_(arena), decay_(decay) {
  const MemoryLabel label("average of the weights", Holds::optimizer);
  average_ = Tensor::from(arena.values().shape(), arena.values().to_host(), arena.values().device());
}

void WeightAverage::update() {
  const auto& kernels = kernels_for<OptimizerKernels>(average_.device());
  kernels.blend(arena_.count(), decay_, arena_.values().data(), average_.data());
}

void WeightAverage::swap() {
  const auto& kernels = kernels_for<OptimizerKernels>(average_.device());
  kernels.swap(average_.count(), average_.data(), arena_.values().data());
}

void WeightAverage::save(Safetensors& state) const {
  state.tensors["average.weights"] = flat(average_);
}

void WeightAverage::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "average.weights", average_);
}

}  // namespace lucida
