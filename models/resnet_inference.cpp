#include "models/resnet_inference.h"

#include <algorithm>
#include <utility>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/parallel.h"
#include "layers/boostlu.h"
#include "layers/pool.h"

namespace lucida {
namespace {

constexpr int pool_kernel = 3, pool_stride = 2, pool_pad = 1;

Conv2dSizes sizes_of(const Conv2d& conv, const Shape& x) {
  const Shape& w = conv.weight.shape();
  return {int(x[0]), int(x[1]), int(x[2]),           int(x[3]),        int(w[0]),
          int(w[1]), int(w[2]), conv.options.stride, conv.options.pad, conv.options.dilation};
}

PoolSizes pool_sizes(const Conv2dSizes& before, int images) {
  return {images, before.out_h(), before.out_w(), before.k, pool_kernel, pool_stride, pool_pad};
}

struct Folded {
  Tensor weight, bias;
};

// w' = w * scale, b' = shift;  scale = gamma * rstd, shift = beta - mean * scale.
Folded fold(const Conv2d& conv, const BatchNorm2d& bn) {
  const int channels = int(bn.gamma.count());
  const Tensor rstd = Tensor::empty({channels}), scale = Tensor::empty({channels});
  Folded f{Tensor::empty(conv.weight.shape()), Tensor::empty({channels})};
  kernels_for<BatchNormKernels>({}).fold({1, channels}, bn.eps, bn.running_mean.data(), bn.running_var.data(),
                                         bn.gamma.data(), bn.beta.data(), rstd.data(), scale.data(),
                                         f.bias.data());
  const int64_t filter = conv.weight.count() / channels;
  for (int64_t o = 0; o < channels; ++o)
    for (int64_t i = o * filter; i < (o + 1) * filter; ++i)
      f.weight.data()[i] = conv.weight.data()[i] * scale.data()[o];
  return f;
}

// The tensor itself if only we hold it, else a new one: a result of `count` floats.
void make_room(Tensor& t, int64_t count) {
  if (!t.defined() || t.count() != count || !t.may_be_overwritten())
    t = Tensor::empty({count});
}

// `--rung conv2d=1` means inference, too, unless it has a rung of its own.
const Conv2dPreparedKernels& inference_kernels() {
  const int forced = variants<Conv2dKernels>.forced_rung;
  if (variants<Conv2dPreparedKernels>.forced_rung < 0)
    for (const auto& v : every<Conv2dPreparedKernels>())
      if (v.device == Device::cpu && v.rung == forced)
        return *v.kernels;
  return kernels_for<Conv2dPreparedKernels>({});
}

}  // namespace

ResNetInference::ResNetInference(ResNetCam& model, bool fold, int first)
    : model_(model),
      first_(first),
      fold_(fold && model.device().kind == Device::cpu && !checking_finite()),
      kernels_(inference_kernels()) {}

// `x` becomes the shape of the result.
void ResNetInference::add(const Conv2d& conv, const BatchNorm2d* bn, Shape& x, Slot from, Slot to, Slot skip,
                          bool relu) {
  const Conv2dSizes z = sizes_of(conv, x);
  steps_.push_back({&conv, bn, from, to, skip, relu, z, {}, {}});
  x = Shape{z.n, z.out_h(), z.out_w(), z.k};
  floats_[to] = std::max(floats_[to], x.count());
}

void ResNetInference::add_block(const Block& block, Slot from, Slot to, Shape& x) {
  const auto& path = block.path;
  const Shape outer = x;
  Slot at = from, skip = from;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    const Slot next = at == path_a ? path_b : path_a;
    add(path[i].conv, &path[i].bn, x, at, next, none, true);
    at = next;
  }
  if (block.shortcut) {
    Shape aside = outer;
    skip = shortcut;
    add(block.shortcut->conv, &block.shortcut->bn, aside, from, skip, none, false);
  }
  add(path.back().conv, &path.back().bn, x, at, to, skip, true);
}

