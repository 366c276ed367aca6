// Max pooling, 16 bytes of channels a lane. 3x3 windows at stride 2, those of ResNet, share what they have in
// common; others are taken one by one.
//   math      layers/pool.h; a NaN wins a window, and of several the last
//   forward   a thread walks down a strip of outputs of one column: of each row of three taps it keeps the
//             winner, which the window below needs too, so an output costs 2 rows of taps, not 3.
//             cuda/pool_winners.cuh: in bf16 a value and its place are one integer
//   backward  a thread walks down a strip of 2 x 2 input pixels. The windows that hold them are a 2 x 2 block
//             as well, whose lower two are the upper two of the next step. It gathers: no atomics
//   traffic   per input element of f32, minimal 5.25 bytes: forward 6.75 / 4 reads of x, 8 bytes in all;
//             backward 2.5 reads of dy and winner a window, 7.1 bytes in all
//   roofline  memory
//   weak spot the columns of neighbouring threads overlap: one of three taps is read twice (from the cache)
//   measured  (PTX simulator, 2 x 112 x 112 x 64, 3x3/2, 2026-11-25) all sectors full; bytes moved / minimum
//             and warp instructions a KB:
//                                    forward            backward
//                   f32              1.51,  59          1.34,  61
//                   bf16             1.48,  97          1.39,  93    (limit for memory: about 300)
//                   rung 0, f32      1.93, 298          2.07, 982
//                   rung 0, bf16     1.89, 612          3.10, 1270
#include "layers/pool.h"

#include "cuda/pool_winners.cuh"

