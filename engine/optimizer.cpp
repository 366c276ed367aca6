#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/memory.h"

namespace lucida {
namespace {

StoredTensor stored(const ParameterArena& arena, const Tensor& like_it) {
  return StoredTensor::from({like_it.count()}, arena.in_model_order(like_it.to_host()));
}

void restore(const Safetensors& state, const std::string& file, const std::string& name,
             const ParameterArena& arena, const Tensor& into) {
  const std::vector<float> values = state.at(name, file).floats();
  require(int64_t(values.size()) == into.count(), file, ": '", name, "' has ", values.size(),
          " values, this model has ", into.count(), " trainable ones: was it frozen differently?");
  copy_memory(into.data(), into.device(), arena.in_block_order(values).data(), Device{},
              values.size() * sizeof(float));
}

// Without decay, runs that differ in nothing else are one.
std::vector<ParameterArena::Run> runs_of(const ParameterArena& arena, bool any_decay) {
  std::vector<ParameterArena::Run> runs;
  for (ParameterArena::Run run : arena.runs()) {
    run.options.decay &= any_decay;
    if (!runs.empty() && runs.back().options == run.options)
      runs.back().count += run.count;
    else
      runs.push_back(run);
  }
  return runs;
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
  const MemoryLabel label("optimizer moments");
  const Device device = arena.values().device();
  first_ = Tensor::full({arena.count()}, 0, device);
  if (options.kind != OptimizerOptions::sgd)
    second_ = Tensor::full({arena.count()}, 0, device);
}

void Optimizer::step(double lr) {
  arena_.finish_gradients();
  ++steps_;
  const auto& kernels = kernels_for<OptimizerKernels>(arena_.values().device());
  const float* g = arena_.gradients().data();
  float* w = arena_.values().data();
  for (const auto& [first, count, p] : runs_of(arena_, options_.weight_decay != 0)) {
    const float decay = p.decay ? options_.weight_decay : 0.0f;
    const OptimizerKernels::Step s{count, float(lr * double(p.lr_scale)), decay, steps_};
    if (options_.kind == OptimizerOptions::sgd)
      kernels.sgd(options_, s, g + first, w + first, first_.data() + first);
    else
      kernels.adam(options_, s, g + first, w + first, first_.data() + first, second_.data() + first);
  }
}

void Optimizer::save(Safetensors& state) const {
  state.tensors["optimizer.first_moment"] = stored(arena_, first_);
  if (second_.defined())
    state.tensors["optimizer.second_moment"] = stored(arena_, second_);
  const std::vector<int64_t> steps = {steps_};
  state.tensors["optimizer.steps"] = StoredTensor::from({1}, steps);
}

void Optimizer::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "optimizer.first_moment", arena_, first_);
  if (second_.defined())
    restore(state, file, "optimizer.second_moment", arena_, second_);
  steps_ = state.at("optimizer.steps", file).integers().at(0);
}

double gradient_norm(const ParameterArena& arena) {
  const auto& kernels = kernels_for<OptimizerKernels>(arena.gradients().device());
  return std::sqrt(kernels.sum_of_squares(arena.count(), arena.gradients().data()));
}

void clip_gradients(ParameterArena& arena, double limit) {
  arena.finish_gradients();
  const auto& kernels = kernels_for<OptimizerKernels>(arena.gradients().device());
  kernels.clip(arena.count(), limit, arena.gradients().data());
}

WeightAverage::WeightAverage(ParameterArena& arena, float decay) : arena_(arena), decay_(decay) {
  const MemoryLabel label("average of the weights");
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
  state.tensors["average.weights"] = stored(arena_, average_);
}

void WeightAverage::load(const Safetensors& state, const std::string& file) {
  restore(state, file, "average.weights", arena_, average_);
}

}  // namespace lucida
