// The layers as `lucida op` knows them.
#include "layers/add.h"
#include "layers/batchnorm.h"
#include "layers/boostlu.h"
#include "layers/cam.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/sigmoid.h"
#include "train/op.h"

namespace lucida {
namespace {

// Another tensor with the same values: BatchNorm updates its running statistics in place.
Tensor copy_of(const Tensor& t) {
  return Tensor::from(t.shape(), t.to_host(), t.device());
}

NamedOutputs run_conv2d(const OpArguments& a) {
  const Conv2dOptions options{a.whole("stride"), a.whole("pad"), a.whole("dilation")};
  return {{"y", conv2d(a.input("x"), a.input("weight"), a.input("bias"), options)}};
}

NamedOutputs run_batchnorm2d(const OpArguments& a) {
  const std::string& mode_name = a.text("mode");
  require(mode_name == "train" || mode_name == "eval", "--set mode must be train or eval, got '", mode_name,
          "'");
  const int relu_after = a.whole("relu");
  require(relu_after == 0 || relu_after == 1, "--set relu must be 0 or 1, got ", relu_after);
  const Tensor x = a.input("x"), skip = a.input("skip"), gamma = a.input("gamma");
  for (const char* name : {"beta", "running_mean", "running_var"})
    require(a.input(name).count() == gamma.count(), "batchnorm2d: gamma has ", gamma.count(), " values but ",
            name, " has ", a.input(name).count());
  BatchNorm2d bn(int(gamma.count()));
  bn.gamma = gamma;
  bn.beta = a.input("beta");
  bn.running_mean = copy_of(a.input("running_mean"));
  bn.running_var = copy_of(a.input("running_var"));
  bn.eps = float(a.number("eps"));
  bn.momentum = float(a.number("momentum"));
  const Mode mode = mode_name == "train" ? Mode::train : Mode::eval;
  Tensor y;
  if (relu_after)
    y = skip.defined() ? batchnorm_add_relu(bn, x, skip, mode) : batchnorm_relu(bn, x, mode);
  else
    y = skip.defined() ? add(batchnorm2d(bn, x, mode), skip) : batchnorm2d(bn, x, mode);
  return {{"y", y}, {"running_mean", bn.running_mean}, {"running_var", bn.running_var}};
}

NamedOutputs run_cam_head(const OpArguments& a) {
  const Tensor weight = a.input("weight"), bias = a.input("bias");
  require(weight.shape().rank() == 4, "cam_head: weight must be [L,C,1,1], got ", weight.shape());
  CamHead head(1, 1);
  head.conv.weight = weight;
  head.conv.bias = bias;
  const auto [maps, logits] = head(a.input("x"), float(a.number("alpha")));
  return {{"maps", maps}, {"logits", logits}};
}

NamedOutputs y_is(const Tensor& y) {
  return {{"y", y}};
}

OpInput activation(const std::string& name, const std::string& shape, bool optional = false) {
  return {.name = name, .shape = shape, .optional = optional, .narrow = true};
}

const OpInput images = activation("x", "N,C,H,W"), any = activation("x", "any shape"),
              bias{"bias", "O", true};
const OpSetting alpha{"alpha", "5", "positive values are multiplied by it (1: no change)"};

std::vector<Operation> operations_with_weights() {
  return {
      {"conv2d",
       {images, {"weight", "O,I,R,S"}, bias},
       {{"stride", "1", "pixels"},
        {"pad", "0", "pixels of zeros on each side"},
        {"dilation", "1", "pixels between taps"}},
       {"y"},
       {"conv2d"},
       run_conv2d},
      {"batchnorm2d",
       {images,
        {"gamma", "C"},
        {"beta", "C"},
        {"running_mean", "C", false, false},
        {"running_var", "C", false, false},
        activation("skip", "N,C,H,W", true)},
       {{"mode", "train", "train: statistics of the batch; eval: the running ones"},
        {"eps", "1e-5", "added to the variance"},
        {"momentum", "0.1", "weight of the batch in the running statistics"},
        {"relu", "0", "1: y = max(0, bn(x) + skip)"}},
       {"y", "running_mean", "running_var"},
       {"batchnorm2d"},
       run_batchnorm2d},
      {"linear",
       {{"x", "N,I"}, {"weight", "O,I"}, bias},
       {},
       {"y"},
       {"linear"},
       [](const OpArguments& a) { return y_is(linear(a.input("x"), a.input("weight"), a.input("bias"))); }},
      {"cam_head",
       {images, {"weight", "L,C,1,1"}, {"bias", "L", true}},
       {alpha},
       {"maps", "logits"},
       {"conv2d", "boostlu", "global_average"},
       run_cam_head}};
}

// One input, or two of the same shape.
Operation elementwise(const std::string& name, std::vector<OpInput> inputs, std::vector<OpSetting> settings,
                      NamedOutputs (*run)(const OpArguments&)) {
  return {name, std::move(inputs), std::move(settings), {"y"}, {name}, run};
}

std::vector<Operation> operations_without_weights() {
  return {
      elementwise("relu", {any}, {}, [](const OpArguments& a) { return y_is(relu(a.input("x"))); }),
      elementwise("sigmoid", {{"x", "any shape"}}, {},
                  [](const OpArguments& a) { return y_is(sigmoid(a.input("x"))); }),
      elementwise("add", {activation("a", "any shape"), activation("b", "shape of a")}, {},
                  [](const OpArguments& a) { return y_is(add(a.input("a"), a.input("b"))); }),
      elementwise("boostlu", {any}, {alpha},
                  [](const OpArguments& a) { return y_is(boostlu(a.input("x"), float(a.number("alpha")))); }),
      {"maxpool2d",
       {images},
       {{"kernel", "3", "pixels"}, {"stride", "2", "pixels"}, {"pad", "1", "pixels; they never win"}},
       {"y"},
       {"maxpool2d"},
       [](const OpArguments& a) {
         return y_is(max_pool(a.input("x"), a.whole("kernel"), a.whole("stride"), a.whole("pad")));
       }},
      {"global_average", {images}, {}, {"y"}, {"global_average"}, [](const OpArguments& a) {
         return y_is(global_average(a.input("x")));
       }}};
}

}  // namespace

std::vector<Operation> layer_operations() {
  std::vector<Operation> all = operations_with_weights();
  for (Operation& op : operations_without_weights()) all.push_back(std::move(op));
  return all;
}

}  // namespace lucida