namespace lucida {
namespace {

using namespace pool;
constexpr int strip = 4;

// The winner among the three taps of one row, of which the middle one is never in the padding. x points to
// the row's left tap.
template <class Winners, class T>
__device__ Winners best_of_three(const T* x, int channels, bool has_left, bool has_right) {
  const Winners middle = Winners::tap(x + channels, 1);
  Winners best = middle;
  if (has_left) {
    best = Winners::tap(x, 0);
    best.challenge(middle);
  }
  if (has_right)
    best.challenge(Winners::tap(x + 2 * channels, 2));
  return best;
}

// The winner of any window. `image` points to the channel in the image's first pixel.
template <int W, class T>
__device__ Best<W> best_of_window(const PoolSizes& p, const T* image, int top, int left) {
  const int r0 = max(0, -top), s0 = max(0, -left);
  Best<W> best = Best<W>::before(r0 * p.kernel + s0);
  for (int r = r0; r < min(p.kernel, p.h - top); ++r)
    for (int s = s0; s < min(p.kernel, p.w - left); ++s)
      best.challenge(Best<W>::tap(image + (int64_t(top + r) * p.w + left + s) * p.c, r * p.kernel + s));
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
  const int64_t x_row = int64_t(p.w) * p.c, y_row = int64_t(ow) * p.c;
  const T* const image = x + int64_t(n) * p.h * x_row + at.channel;
  const auto row = [&](const T* taps) {
    return best_of_three<Winners<T, W>>(taps, p.c, left >= 0, left + 2 < p.w);
  };
  int top = 2 * first - p.pad;
  const T* taps = image + top * x_row + left * p.c;
  int64_t to = ((int64_t(n) * oh + first) * ow + at.column) * p.c + at.channel;
  Winners<T, W> best = top < 0 ? Winners<T, W>::before(3 + (left < 0)) : row(taps);
  for (int i = first; i < first + strip && i < oh; ++i, top += 2, taps += 2 * x_row, to += y_row) {
    best.challenge(row(taps + x_row), 3);
    const bool inside = top + 2 < p.h;  // else this is the last output of the column
    const Winners<T, W> bottom = inside ? row(taps + 2 * x_row) : best;
    if (inside)
      best.challenge(bottom, 6);
    if (best.exact())
      best.store_at(y + to, winner + to);
    else
      best_of_window<W>(p, image, top, left).store_at(y + to, winner + to);
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
  const int64_t to = (int64_t(at.row) * ow + at.column) * p.c + at.channel;
  best_of_window<W>(p, x + int64_t(n) * p.h * p.w * p.c + at.channel, top, left)
      .store_at(y + to, winner + to);
}

// sum += v where a == b: a comparison and an addition that takes place or not, without a choice in between.
__device__ inline void add_where_equal(float& sum, unsigned a, unsigned b, float v) {
#ifdef __CUDACC__
  asm("{ .reg .pred same; setp.eq.u32 same, %1, %2; @same add.f32 %0, %0, %3; }"
      : "+f"(sum)
      : "r"(a), "r"(b), "f"(v));
#else
  sum += a == b ? v : 0;
#endif
}

// What a window sends back: dy, and which of its taps gets it.
template <int W>
struct Window {
  Channels<W> dy{};
  unsigned winner[W];

  // Window `at`, or one that sends nothing where there is none: no place is 255.
  template <class T>
  __device__ Window(bool exists, int64_t at, const T* gradients, const uint8_t* winners) {
    Bytes<W> places;
    for (unsigned& word : places.word) word = ~0u;
    if (exists) {
      dy = load<W>(gradients + at);
      places = load_bytes<W>(winners + at);
    }
    for (int k = 0; k < W; ++k) winner[k] = __byte_perm(places.word[k / 4], 0, 0x4440 + k % 4);
  }
  __device__ Channels<W> sent(int place) const {
    Channels<W> v;
    for (int k = 0; k < W; ++k) v.value[k] = winner[k] == unsigned(place) ? dy.value[k] : 0;
    return v;
  }
  __device__ void send(Channels<W>& to, int place) const {
    for (int k = 0; k < W; ++k) add_where_equal(to.value[k], winner[k], unsigned(place), dy.value[k]);
  }
};

// Without the padding, rows 2i, 2i+1, 2i+2 belong to window i: pixels in rows 2i+1 and 2i+2 see the windows i
// and i+1 only, and columns alike.
template <class T, int W>
__global__ void __launch_bounds__(threads)
    backward_strip_kernel(PoolSizes p, int strips, int columns, const T* dy, const uint8_t* winner,
                          GradSlotOf<T> dx) {
  p.kernel = 3;
  p.stride = 2;
  const int oh = p.out_h(), ow = p.out_w();
  const Place at = my_place<W>(columns, p.c);
  if (at.column >= columns)
    return;
  const int n = at.row / strips, j = at.column + p.pad - 1, left = 2 * j + 1 - p.pad;
  int i = at.row % strips * strip + p.pad - 1, top = 2 * i + 1 - p.pad;
  const int64_t from_row = int64_t(ow) * p.c, to_row = int64_t(p.w) * p.c;
  int64_t from = (int64_t(n) * oh + i) * from_row + int64_t(j) * p.c + at.channel;
  int64_t to = (int64_t(n) * p.h + top) * to_row + int64_t(left) * p.c + at.channel;
  const bool left_window = j >= 0 && j < ow, right_window = j + 1 < ow;
  Window<W> a(left_window && i >= 0 && i < oh, from, dy, winner);  // the upper two
  Window<W> b(right_window && i >= 0 && i < oh, from + p.c, dy, winner);
#pragma unroll 2
  for (const int end = i + strip; i < end && top < p.h; ++i, top += 2, to += 2 * to_row) {
    from += from_row;
    const Window<W> c(left_window && i + 1 < oh, from, dy, winner);
    const Window<W> d(right_window && i + 1 < oh, from + p.c, dy, winner);
    Channels<W> sum[2][2] = {{a.sent(4), a.sent(5)}, {a.sent(7), a.sent(8)}};
    b.send(sum[0][1], 3);
    c.send(sum[1][0], 1);
    b.send(sum[1][1], 6), c.send(sum[1][1], 2), d.send(sum[1][1], 0);
#pragma unroll
    for (int y = 0; y < 2; ++y)
#pragma unroll
      for (int x = 0; x < 2; ++x)
        if (top + y >= 0 && top + y < p.h && left + x >= 0 && left + x < p.w)
          add_to(dx, to + y * to_row + x * p.c, sum[y][x]);
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
      const bool exists = i < p.out_h() && j < p.out_w();
      const int64_t from = ((int64_t(n) * p.out_h() + i) * p.out_w() + j) * p.c + at.channel;
      Window<W>(exists, from, dy, winner).send(d, (h - i * p.stride) * p.kernel + w - j * p.stride);
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
