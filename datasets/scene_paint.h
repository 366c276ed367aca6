// Colours, textures and backgrounds of the generated scenes.
//
// Everything random is asked of a Dice: Philox numbers by (seed, image), in order.
//
// Read next:  datasets/scene_paint.cpp, scenes.cpp
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "datasets/scene_shapes.h"
#include "engine/random.h"

namespace lucida {

class Dice {
 public:
  Dice(uint64_t seed, uint32_t image) : random_(seed, Stream::scene), image_(image) {}
  float uniform(float low, float high) { return random_.uniform(low, high, drawn_++, image_); }
  int below(int n) { return int(random_.below(uint32_t(n), drawn_++, image_)); }
  bool chance(float probability) { return uniform(0, 1) < probability; }

 private:
  Random random_;
  uint32_t image_;
  uint64_t drawn_ = 0;
};

struct Colour {
  float r = 0, g = 0, b = 0;  // 0 ... 1, as stored in the file
};
Colour mix(Colour a, Colour b, float t);  // t = 0: a
Colour scaled(Colour c, float factor);
float difference(Colour a, Colour b);  // 0 ... about 3, brightness counts most

Colour object_colour(Dice& dice);             // any
Colour object_colour(Dice& dice, int label);  // mostly the colour that is typical of the class

// Values in [-1, 1] that change smoothly over about 1/cells of the plane's unit.
class Noise {
 public:
  explicit Noise(Dice& dice);
  float operator()(float x, float y) const;

 private:
  static constexpr int side = 8;
  std::array<float, side * side> lattice_;
};

// Two colours in a pattern over coordinates of about -1 ... 1.
class Texture {
 public:
  Texture(Dice& dice, Colour first, Colour second);
  Colour at(Point p) const;

 private:
  enum Kind { plain, gradient, stripes, dots, checks, clouds, kinds };
  Kind kind_;
  Colour first_, second_;
  float cos_, sin_, period_;
  Noise noise_;
};

// size x size colours, row-major: a backdrop and clutter on it. `mean` is the backdrop's colour.
struct Background {
  Colour mean;
  std::vector<Colour> pixels;
};
Background paint_background(Dice& dice, int size);

}  // namespace lucida
