// Conv2d, rung 2: which convolutions Winograd computes, and which are left to rung 1.
//
// A rule on the sizes alone, read once from measurements: a measurement on first use would give other bits on
// another day. How many times as fast as the direct kernels it is, c channels to c, pad 1, processor time of
// one thread, the best of 7 (Xeon with AVX-512, 2026-11-25; tests/conv2d_winograd_test.cpp prints the whole
// table):
//
//                                  forward, c =        backward_data       backward_weight
//     images, map   pixels  tiles   16   64  256  512   16   64  256  512   16   64  256  512
//      1    7x7        49      4   1.0  0.8  0.8  0.8  0.8  1.0  0.9  1.0  1.0  1.0  1.0  0.7
//      2    7x7        98      8   1.0  0.9  1.0  0.9  1.5  1.1  1.1  1.1  1.5  1.3  1.3  1.3
//      4    7x7       196     16   1.9  1.3  1.2  1.2  2.0  1.6  1.7  1.5  2.3  1.7  1.5  1.3
//      1  14x14       196     16   1.7  1.3  1.2  1.1  1.9  1.6  1.6  1.5  1.9  1.6  1.8  1.4
//     16    7x7       784     64   1.5  1.7  1.6  1.5  1.7  2.0  1.9  1.6  2.1  2.2  2.0  1.7
//      1  28x28       784     49   1.5  2.1  2.0       1.8  2.3  2.3       2.3  2.5  2.3
//      1  56x56      3136    196   1.6  2.0            1.9  2.6            2.0  2.4
//     16    3x3       144     16   1.1  1.0  1.0  0.9  1.1  1.2  1.2  1.1  1.3  1.3  1.3  1.1
//     16    5x5       400     64   0.9  1.0  0.9       1.0  1.0  1.0       1.3  1.1  1.1
//     16    6x6       576     64   1.2  1.3  1.2       1.3  1.5  1.3       1.7  1.5  1.4
//
// Channels hardly matter: products and the transform of the weights both grow with c times k. So
//
//     pixels >= 150           of all images: fewer do not earn the transform of the weights
//     pixels >= 8 x tiles     36 multiplications a tile save too little where most of its pixels are outside
//     c, k >= 16              fewer do not fill a vector
#include "cpu/conv2d_winograd.h"
#include "cpu/conv2d_winograd_tiles.h"

namespace lucida {

namespace {
constexpr int least_channels = 16, least_pixels = 150, least_pixels_of_tile = 8;
}

bool winograd_applies(const Conv2dSizes& z) {
  return z.r == winograd::taps && z.s == winograd::taps && z.stride == 1 && z.dilation == 1;
}

bool winograd_pays(const Conv2dSizes& z) {
  const int64_t tiles = winograd::Tiles{z.n, z.out_h(), z.out_w()}.count();
  return winograd_applies(z) && std::min(z.c, z.k) >= least_channels &&
         z.pixels() >= std::max<int64_t>(least_pixels, least_pixels_of_tile * tiles);
}

}  // namespace lucida
