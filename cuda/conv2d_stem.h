// Convolutions of few channels, like the stem of a ResNet (7 x 7 over the 3 channels of an image): the sizes
// that forward and backward_weight share in bf16, tf32 and f32. No device code.
//
// Kernels that copy whole 16-byte chunks of a pixel need 4 (f32) or 8 channels (bf16) for 3, and 5/8 of what
// they multiply is padding. Here the depth is r*s*c = 147 as it is, rounded up once to 152:
//
//   run     a block takes output pixels that follow each other, whatever rows and images they lie in
//   patch   what the run reads of x: whole rows, with zeros around, copied to shared memory once
//   window  of a pixel: r rows of the patch, s*c elements each. Its elements lie at the same distances from
//           its first in every window, so a table (or a register) of distances finds them: no coordinates.
//
// Read next:  cuda/conv2d_stem.cuh               the patch is filled, windows are found
//             cuda/conv2d_tensor_stem.cu         forward on tensor cores
//             cuda/conv2d_stem_pack.cuh          and the weight as it reads it
//             cuda/conv2d_stem_weight.cuh        backward_weight, its two products in
//             cuda/conv2d_tensor_stem_weight.cu  and  cuda/conv2d_stem_weight.cu
#pragma once
#include "cuda/conv2d_tensor.h"

namespace lucida::stem {

constexpr int most_channels = 4;
constexpr int most_shared_bytes =
    96 << 10;                        // of a block: every GPU since sm_80 has them, most have them twice
constexpr int columns_a_block = 64;  // output channels

// Images stand on each other, each with its padding: row 0 of the stack is the first padding row of the first
// image. Output row v of image n begins at row n * image_rows + v * stride, and the rows of a run follow each
// other there even when it goes on in the next image.
struct Patch {
  int images, height, row;  // x: rows of `row` = w * c elements
  int pad, stride;          // in rows
  int image_rows, extent;   // of the stack: rows of an image, and of a window
  int margin, pitch;        // elements of a patch row: before those of x, and in all
  int first, step;  // where the window of output column 0 begins in its row, and on to the next column
  int rows;         // what a run needs at most
  int pixels;       // of y, all images
  tensor::Divisor out_w, out_h, by_image_rows;
  bool by_chunks;  // 16 bytes at a time: so rows of x, its address aside, are made
};

// The elements of a window in the order in which they are multiplied. A register of bf16 holds two. Pairs
// come first, neighbours in memory and 4-byte aligned in the window of every pixel; then what they leave
// over.
//
//   7 x 7 x 3, a row of 21:   0  [1 2] [3 4] ... [19 20]      70 pairs in all, 7 left over
//
// No pairs in f32, where neighbours are not stored together (dilation) or pixels an odd number of elements
// apart: then all are left over, in order.
struct Window {
  int rows, row;           // r; s * c
  int channels, dilation;  // dilation = 1: a row is s * c neighbours
  int first, pairs;        // of a row: the first element of its first pair, how many pairs
  int pitch;               // of the patch

