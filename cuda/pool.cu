// Max pooling, 16 bytes of channels a lane. 3x3 windows at stride 2, those of ResNet, share what they have in
// common; others are taken one by one.
//   math      layers/pool.h; a NaN wins a window, and of several the last
//   forward   a thread walks down a strip of outputs of one column: of each row of three taps it keeps the
//             winner, which the window below needs too, so an output costs 2 rows of taps, not 3
//   backward  a thread walks down a strip of 2 x 2 input pixels. The windows that hold them are a 2 x 2 block
//             as well, whose lower two are the upper two of the next step. It gathers: no atomics
//   traffic   per input element of f32, minimal 5.25 bytes: forward 6.75 / 4 reads of x, 8 bytes in all;
//             backward 2.5 reads of dy and winner a window, 7.1 bytes in all
//   roofline  memory
//   weak spot the columns of neighbouring threads overlap: one of three taps is read twice (from the cache)
//   measured  (PTX simulator, 2 x 112 x 112 x 64, 3x3/2, 2026-11) all sectors full; bytes moved / minimum and
//             warp instructions a KB:
//                                    forward            backward
//                   f32              1.51,  65          1.34,  87
//                   bf16             1.48, 116          1.39, 131    (limit for memory: about 300)
//                   rung 0, f32      1.93, 298          2.07, 982
//                   rung 0, bf16     1.89, 612          3.10, 1270
#include "layers/pool.h"

#include "cuda/pool_lanes.cuh"

namespace lucida {
namespace {

using namespace pool;
constexpr int strip = 4;

// The largest value so far and the tap where it was.
template <int W>
struct Best {
  Channels<W> v;
  int where[W];

  // Nothing yet: even if all taps are -infinity, `first` is one of them.
  static __device__ Best before(int first) {
    Best best;
    for (int k = 0; k < W; ++k) best.v.value[k] = -INFINITY, best.where[k] = first;
    return best;
  }
  __device__ void challenge(int k, float value, int place) {
    const bool wins = value > v.value[k] || value != value;  // a NaN wins and stays
    v.value[k] = wins ? value : v.value[k];
    where[k] = wins ? place : where[k];
  }
  __device__ void challenge(const Channels<W>& tap, int place) {
    for (int k = 0; k < W; ++k) challenge(k, tap.value[k], place);
  }
  __device__ void challenge(const Best& row, int offset) {
    for (int k = 0; k < W; ++k) challenge(k, row.v.value[k], row.where[k] + offset);
  }
};

template <class T, int W>
__device__ void store_best(const Best<W>& best, int64_t at, T* y, uint8_t* winner) {
  Bytes<W> places{};
  for (int k = 0; k < W; ++k) places.word[k / 4] |= unsigned(best.where[k]) << 8 * (k % 4);
  store(y + at, best.v);
  store_bytes(winner + at, places);
}

// The winner among the three taps of one row, of which the middle one is never in the padding. x points to
// the row's first pixel.
template <int W, class T>
__device__ Best<W> best_of_three(const PoolSizes& p, const T* x, int left) {
  const T* const tap = x + int64_t(left) * p.c;
  Best<W> best = Best<W>::before(left < 0);
  if (left >= 0)
    best.v = load<W>(tap);
  best.challenge(load<W>(tap + p.c), 1);
  if (left + 2 < p.w)
    best.challenge(load<W>(tap + 2 * p.c), 2);
  return best;
}

template <class T, int W>
__global__ void __launch_bounds__(threads)
    forward_strip_kernel(PoolSizes p, int strips, const T* x, T* y, uint8_t* winner) {
  p.kernel = 3;
  p.stride = 2;
  const int oh = p.out_h(), ow = p.out_w();
  const Place at = my_place<W>(ow, p.c);
  if (at.column >= ow)
    return;
  const int n = at.row / strips, first = at.row % strips * strip, left = 2 * at.column - p.pad;
  const T* image = x + int64_t(n) * p.h * p.w * p.c + at.channel;
  const auto row = [&](int h) { return best_of_three<W>(p, image + int64_t(h) * p.w * p.c, left); };
  int top = 2 * first - p.pad;
  Best<W> best = top < 0 ? Best<W>::before(3 + (left < 0)) : row(top);
  for (int i = first; i < first + strip && i < oh; ++i, top += 2) {
    best.challenge(row(top + 1), 3);
    const bool inside = top + 2 < p.h;  // else this is the last output of the column
    const Best<W> bottom = inside ? row(top + 2) : best;
    if (inside)
      best.challenge(bottom, 6);
    store_best(best, ((int64_t(n) * oh + i) * ow + at.column) * p.c + at.channel, y, winner);
    best = bottom;
  }
}

template <class T, int W>
__global__ void __launch_bounds__(threads)
    forward_window_kernel(PoolSizes p, const T* x, T* y, uint8_t* winner) {
  const int oh = p.out_h(), ow = p.out_w();
  const Place at = my_place<W>(ow, p.c);
  if (at.column >= ow)
    return;
  const int n = at.row / oh, top = at.row % oh * p.stride - p.pad, left = at.column * p.stride - p.pad;
  const int r0 = max(0, -top), s0 = max(0, -left);
  const T* const image = x + int64_t(n) * p.h * p.w * p.c + at.channel;
  Best<W> best = Best<W>::before(r0 * p.kernel + s0);
  for (int r = r0; r < min(p.kernel, p.h - top); ++r)
    for (int s = s0; s < min(p.kernel, p.w - left); ++s)
      best.challenge(load<W>(image + (int64_t(top + r) * p.w + left + s) * p.c), r * p.kernel + s);
  store_best(best, (int64_t(at.row) * ow + at.column) * p.c + at.channel, y, winner);
}

// What a window sends back: dy, and which of its taps gets it.
template <int W>
struct Window {
  Channels<W> dy;
  Bytes<W> winner;

