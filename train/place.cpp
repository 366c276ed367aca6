#include "train/place.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace lucida {
namespace {

float keys(float x) {  // Keys, "Cubic convolution interpolation", 1981
  constexpr float a = -0.75f;
  x = std::abs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

float weight(Filter filter, float distance) {
  return filter == Filter::cubic ? keys(distance) : std::max(0.0f, 1 - std::abs(distance));
}

struct Tap {
  std::array<int, 4> cell;
  std::array<float, 4> weight;
};

// Along one axis, for `out` pixels that span the view's side.
std::vector<Tap> taps_of(int cells, const View& view, bool flip, int out, Filter filter) {
  std::vector<Tap> taps(static_cast<size_t>(out));
  for (int o = 0; o < out; ++o) {
    double pixel = (o + 0.5) * view.side / out - 0.5;
    if (flip)
      pixel = view.side - 1 - pixel;
    const double at = std::clamp(pixel / view.stride, 0.0, double(cells - 1));
    const int first = int(std::floor(at)) - 1;
    for (int k = 0; k < 4; ++k) {
      taps[size_t(o)].cell[size_t(k)] = std::clamp(first + k, 0, cells - 1);
      taps[size_t(o)].weight[size_t(k)] = weight(filter, float(at - (first + k)));
    }
  }
  return taps;
}

}  // namespace

Map place(const Map& map, const View& view, int height, int width, Filter filter) {
  require(view.side > 0 && view.stride > 0 && map.height > 0 && map.width > 0, "place: a map of ", map.height,
          " x ", map.width, " cells with stride ", view.stride, " over ", view.side, " pixels");
  const std::vector<Tap> rows = taps_of(map.height, view, false, height, filter),
                         columns = taps_of(map.width, view, view.flip, width, filter);
  std::vector<float> wide(size_t(map.height) * size_t(width));
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < width; ++x)
      for (size_t k = 0; k < 4; ++k)
        wide[size_t(y) * size_t(width) + size_t(x)] +=
            columns[size_t(x)].weight[k] * map.values[size_t(y * map.width + columns[size_t(x)].cell[k])];
  Map out{height, width, std::vector<float>(size_t(height) * size_t(width))};
  for (int y = 0; y < height; ++y)
    for (size_t k = 0; k < 4; ++k) {
      const float w = rows[size_t(y)].weight[k];
      const float* in = wide.data() + size_t(rows[size_t(y)].cell[k]) * size_t(width);
      if (w == 0)
        continue;
      for (int x = 0; x < width; ++x) out.values[size_t(y) * size_t(width) + size_t(x)] += w * in[x];
    }
  return out;
}

}  // namespace lucida
