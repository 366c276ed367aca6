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

  int convolution(const Conv2d& conv, int size, bool norm, bool image = false) {
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
    if (norm)
      add_norm(s.pixels(), s.k);
    return s.out_h();
  }

 private:
  void add_norm(int64_t rows, int channels) {
    const auto known = std::find_if(shapes_.norms.begin(), shapes_.norms.end(), [&](const NormShape& n) {
      return n.rows == rows && n.channels == channels;
    });
    if (known == shapes_.norms.end())
      shapes_.norms.push_back({rows, channels, 1});
    else
      ++known->count;
  }

  ModelShapes& shapes_;
  int batch_;
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
  return std::to_string(rows) + " x " + std::to_string(channels);
}

ModelShapes shapes_of(const ResNetCam& model, int batch, int image_size) {
  ModelShapes shapes;
  Walk walk(shapes, batch);
  int size = walk.convolution(model.stem.conv, image_size, true, true);
  shapes.pool = {batch, size, size, 64, 3, 2, 1};
  size = shapes.pool.out_h();
  for (const auto& stage : model.stages)
    for (const Block& block : stage) {
      if (block.shortcut)
        walk.convolution(block.shortcut->conv, size, true);
      for (const ConvBn& layer : block.path) size = walk.convolution(layer.conv, size, true);
    }
  walk.convolution(model.head.conv, size, false);
  return shapes;
}

}  // namespace lucida
