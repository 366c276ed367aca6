// What a training step does besides layers and losses, as `lucida op` knows it: number formats, the
// optimizer.
#include "engine/memory.h"
#include "engine/optimizer.h"
#include "layers/cast.h"
#include "train/op.h"

namespace lucida {
namespace {

NamedOutputs run_cast(const OpArguments& a) {
  const std::string& format = a.text("format");
  require(format == "bf16" || format == "tf32", "--set format must be bf16 or tf32, got '", format, "'");
  const Tensor x = a.input("x");
  return {{"y", format == "bf16" ? to_bf16(x) : rounded_to_tf32(x)}};
}

// The optimizer writes in place; inputs stay as they are.
Tensor copy_or_zeros(const Tensor& t, const Tensor& like) {
  if (!t.defined())
    return Tensor::full(like.shape(), 0, like.device());
  require(t.shape() == like.shape(), "optimizer: w is ", like.shape(), " but another input is ", t.shape());
  const Tensor copy = Tensor::empty(t.shape(), t.device());
  copy_memory(copy.data(), copy.device(), t.data(), t.device(), size_t(t.count()) * sizeof(float));
  return copy;
}

NamedOutputs run_optimizer(const OpArguments& a) {
  const OptimizerOptions rule{.kind = optimizer_named(a.text("kind")),
                              .momentum = float(a.number("momentum")),
                              .nesterov = a.whole("nesterov") == 1,
                              .weight_decay = float(a.number("weight_decay"))};
  const Tensor g = a.input("g"), w = copy_or_zeros(a.input("w"), a.input("w")),
               m = copy_or_zeros(a.input("m"), w);
  require(g.shape() == w.shape(), "optimizer: w is ", w.shape(), " but g is ", g.shape());
  const OptimizerKernels::Step step{w.count(), float(a.number("lr")), rule.weight_decay, a.whole("step")};
  const auto& kernels = kernels_for<OptimizerKernels>(w.device());
  if (rule.kind == OptimizerOptions::sgd) {
    kernels.sgd(rule, step, g.data(), w.data(), m.data());
    return {{"w", w}, {"m", m}};
  }
  const Tensor v = copy_or_zeros(a.input("v"), w);
  kernels.adam(rule, step, g.data(), w.data(), m.data(), v.data());
  return {{"w", w}, {"m", m}, {"v", v}};
}

OpInput constant(const std::string& name, const std::string& shape, bool optional = false) {
  return {.name = name, .shape = shape, .optional = optional, .gradient = false};
}

}  // namespace

std::vector<Operation> step_operations() {
  return {{"cast",
           {{"x", "any shape"}},
           {{"format", "bf16", "bf16 or tf32: round to nearest, ties to even"}},
           {"y"},
           {"cast"},
           run_cast},
          {"optimizer",
           {constant("w", "any shape"), constant("g", "shape of w: the gradient"),
            constant("m", "shape of w: first moment (zeros)", true),
            constant("v", "shape of w: second moment (zeros)", true)},
           {{"kind", "adam", "adam, adamw or sgd"},
            {"lr", "1e-3", "learning rate"},
            {"step", "1", "counts from 1"},
            {"momentum", "0.9", "of sgd"},
            {"nesterov", "0", "1: Nesterov momentum"},
            {"weight_decay", "0", "coupled, but for adamw"}},
           {"w", "m", "v"},
           {"optimizer"},
           run_optimizer}};
}

}  // namespace lucida
