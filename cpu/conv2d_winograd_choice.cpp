// Conv2d, rung 2: which convolutions Winograd computes, and which are left to rung 1.
//
// A rule on the sizes alone, read from measurements once: a measurement on first use would give other bits on
// another day. How many times as fast as the direct kernels, c channels to c, pad 1, one thread's processor time,
// the best of 7 (Xeon with AVX-512, 2026-11-25; tests/conv2d_winograd_test.cpp prints the whole table):
//
//                              tiles   forward, c =              backward_data             backward_weight
//     images   map             (pixels)  16   64  256  512         16   64  256  512         16   64  256  512
//      1        7x7      4      (49)    1.0  1.0  0.8  0.8        1.0  1.1  0.9  0.9        1.3  0.9  1.0  0.9
//      2        7x7      8      (98)    1.4  0.9  1.0  0.9        2.2  1.1  1.0  1.1        2.2  1.4  1.3  1.1
//      4        7x7     16     (196)    1.3  1.4  1.3  1.2        1.7  1.7  1.4  1.4        1.4  1.9  1.7  1.4
//      1       14x14    16     (196)    1.1  1.3  1.2  1.2        1.6  1.6  1.4  1.4        1.4  1.7  1.5  1.4
//     16        7x7     64     (784)    1.6  1.7  1.5   -         1.9  2.0  1.7   -         2.0  2.3  2.0   -
//      1       28x28    49     (784)    1.8  2.0  1.8   -         2.2  2.4  2.1   -         2.4  2.6  2.5   -
//      2       28x28    98    (1568)    1.9  2.2   -    -         2.4  2.5   -    -         2.3  3.0   -    -
//
// So it depends on the tiles, hardly on the channels: transforming the weights costs as much as some tiles, as the
// products do.
//
//     tiles >= 12               below, the transform of the weights costs more than it saves
//     pixels >= 8 tiles         a tile's 36 multiplications save nothing if most of its 16 pixels are outside
//     c, k >= 16                fewer do not fill a vector
#include "cpu/conv2d_winograd.h"
#include "cpu/conv2d_winograd_tiles.h"

namespace lucida {

namespace {
constexpr int least_channels = 16, least_tiles = 12, least_pixels_of_tile = 8;
}

bool winograd_applies(const Conv2dSizes& z) {
  return z.r == winograd::taps && z.s == winograd::taps && z.stride == 1 && z.dilation == 1;
}

bool winograd_pays(const Conv2dSizes& z) {
  const int64_t tiles = winograd::Tiles{z.n, z.out_h(), z.out_w()}.count();
  return winograd_applies(z) && std::min(z.c, z.k) >= least_channels && tiles >= least_tiles &&
         z.pixels() >= least_pixels_of_tile * tiles;
}

}  // namespace lucida
