// Transformed weights, see cpu/conv2d_winograd_filter.cpp.
#pragma once
#include "cpu/conv2d_winograd_tiles.h"
#include "cpu/microkernel.h"
#include "layers/conv2d.h"

namespace lucida::winograd {

// U = G g G^T in the order in which the products read it: for each panel of tile_width columns and each chunk
// of the summed channels 36 matrices [channel of the chunk][column of the panel].
struct Filters {
  const Conv2dSizes& sizes;
  const float* weight;  // [k,3,3,c]
  int columns, depth;   // outputs and summed channels: k and c in forward, c and k in backward_data
  bool turned;  // backward_data: taps by 180 degrees, and the summed channel is the weight's outer one
  float* all = nullptr;  // U of all panels and chunks, where it is made beforehand
  Pieces chunks{depth, chunk_channels};

  int panels() const { return (columns + tile_width - 1) / tile_width; }
  int width(int panel) const { return std::min(tile_width, whole_vectors(columns) - panel * tile_width); }

  static constexpr int64_t part_floats = Matrices::floats(chunk_channels, tile_width);
  int64_t all_floats() const { return int64_t{panels()} * chunks.count * part_floats; }

  // U of a panel and a chunk: where it lies, or made here in `room`, part_floats of it.
  Matrices get(int panel, int chunk, float* room) const;
  void make_all() const;

 private:
  Matrices part(int panel, int chunk, float* at) const { return {at, chunks.length(chunk), width(panel)}; }
  float* place(int panel, int chunk) const {
    return all + (int64_t{panel} * chunks.count + chunk) * part_floats;
  }
  void make(int panel, int chunk, const Matrices& u) const;
};

}  // namespace lucida::winograd