  // dy of the channels whose winner is `place`
  __device__ float sent(int place, int k) const {
    const unsigned shift = 8 * (k % 4), byte = winner.word[k / 4] & 255u << shift;
    return byte == unsigned(place) << shift ? dy.value[k] : 0.0f;
  }
};

// Window (i, j) of image n, or one that sends nothing where there is none: no place is 255.
template <class T, int W>
__device__ Window<W> window_at(const PoolSizes& p, int n, int i, int j, int channel, const T* dy,
                               const uint8_t* winner) {
  if (i < 0 || i >= p.out_h() || j < 0 || j >= p.out_w()) {
    Window<W> none{};
    for (unsigned& word : none.winner.word) word = ~0u;
    return none;
  }
  const int64_t at = ((int64_t(n) * p.out_h() + i) * p.out_w() + j) * p.c + channel;
  return {load<W>(dy + at), load_bytes<W>(winner + at)};
}

// Without the padding, rows 2i, 2i+1, 2i+2 belong to window i: pixels in rows 2i+1 and 2i+2 see the windows i
// and i+1 only, and columns alike.
template <class T, int W>
__global__ void __launch_bounds__(threads)
    backward_strip_kernel(PoolSizes p, int strips, int columns, const T* dy, const uint8_t* winner,
                          GradSlotOf<T> dx) {
  p.kernel = 3;
  p.stride = 2;
  const Place at = my_place<W>(columns, p.c);
  if (at.column >= columns)
    return;
  const int n = at.row / strips, j = at.column + p.pad - 1, left = 2 * j + 1 - p.pad;
  const auto window = [&](int i, int column) {
    return window_at<T, W>(p, n, i, column, at.channel, dy, winner);
  };
  int i = at.row % strips * strip + p.pad - 1;
  Window<W> a = window(i, j), b = window(i, j + 1);  // the upper two
  for (const int end = i + strip; i < end && 2 * i + 1 - p.pad < p.h; ++i) {
    const Window<W> c = window(i + 1, j), d = window(i + 1, j + 1);
    const auto write = [&](int h, int w, auto sum) {
      if (h < 0 || h >= p.h || w < 0 || w >= p.w)
        return;
      Channels<W> v;
      for (int k = 0; k < W; ++k) v.value[k] = sum(k);
      add_to(dx, ((int64_t(n) * p.h + h) * p.w + w) * p.c + at.channel, v);
    };
    const int top = 2 * i + 1 - p.pad;
    write(top, left, [&](int k) { return a.sent(4, k); });
    write(top, left + 1, [&](int k) { return a.sent(5, k) + b.sent(3, k); });
    write(top + 1, left, [&](int k) { return a.sent(7, k) + c.sent(1, k); });
    write(top + 1, left + 1,
          [&](int k) { return a.sent(8, k) + b.sent(6, k) + c.sent(2, k) + d.sent(0, k); });
    a = c;
    b = d;
  }
}

template <class T, int W>
__global__ void __launch_bounds__(threads)
    backward_window_kernel(PoolSizes p, const T* dy, const uint8_t* winner, GradSlotOf<T> dx) {
  const Place at = my_place<W>(p.w, p.c);
  if (at.column >= p.w)
    return;
  const int n = at.row / p.h, h = at.row % p.h + p.pad, w = at.column + p.pad;
  Channels<W> d{};
  for (int i = max(0, (h - p.kernel + p.stride) / p.stride); i <= h / p.stride; ++i)
    for (int j = max(0, (w - p.kernel + p.stride) / p.stride); j <= w / p.stride; ++j) {
      const Window<W> window = window_at<T, W>(p, n, i, j, at.channel, dy, winner);
      const int place = (h - i * p.stride) * p.kernel + w - j * p.stride;
      for (int k = 0; k < W; ++k) d.value[k] += window.sent(place, k);
    }
  add_to(dx, (int64_t(at.row) * p.w + at.column) * p.c + at.channel, d);
}

bool shares_taps(const PoolSizes& p) {
  return p.kernel == 3 && p.stride == 2;
}

template <class T, int W>
void forward(const PoolSizes& p, const T* x, T* y, uint8_t* winner) {
  const int strips = int(blocks_for(p.out_h(), strip));
  if (shares_taps(p))
    launch("maxpool2d forward", grid_of(int64_t{p.n} * strips, p.out_w(), p.c, W), forward_strip_kernel<T, W>,
           p, strips, x, y, winner);
  else
    launch("maxpool2d forward", grid_of(int64_t{p.n} * p.out_h(), p.out_w(), p.c, W),
           forward_window_kernel<T, W>, p, x, y, winner);
}

template <class T, int W>
void backward(const PoolSizes& p, const T* dy, const uint8_t* winner, GradSlotOf<T> dx) {
  const int rows = (p.h + 2 - p.pad) / 2, columns = (p.w + 2 - p.pad) / 2;  // of 2 x 2 pixels
  const int strips = int(blocks_for(rows, strip));
  if (shares_taps(p))
    launch("maxpool2d backward", grid_of(int64_t{p.n} * strips, columns, p.c, W), backward_strip_kernel<T, W>,
           p, strips, columns, dy, winner, dx);
  else
    launch("maxpool2d backward", grid_of(int64_t{p.n} * p.h, p.w, p.c, W), backward_window_kernel<T, W>, p,
           dy, winner, dx);
}

template <class T>
void max_forward(const PoolSizes& p, const T* x, T* y, uint8_t* winner) {
  const bool vectors = channels_a_lane<T>(p.c, x, y, winner) > 1;
  (vectors ? forward<T, Pack<T>::size> : forward<T, 1>)(p, x, y, winner);
}
template <class T>
void max_backward(const PoolSizes& p, const T* dy, const uint8_t* winner, GradSlotOf<T> dx) {
  const bool vectors = channels_a_lane<T>(p.c, dy, winner, dx.data) > 1;
  (vectors ? backward<T, Pack<T>::size> : backward<T, 1>)(p, dy, winner, dx);
}

template <class T>
const MaxPoolKernelsOf<T> table{max_forward<T>, max_backward<T>};
const Provide<MaxPoolKernels> provide{{this_device, 1, "16 bytes a lane, shared taps", &table<float>}};
const Provide<MaxPoolKernelsOf<Bf16>> provide_bf16{
    {this_device, 1, "16 bytes a lane, shared taps", &table<Bf16>}};

}  // namespace
}  // namespace lucida
