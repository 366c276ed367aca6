// Which tile a product in f32 is made of (cuda/gemm.cuh). No device code.
#pragma once
#include "cuda/conv2d_tensor.h"

namespace lucida::gemm {

// How much of C a block makes. A small tile fetches more per element than a large one: `cost` of an element.
struct SizedTile {
  tensor::TileSize size;
  double cost;
};
constexpr SizedTile sized_tiles[] = {
    {{128, 128}, 1.0}, {{128, 64}, 1.06}, {{64, 128}, 1.06}, {{64, 64}, 1.12}};
constexpr tensor::TileSize smallest = sized_tiles[3].size;

// The cheapest, elements that nobody needs included. The largest is not there for every product.
constexpr tensor::TileSize tile_for(int64_t rows, int64_t columns, bool with_largest) {
  SizedTile best = sized_tiles[1];
  const auto cost = [&](const SizedTile& t) { return t.cost * t.size.executed(rows, columns); };
  for (const SizedTile& t : sized_tiles)
    if ((with_largest || t.cost > 1) && cost(t) < cost(best))
      best = t;
  return best.size;
}

// What a pass of rung 3 multiplies, padding included, with aligned tensors (cuda/conv2d.cu).
double executed_flops(const Conv2dSizes&, tensor::Pass);

}  // namespace lucida::gemm
