// Transformed weights, see cpu/conv2d_winograd_filter.cpp.
#pragma once
#include "cpu/conv2d_winograd_tiles.h"
#include "cpu/microkernel.h"
#include "layers/conv2d.h"

namespace lucida::winograd {

// G g G^T of every weight in the order in which the products read them, for each panel of tile_width columns
// and each chunk of the sum's channels: 36 matrices [channel of the chunk][column of the panel].
struct Filters {
  int columns, depth;  // outputs and summed channels: k and c in forward, c and k in backward_data
  bool turned;         // backward_data: taps by 180 degrees, and the summed channel is the weight's outer one
  Pieces chunks{depth, chunk_channels};
  float* data = nullptr;

  int panels() const { return (columns + tile_width - 1) / tile_width; }
  int width(int panel) const { return std::min(tile_width, whole_vectors(columns) - panel * tile_width); }
  int64_t panel_floats(int panel_width) const {
    return products * (int64_t{depth} * panel_width + chunks.count * Matrices::line);
  }
  int64_t floats() const {
    return (panels() - 1) * panel_floats(tile_width) + panel_floats(width(panels() - 1));
  }
  Matrices at(int panel, int chunk) const {
    float* const begin = data + panel * panel_floats(tile_width);
    const int64_t before = products * (int64_t{chunks.first(chunk)} * width(panel) + chunk * Matrices::line);
    return {begin + before, chunks.length(chunk), width(panel)};
  }
};

// Fills filters.data from weight [k,3,3,c].
void transform_filters(const Conv2dSizes&, const float* weight, const Filters&);

}  // namespace lucida::winograd
