// Connected components of what is above a threshold, for every threshold from high to low in one pass.
//
// Pixels enter in falling order of value and join their neighbours' components (union-find), so 256
// thresholds cost little more than one.
//
// Read next:  train/components.cpp, train/localise.cpp (MaxBoxAcc), tests/localise_test.cpp
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace lucida {

struct Component {
  Box box;           // ends lie one past the last pixel, as everywhere
  int64_t area = 0;  // pixels
};

// levels: height x width, row-major. visit(t, components) is called for t = 254 ... 0 with the components
// of the pixels whose level is above t (8 neighbours), in no order that matters.
void for_each_threshold(std::span<const uint8_t> levels, int height, int width,
                        const std::function<void(int, std::span<const Component>)>& visit);

}  // namespace lucida
