#include "train/components.h"

#include <algorithm>

#include "engine/error.h"

namespace lucida {
namespace {

class Forest {
 public:
  Forest(int height, int width)
      : height_(height),
        width_(width),
        parent_(size_t(height) * size_t(width), absent),
        component_(parent_.size()) {}

  void add(int pixel) {
    const int y = pixel / width_, x = pixel % width_;
    parent_[size_t(pixel)] = pixel;
    component_[size_t(pixel)] = {{0, float(x), float(y), float(x + 1), float(y + 1)}, 1};
    roots_.push_back(pixel);
    for (int v = std::max(0, y - 1); v <= std::min(height_ - 1, y + 1); ++v)
      for (int u = std::max(0, x - 1); u <= std::min(width_ - 1, x + 1); ++u)
        if (parent_[size_t(v * width_ + u)] != absent)
          join(pixel, v * width_ + u);
  }

  // Of the roots that are still ones.
  std::span<const Component> components() {
    std::erase_if(roots_, [&](int pixel) { return parent_[size_t(pixel)] != pixel; });
    now_.clear();
    for (const int root : roots_) now_.push_back(component_[size_t(root)]);
    return now_;
  }

 private:
  static constexpr int absent = -1;

  int root(int pixel) {
    while (parent_[size_t(pixel)] != pixel) {
      parent_[size_t(pixel)] = parent_[size_t(parent_[size_t(pixel)])];  // halves the path
      pixel = parent_[size_t(pixel)];
    }
    return pixel;
  }

  void join(int a, int b) {
    a = root(a);
    b = root(b);
    if (a == b)
      return;
    if (component_[size_t(a)].area < component_[size_t(b)].area)
      std::swap(a, b);
    Component &into = component_[size_t(a)], from = component_[size_t(b)];
    parent_[size_t(b)] = a;
    into.area += from.area;
    into.box = {0, std::min(into.box.xmin, from.box.xmin), std::min(into.box.ymin, from.box.ymin),
                std::max(into.box.xmax, from.box.xmax), std::max(into.box.ymax, from.box.ymax)};
  }

  int height_, width_;
  std::vector<int> parent_;           // of a pixel; itself for a root
  std::vector<Component> component_;  // of a root
  std::vector<int> roots_;            // all roots, and pixels that once were ones
  std::vector<Component> now_;
};

}  // namespace

void for_each_threshold(std::span<const uint8_t> levels, int height, int width,
                        const std::function<void(int, std::span<const Component>)>& visit) {
  require(int64_t(levels.size()) == int64_t(height) * width, "components: ", levels.size(), " levels for ",
          height, " x ", width, " pixels");
  std::vector<std::vector<int>> pixels(256);
  for (size_t i = 0; i < levels.size(); ++i) pixels[levels[i]].push_back(int(i));
  Forest forest(height, width);
  for (int t = 254; t >= 0; --t) {
    for (const int pixel : pixels[size_t(t) + 1]) forest.add(pixel);
    visit(t, forest.components());
  }
}

}  // namespace lucida
