#include "train/bench_shapes.h"

#include <algorithm>

namespace lucida {
namespace {

bool same(const Conv2dSizes& a, const Conv2dSizes& b) {
  return a.h == b.h && a.w == b.w && a.c == b.c && a.k == b.k && a.r == b.r && a.s == b.s &&
         a.stride == b.stride && a.pad == b.pad && a.dilation == b.dilation;
}

// Walks through the model as an image does, from size to size.
class Walk {
 public:
  Walk(ModelShapes& shapes, int batch) : shapes_(shapes), batch_(batch) {}

  // Returns the size of its result.
  int convolution(const Conv2d& conv, int size, bool image = false) {
    const Shape& w = conv.weight.shape();
    const auto& o = conv.options;
    const Conv2dSizes s{batch_,    size,      size,     int(w[3]), int(w[0]),
                        int(w[1]), int(w[2]), o.stride, o.pad,     o.dilation};
    const auto known = std::find_if(shapes_.convolutions.begin(), shapes_.convolutions.end(),
                                    [&](const ConvShape& c) { return same(c.sizes, s); });
    if (known == shapes_.convolutions.end())
      shapes_.convolutions.push_back({s, 1, image});
    else
      ++known->count;
    last_ = s;
    return s.out_h();
  }
  // Of the last convolution's result.
  void norm(NormShape::Then then) {
    const NormShape now{last_.pixels(), last_.k, then, 1};
    const auto known = std::find_if(shapes_.norms.begin(), shapes_.norms.end(), [&](const NormShape& n) {
      return n.rows == now.rows && n.channels == now.channels && n.then == now.then;
    });
    if (known == shapes_.norms.end())
      shapes_.norms.push_back(now);
    else
      ++known->count;
  }

 private:
  ModelShapes& shapes_;
  int batch_;
  Conv2dSizes last_{};
};

}  // namespace

std::string ConvShape::text() const {
  std::ostringstream text;
  text << sizes.r << 'x' << sizes.s;
  if (sizes.stride > 1)
    text << '/' << sizes.stride;
  if (sizes.dilation > 1)
    text << 'd' << sizes.dilation;
  text << ' ' << sizes.c << '>' << sizes.k << ' ' << sizes.h << 'x' << sizes.w;
  return text.str();
}

std::string NormShape::text() const {
  constexpr const char* fused[] = {"", ", relu", ", add, relu"};
  return std::to_string(rows) + " x " + std::to_string(channels) + fused[then];
}

ModelShapes shapes_of(const ResNetCam& model, int batch, int image_size) {
  ModelShapes shapes;
  Walk walk(shapes, batch);
  int size = walk.convolution(model.stem.conv, image_size, true);
  walk.norm(NormShape::relu);
  shapes.pool = {batch, size, size, 64, 3, 2, 1};
  size = shapes.pool.out_h();
  for (const auto& stage : model.stages)
    for (const Block& block : stage) {
      if (block.shortcut) {
        walk.convolution(block.shortcut->conv, size);
        walk.norm(NormShape::nothing);
      }
      for (const ConvBn& layer : block.path) {
        size = walk.convolution(layer.conv, size);
        walk.norm(&layer == &block.path.back() ? NormShape::add_relu : NormShape::relu);
      }
    }
  walk.convolution(model.head.conv, size);
  return shapes;
}

}  // namespace lucida
