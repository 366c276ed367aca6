// A class activation map laid over pixels, where its cells look.
//
// Every layer with stride 2 (7x7 pad 3, 3x3 pad 1, 1x1) is centred on the even pixels, so cell i of a map
// with stride s looks at pixel i * s of the network's input. Resizing maps as if cells were squares (cell i
// at (i + 1/2) s - 1/2) puts them half a cell, 15.5 pixels at stride 32, too far to the lower right, and a
// flipped image's map half a cell to the other side.
//
// Read next:  train/place.cpp, train/localise.h, train/heatmap.h (the same for pictures)
#pragma once
#include "train/heatmap.h"

namespace lucida {

struct View {         // what the network saw: the whole image as a square
  int side = 0;       // of the input, pixels
  int stride = 0;     // pixels a cell
  bool flip = false;  // the input was mirrored
};

enum class Filter { linear, cubic };  // cubic: Keys with a = -0.75, as OpenCV's INTER_CUBIC

// The map at each of width x height pixels that cover the same image. Beyond the last cell its value holds.
Map place(const Map& map, const View& view, int height, int width, Filter filter = Filter::linear);

}  // namespace lucida