  constexpr int count() const { return rows * row; }
  constexpr int all_pairs() const { return rows * pairs; }
  // The i-th as an index into [r, s, c]; -1 behind the last.
  constexpr int element(int i) const {
    if (i < 2 * all_pairs())
      return i / 2 / pairs * row + first + i / 2 % pairs * 2 + i % 2;
    const int left = row - 2 * pairs, j = i - 2 * all_pairs();
    if (j >= left * rows)
      return -1;
    const int e = j % left;
    return j / left * row + (e < first ? e : e + 2 * pairs);
  }
  // From a window's first element to this one, in the patch.
  constexpr int distance(int element) const {
    const int e = element % row;
    return (element / row * pitch + e / channels * channels) * dilation + e % channels;
  }
};

struct Plan {
  Patch patch;
  Window window;
};
// For runs of so many pixels; size: bytes of an element.
Plan plan_of(const Conv2dSizes&, int run, int size);

// ---- forward: depth in steps of 8 registers a lane, which hold 16 elements (bf16) or 8 ----

constexpr int forward_run = 256;

// An element of the window, to be multiplied by this share of its weight.
struct Slot {
  int element;
  float share;
};
// What slot i of so many holds when they take `items` in turn. An item that comes again halves its weight,
// which is exact. So nothing is multiplied by a zero that is no weight (it may be infinite), and no slot is
// empty and would have to be masked.
constexpr Slot taken_in_turn(int i, int items, int slots) {
  const int copies = 1 + (slots - 1 - i % items) / items, copy = i / items;
  return {i % items, 1.0f / float(1 << std::min(copy + 1, copies - 1))};
}

struct ForwardPlan : Plan {
  // Steps of pairs (f32: of 8 elements), 0 or at least 2; then, in bf16, of 8 elements one by one.
  int whole_steps, tail_steps;
  int paired, depth;  // slots that hold pairs, and all
  // A block's shared memory: the weight of its 64 channels in the order in which lanes hold it; for each step
  // and lane of four, the distances in bytes of the two words (in the tail: elements) that it reads; the
  // bias; where windows begin; the patch. What comes before the begins, `packed_bytes`, is laid out so in
  // global memory.
  int weight_bytes, bias_at, packed_bytes, patch_at, shared_bytes;

  constexpr Slot slot(int i) const {
    if (i < paired) {
      const Slot pair = taken_in_turn(i / 2, std::min(window.all_pairs(), paired / 2), paired / 2);
      return {window.element(2 * pair.element + i % 2), pair.share};
    }
    const int first = std::min(paired, 2 * window.all_pairs());
    const Slot single = taken_in_turn(i - paired, window.count() - first, depth - paired);
    return {window.element(first + single.element), single.share};
  }
  // The slot of word 0 or 1 that lane t reads in a step; size: bytes of an element.
  constexpr int slot_of(int step, int t, int word, int size) const {
    if (size == 4)
      return 8 * step + 4 * word + t;
    return step < whole_steps ? 16 * step + 8 * word + 2 * t : 8 * (step + whole_steps) + 2 * t + word;
  }
};
ForwardPlan forward_plan(const Conv2dSizes&, DType);
bool forward_here(const Conv2dSizes&, DType);

// ---- backward_weight: columns (elements of a window) in tiles of 8 ----

constexpr int weight_run = 128;

// Two tiles have the first and the second elements of 8 pairs. Elements that are left over follow, 8 for
// each such two tiles, in the first, so that a lane's columns of two tiles lie in one word; without pairs,
// 8 a tile.
struct Columns {
  Window window;
  int pair_tiles, tiles;
  constexpr int positions() const { return 8 * tiles; }
  constexpr int element(int position) const {  // an index into [r, s, c], or -1
    const int tile = position / 8, lane = position % 8;
    if (tile >= pair_tiles) {
      const int left = tile - pair_tiles;
      if (window.pairs > 0 && left % 2 == 1)
        return -1;
      return window.element(2 * window.all_pairs() + (window.pairs > 0 ? left / 2 : left) * 8 + lane);
    }
    const int pair = tile / 2 * 8 + lane;
    return pair < window.all_pairs() ? window.element(2 * pair + tile % 2) : -1;
  }
};
Columns columns_of(const Window&);
// On tensor cores a warp has up to 10 tiles, and multiplies 8 even if it has fewer; two warps share the
// columns. With FMAs a block has 152 columns.
constexpr int least_warp_tiles = 8, most_warp_tiles = 10, fma_columns = 152;

// Runs in shared memory: with two, in bf16, one is copied while the other is multiplied.
constexpr int weight_buffers(int size) {
  return 4 / size;
}
// The copies of a run: dy, where its windows begin, the patch.
int weight_stage_bytes(const Plan&, int size);
bool weight_here(const Conv2dSizes&, DType);

// In f32 with FMAs; the others are in cuda/conv2d_tensor.h.
void backward_weight(const Conv2dSizes&, const float* x, const float* dy, GradSlot dweight);

// What the passes multiply, padding included; weight_flops: on tensor cores.
double forward_flops(const Conv2dSizes&, DType);
double weight_flops(const Conv2dSizes&, DType);
double fma_weight_flops(const Conv2dSizes&);

}  // namespace lucida::stem
