// Conv2d, rung 1, gradient of the weight: how the work is cut. By the sizes alone, never by the number of
// threads, because it decides in which order sums are made.
//
//               f: panels of columns
//          +-------------+-------------+
//     o    | task 0      | task 1      |   across 2: groups of panels, which all read dy
//          +-------------+-------------+   down 2: groups of output channels, which all read x
//          | task 2      | task 3        }
//          +-------------+----------     } shares of the pixels, with a partial dw each
//
// Read next: cpu/conv2d_weight.cpp, cpu/conv2d_weight_turned.cpp
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "cpu/microkernel.h"

namespace lucida {

struct WeightPlan {
  // Enough for the cores of a desktop, and what will do.
  static constexpr int64_t wanted_tasks = 16, enough_tasks = 8;
  // Of a share. A partial dw is written and read once for each, but tasks have larger rectangles: on 14x14,
  // in two shares instead of one, 1x1 1024>256 is 1.03 times as fast and 3x3 256>256 1.04 times; with 392
  // pixels a share both are 0.93 times as fast.
  static constexpr int64_t least_pixels = 1500;

  int64_t panels, across, down, shares;

  int64_t tasks() const { return across * down * shares; }

  // Large groups first, smaller ones where those make too few tasks. Powers of two share evenly among 2, 4
  // and 8 threads.
  WeightPlan(int64_t channels, int64_t columns, int64_t pixels)
      : panels((columns + tile_width - 1) / tile_width) {
    using Least = std::pair<int64_t, int64_t>;  // panels and channels of a task
    for (const auto& [least_panels, least_channels] :
         {Least{16, 256}, Least{8, 256}, Least{4, 256}, Least{4, 128}}) {
      across = int64_t(std::bit_floor(uint64_t(std::clamp<int64_t>(panels / least_panels, 1, wanted_tasks))));
      down = std::clamp<int64_t>(wanted_tasks / across, 1, std::max<int64_t>(1, channels / least_channels));
      shares =
          std::clamp<int64_t>(wanted_tasks / (across * down), 1, std::max<int64_t>(1, pixels / least_pixels));
      if (tasks() >= enough_tasks)
        break;
    }
  }
};

}  // namespace lucida
