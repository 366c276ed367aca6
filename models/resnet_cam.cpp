#include "models/resnet_cam.h"

#include <algorithm>

#include "engine/autograd.h"
#include "engine/random.h"
#include "layers/pool.h"

namespace lucida {
namespace {

struct Plan {
  int depth;
  std::array<int, 4> blocks;
  bool bottleneck;
};
constexpr std::array<Plan, 5> plans = {{{18, {2, 2, 2, 2}, false},
                                        {34, {3, 4, 6, 3}, false},
                                        {50, {3, 4, 6, 3}, true},
                                        {101, {3, 4, 23, 3}, true},
                                        {152, {3, 8, 36, 3}, true}}};

const Plan& plan_of(int depth) {
  const auto plan = std::find_if(plans.begin(), plans.end(), [&](const Plan& p) { return p.depth == depth; });
  require(plan != plans.end(), "there is no ResNet-", depth, ": 18, 34, 50, 101 and 152 exist");
  return *plan;
}

int features(const ResNetOptions& o) {
  return o.width * (plan_of(o.depth).bottleneck ? 32 : 8);
}

// One block of `width`; `dilation` is that of its 3x3 convolutions.
Block make_block(int in, int width, int stride, int dilation, bool bottleneck, bool v1) {
  Block b;
  const int out = bottleneck ? 4 * width : width, pad = dilation;
  if (bottleneck) {
    b.path.emplace_back(in, width, Conv2d::Options{.kernel = 1, .stride = v1 ? stride : 1});
    b.path.emplace_back(width, width, Conv2d::Options{3, v1 ? 1 : stride, pad, dilation});
    b.path.emplace_back(width, out, Conv2d::Options{.kernel = 1});
  } else {
    b.path.emplace_back(in, width, Conv2d::Options{3, stride, pad, dilation});
    b.path.emplace_back(width, width, Conv2d::Options{3, 1, pad, dilation});
  }
  if (stride != 1 || in != out)
    b.shortcut.emplace(in, out, Conv2d::Options{.kernel = 1, .stride = stride});
  return b;
}

// The four stages. A stage whose stride would exceed the output stride dilates instead; as in torchvision its
// first block still has the dilation of the stage before.
std::array<std::vector<Block>, 4> make_stages(const ResNetOptions& o) {
  const Plan& plan = plan_of(o.depth);
  const bool v1 = o.variant == "v1";
  std::array<std::vector<Block>, 4> stages;
  int in = o.width, reached = 4, dilation = 1;
  for (size_t s = 0; s < 4; ++s) {
    const int width = o.width << s;
    int stride = s == 0 ? 1 : 2, first_dilation = dilation;
    if (reached * stride > o.output_stride) {
      dilation *= stride;
      stride = 1;
    }
    reached *= stride;
    for (int i = 0; i < plan.blocks[s]; ++i) {
      const bool first = i == 0;
      stages[s].push_back(
          make_block(in, width, first ? stride : 1, first ? first_dilation : dilation, plan.bottleneck, v1));
      in = plan.bottleneck ? 4 * width : width;
    }
  }
  return stages;
}

void require_known(const ResNetOptions& o) {
  require(o.variant == "v1" || o.variant == "v1.5", "variant '", o.variant, "' is unknown: v1 or v1.5");
  require(o.output_stride == 32 || o.output_stride == 16 || o.output_stride == 8, "output stride ",
          o.output_stride, " is not possible: 32, 16 or 8");
  require(o.classes >= 1, "a classifier needs at least one class, got ", o.classes);
  require(o.width >= 1 && o.width <= 1024, "a first stage of ", o.width,
          " channels is not possible: 1 to 1024");
  require(o.alpha > 0, "alpha must be positive, got ", o.alpha);
}

}  // namespace

int resnet_depth(const std::string& name) {
  for (const Plan& p : plans)
    if (name == "resnet" + std::to_string(p.depth))
      return p.depth;
  fail("no model is called '", name, "': there are resnet18, resnet34, resnet50, resnet101 and resnet152");
}

Tensor Block::operator()(const Tensor& x, Mode mode) {
  Tensor h = path.front().conv(x);
  for (size_t i = 1; i < path.size(); ++i)
    h = path[i].conv(batchnorm_relu_on_the_way(path[i - 1].bn, std::move(h), mode));
  Tensor skip = shortcut ? batchnorm2d(shortcut->bn, shortcut->conv(x), mode) : x;
  return batchnorm_add_relu(path.back().bn, std::move(h), std::move(skip), mode);
}

void Block::visit(Visitor& v) {
  for (size_t i = 0; i < path.size(); ++i) {
    v.child("conv" + std::to_string(i + 1), path[i].conv);
    v.child("bn" + std::to_string(i + 1), path[i].bn);
  }
  if (!shortcut)
    return;
  v.child("downsample.0", shortcut->conv);
  v.child("downsample.1", shortcut->bn);
}

namespace {

Tensor run_again_on_the_way_back(Block& block, const Tensor& x, Mode mode) {
  return recomputed("block", x, [&block, mode](const Tensor& in, bool again) {
    return block(in, again && mode == Mode::train ? Mode::train_again : mode);
  });
}

}  // namespace

ResNetCam::ResNetCam(ResNetOptions o, NoWeights)
    : options((require_known(o), o)),
      stem(3, o.width, Conv2d::Options{.kernel = 7, .stride = 2, .pad = 3}),
      stages(make_stages(o)),
      head(features(o), o.classes) {}

ResNetCam::ResNetCam(ResNetOptions o, uint64_t seed) : ResNetCam(o, NoWeights{}) {
  const Random random(seed, Stream::initialise);
  uint32_t item = 0;
  stem.conv.initialise_he(random, item++);
  for (auto& stage : stages)
    for (Block& block : stage) {
      for (ConvBn& layer : block.path) layer.conv.initialise_he(random, item++);
      if (block.shortcut)
        block.shortcut->conv.initialise_he(random, item++);
      Tensor& last_gamma = block.path.back().bn.gamma;
      if (o.zero_gamma)
        std::fill_n(last_gamma.data(), last_gamma.count(), 0.0f);
    }
  head.conv.initialise_uniform(random, item);
}

Tensor ResNetCam::run_parts(int first, int last, Tensor h, Mode mode, Keep keep) {
  if (first == 0 && last > 0) {
    const LayerName name("conv1");
    h = max_pool(batchnorm_relu(stem.bn, stem.conv(h), mode), 3, 2, 1);
  }
  for (size_t s = size_t(std::max(first, 1)); s < size_t(last); ++s)
    for (size_t i = 0; i < stages[s - 1].size(); ++i) {
      const LayerName name("layer" + std::to_string(s) + "." + std::to_string(i));
      Block& block = stages[s - 1][i];
      h = keep == Keep::activations ? block(h, mode) : run_again_on_the_way_back(block, h, mode);
    }
  return h;
}

ResNetCam::Output ResNetCam::from(int first, const Tensor& x, Mode mode, Keep keep) {
  return head(run_parts(first, parts, x, mode, keep), options.alpha);
}

ResNetCam::Output ResNetCam::operator()(const Tensor& images, Mode mode, Keep keep) {
  require(images.shape().rank() == 4 && images.shape()[3] == 3, "resnet: images must be [N,H,W,3], got ",
          images.shape());
  return from(0, images, mode, keep);
}

int ResNetCam::frozen_parts() {
  const auto still = [](const ConvBn& layer) {
    const BatchNorm2d& bn = layer.bn;
    return !layer.conv.weight.wants_grad() && !bn.gamma.wants_grad() && !bn.beta.wants_grad() && bn.frozen;
  };
  if (!still(stem))
    return 0;
  const auto moves = [&](const std::vector<Block>& stage) {
    return std::any_of(stage.begin(), stage.end(), [&](const Block& block) {
      return !std::all_of(block.path.begin(), block.path.end(), still) ||
             (block.shortcut && !still(*block.shortcut));
    });
  };
  return 1 + int(std::find_if(stages.begin(), stages.end(), moves) - stages.begin());
}

void ResNetCam::visit(Visitor& v) {
  v.child("conv1", stem.conv);
  v.child("bn1", stem.bn);
  for (size_t s = 0; s < stages.size(); ++s)
    for (size_t i = 0; i < stages[s].size(); ++i)
      v.child("layer" + std::to_string(s + 1) + "." + std::to_string(i), stages[s][i]);
  v.child("classifier", head);
}

void ResNetCam::freeze(const std::vector<std::string>& names) {
  const auto all = named_tensors(*this);
  std::vector<BatchNorm2d*> norms = {&stem.bn};
  for (auto& stage : stages)
    for (Block& block : stage) {
      for (ConvBn& layer : block.path) norms.push_back(&layer.bn);
      if (block.shortcut)
        norms.push_back(&block.shortcut->bn);
    }
  for (const std::string& name : names) {
    bool matched = false;
    for (const NamedTensor& t : all) {
      if (t.name != name && !t.name.starts_with(name + "."))
        continue;
      matched = true;
      t.tensor->want_grad(false);
      for (BatchNorm2d* bn : norms) bn->frozen = bn->frozen || t.tensor == &bn->gamma;
    }
    require(matched, "freeze: nothing is called '", name,
            "': conv1, bn1, layer1 to layer4 (or layer4.0 ...), classifier");
  }
}

std::vector<ResNetCam::Row> ResNetCam::table(int image_size) {
  std::vector<Row> rows;
  const auto row = [&](const std::string& name, const Conv2d& conv, int size, bool bn) {
    const Shape& w = conv.weight.shape();
    const Conv2dSizes s{1,
                        size,
                        size,
                        int(w[3]),
                        int(w[0]),
                        int(w[1]),
                        int(w[2]),
                        conv.options.stride,
                        conv.options.pad,
                        conv.options.dilation};
    std::ostringstream kind;
    kind << w[1] << "x" << w[2] << (s.stride > 1 ? "/2" : "") << (s.dilation > 1 ? " dilated" : "")
         << (bn ? " conv + bn" : " conv");
    const int64_t others = bn ? 2 * w[0] : w[0];
    rows.push_back(
        {name, kind.str(), {1, s.out_h(), s.out_w(), w[0]}, conv.weight.count() + others, s.flops()});
    return s.out_h();
  };
  int size = row("conv1", stem.conv, image_size, true);
  size = (size + 2 - 3) / 2 + 1;
  rows.push_back({"maxpool", "3x3/2 max pool", {1, size, size, options.width}, 0, 0});
  for (size_t s = 0; s < stages.size(); ++s)
    for (size_t i = 0; i < stages[s].size(); ++i) {
      const std::string name = "layer" + std::to_string(s + 1) + "." + std::to_string(i);
      Block& b = stages[s][i];
      if (b.shortcut)
        row(name + ".downsample", b.shortcut->conv, size, true);
      for (size_t k = 0; k < b.path.size(); ++k)
        size = row(name + ".conv" + std::to_string(k + 1), b.path[k].conv, size, true);
    }
  row("classifier", head.conv, size, false);
  return rows;
}

}  // namespace lucida
