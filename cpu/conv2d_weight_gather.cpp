// Conv2d, rung 1, gradient of the weight: gathers a panel of x, the floats that some kernel positions read
// under each pixel of a block.
//
//   columns   | tap 0: depth floats | tap 1 | ...       a panel is cut into pieces, each inside one tap
//   panel              |  0  |  1   |  2  |
//
// Read next: cpu/conv2d_weight.cpp
#include <algorithm>
#include <vector>

#include "cpu/conv2d_taps.h"
#include "cpu/microkernel.h"

namespace lucida {
namespace {

// Pixels that all pieces of a panel go through before the next: their packed rows stay in the first-level
// cache, which a whole block does not. 7x7, 3 channels: 1.05 times as fast as with whole blocks.
constexpr int chunk_pixels = 32;

// The part of a tap's floats that a panel holds: from `offset`, `length` floats, at `at` of the panel's row.
struct Piece {
  int tap, offset, length, at;
};

std::vector<Piece> pieces_of(int column, int count, int depth) {
  std::vector<Piece> pieces;
  for (int at = 0; at < count;) {
    const int tap = (column + at) / depth, offset = (column + at) % depth;
    const int length = std::min(count - at, depth - offset);
    pieces.push_back({tap, offset, length, at});
    at += length;
  }
  return pieces;
}

// Less than a vector, by powers of two: as a loop, the compiler would call memmove.
template <int Part>
[[gnu::always_inline]] inline void copy_parts(const float* from, int length, float* to) {
  const int part = length & Part;
  if (part)
    std::memcpy(to, from, Part * sizeof(float));
  if constexpr (Part > 1)
    copy_parts<Part / 2>(from + part, length, to + part);
}

// The rows a piece is gathered from, `pixels` of them; behind them lie those up to `last`.
struct Rows {
  const float* const* address;
  int pixels, last;
};

// One kind of copy for all rows.
template <class Copy>
[[gnu::always_inline]] inline void copy_rows(const Rows& rows, const Piece& piece, float* to, int step,
                                             const Copy& copy) {
  for (int p = 0; p < rows.pixels; ++p, to += step) {
    // Rows of x lie further apart than the hardware's prefetcher follows.
    const float* ahead = rows.address[std::min(p + 12, rows.last)] + piece.offset;
    for (int i = 0; i < piece.length; i += 16) __builtin_prefetch(ahead + i);
    copy(rows.address[p] + piece.offset, to);
  }
}

void copy_piece(const Rows& rows, const Piece& piece, float* to, int step) {
  using namespace simd;
  const int length = piece.length;
  if (length == tile_width)
    copy_rows(rows, piece, to, step, [](const float* x, float* y) {
      unrolled<tile_vectors>([&](auto v) { store(y + v * lanes, load(x + v * lanes)); });
    });
  else if (length >= lanes)  // the last two vectors overlap
    copy_rows(rows, piece, to, step, [=](const float* x, float* y) {
      for (int i = 0; i + lanes < length; i += lanes) store(y + i, load(x + i));
      store(y + length - lanes, load(x + length - lanes));
    });
  else
    copy_rows(rows, piece, to, step, [=](const float* x, float* y) { copy_parts<lanes / 2>(x, length, y); });
}

}  // namespace

void gather_panel(const float* const* address, int64_t stride, int pixels, int depth, const Panel& panel,
                  float* packed) {
  const std::vector<Piece> pieces = pieces_of(panel.column, panel.count, depth);
  const int chunk = pieces.size() == 1 ? pixels : chunk_pixels;
  for (int p = 0; p < pixels; p += chunk)
    for (const Piece& piece : pieces)
      copy_piece({address + piece.tap * stride + p, std::min(chunk, pixels - p), pixels - 1 - p}, piece,
                 packed + int64_t{p} * panel.width + piece.at, panel.width);
  if (panel.count < panel.width)
    for (int p = 0; p < pixels; ++p)
      std::fill(packed + int64_t{p} * panel.width + panel.count, packed + int64_t{p + 1} * panel.width, 0.0f);
}

}  // namespace lucida