// Which buffer each layer reads and writes, how large each must be, and the weights in order.
void ResNetInference::plan(const Shape& images) {
  steps_.clear();
  floats_ = {};
  Shape x = images;
  Slot in = input, out = block_b;
  int64_t winners = 0;
  if (first_ == 0) {
    add(model_.stem.conv, &model_.stem.bn, x, input, stem, none, true);
    const PoolSizes pool = pool_sizes(steps_[0].planned, int(x[0]));
    x = Shape{x[0], pool.out_h(), pool.out_w(), x[3]};
    in = block_a;
    floats_[in] = winners = x.count();
  }
  for (size_t s = size_t(std::max(first_, 1)) - 1; s < model_.stages.size(); ++s)
    for (const Block& block : model_.stages[s]) {
      add_block(block, in, out, x);
      in = out;
      out = in == block_a ? block_b : block_a;
    }
  add(model_.head.conv, nullptr, x, in, maps, none, false);

  const MemoryLabel label("inference buffers", Holds::workspaces);
  for (size_t s = stem; s < maps; ++s) buffers_[s] = Tensor::empty({floats_[s]});
  winners_ = Tensor::empty({winners}, {}, DType::u8);
  for (Step& step : steps_) prepare(step);
  planned_ = images;
  plan_workspace();
}

void ResNetInference::plan_workspace() {
  const MemoryLabel label("inference buffers", Holds::workspaces);
  int64_t floats = 0;
  for (const Step& step : steps_) floats = std::max(floats, kernels_.workspace_floats(step.planned));
  workspace_ = Tensor::empty({floats});
  planned_threads_ = threads();
}

void ResNetInference::prepare(Step& step) const {
  const MemoryLabel label("prepared weights", Holds::parameters);
  const Folded f = step.bn ? fold(*step.conv, *step.bn) : Folded{step.conv->weight, step.conv->bias};
  step.bias = f.bias;
  step.prepared = Tensor::empty({kernels_.prepared_floats(step.planned)});
  kernels_.prepare(step.planned, f.weight.data(), step.prepared.data());
}

void ResNetInference::run(const Step& step, const Tensor& images) {
  const auto at = [&](Slot slot) {
    return slot == none    ? nullptr
           : slot == input ? images.data()
           : slot == maps  ? maps_.data()
                           : buffers_[slot].data();
  };
  const int n = int(images.shape()[0]);
  kernels_.forward(step.planned, n, at(step.x), step.prepared.data(),
                   {step.bias.data(), at(step.skip), step.relu}, at(step.y), workspace_.data());
  if (step.y == stem)
    kernels_for<MaxPoolKernels>({}).forward(pool_sizes(step.planned, n), at(stem), at(block_a),
                                            winners_.data<uint8_t>());
}

ResNetCam::Output ResNetInference::operator()(const Tensor& images) {
  const Shape& s = images.shape();
  if (!fold_)
    return model_.from(first_, images, Mode::eval);
  require(s.rank() == 4 && (first_ > 0 || s[3] == 3) && s[0] > 0, "resnet: images must be [N,H,W,3], got ",
          s);
  if (planned_.rank() == 0 || s[0] > planned_[0] || s[1] != planned_[1] || s[2] != planned_[2])
    plan(s);
  else if (planned_threads_ != threads())
    plan_workspace();
  const Conv2dSizes& last = steps_.back().planned;
  const int64_t n = s[0], pixels = int64_t{last.out_h()} * last.out_w(), classes = last.k;
  make_room(maps_, planned_[0] * pixels * classes);
  make_room(logits_, planned_[0] * classes);
  for (const Step& step : steps_) run(step, images);
  if (model_.options.alpha != 1)
    kernels_for<BoostluKernels>({}).forward(n * pixels * classes, model_.options.alpha, maps_.data(),
                                            maps_.data());
  kernels_for<GlobalAverageKernels>({}).forward(int(n), int(pixels), int(classes), maps_.data(),
                                                logits_.data());
  return {maps_.slice(0, {n, last.out_h(), last.out_w(), classes}), logits_.slice(0, {n, classes})};
}

}  // namespace lucida
