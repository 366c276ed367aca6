// BatchNorm on the device: rows split over blocks, 16 bytes a lane, ReLU and the residual fused.
//
//   math      y = scale * x + shift (+ skip) (then relu);  dx = a * g + b * x + c,  dskip = g
//             statistics and sums of g: cuda/batchnorm_sums.cuh, statistics of bf16: cuda/batchnorm_gram.cuh;
//             all formulas: layers/batchnorm.h
//   mapping   128 bytes of a row and a piece of the rows a block: cuda/batchnorm_slice.cuh
//   traffic   forward 2 reads + 1 write (+ 1 read of skip), backward 2 + 2 reads - x, dy - and 1 write;
//             where relu follows a residual 3 + 3 reads - x, y, dy - and 2 writes, dx and dskip
//   roofline  memory. Per element 2 to 5 float operations for 8 to 16 bytes: instructions are a tenth of what
//             could be issued in the same time in f32, a third in bf16, whose halves are widened one by one.
//             64 x 56 x 56 x 256 in f32 (205 MB) costs 101 us a pass on an A100 (2.04 TB/s), 61 us on an H100
//   weak spot the passes read x again from memory although the kernel before had it in registers: the
//             convolution could add up the statistics in its epilogue (forward 1 read + 1 write), the
//             gradient of the next convolution the sums of g
#include "cuda/batchnorm_gram.cuh"
#include "cuda/batchnorm_merge.cuh"

namespace lucida {
namespace {

using namespace batchnorm_slice;
constexpr int step_rows = 8;  // a thread has under way: 8 x 16 bytes x 128 threads = 16 KiB a block, operand

template <class T, int W, bool Skip, bool Relu>
__global__ void __launch_bounds__(threads)
    normalize_kernel(Sizes<T> z, int64_t piece_rows, const T* x, const float* scale, const float* shift,
                     const T* skip, T* y) {
  struct Smem {
    SliceVector<W> scale, shift;
  };
  Smem& s = shared<Smem>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  s.scale.fill(scale, p.slice, z.channels);
  s.shift.fill(shift, p.slice, z.channels);
  __syncthreads();
  const Lane<W> a = s.scale.mine(), b = s.shift.mine();
  every_step<step_rows>(p, [&](auto rows, int64_t i) {
    Raw<T, W> in[step_rows];
    [[maybe_unused]] Raw<T, W> added[step_rows];
    for (int r = 0; r < step_rows; ++r)
      if (r < rows) {
        in[r] = load_raw<W>(x + i + r * p.hop);
        if constexpr (Skip)
          added[r] = load_raw<W>(skip + i + r * p.hop);
      }
    for (int r = 0; r < step_rows; ++r)
      if (r < rows) {
        Lane<W> v = in[r].widened();
        for (int k = 0; k < W; ++k) v[k] = a[k] * v[k] + b[k];
        if constexpr (Skip)
          v = plus(v, added[r].widened());
        if constexpr (Relu)
          for (int k = 0; k < W; ++k) v[k] = v[k] < 0 ? 0 : v[k];  // a NaN stays one
        store(y + i + r * p.hop, v);
      }
  });
}

template <int W, class T>
__device__ void store_gradient_lane(GradSlotOf<T> slot, int64_t i, Lane<W> v) {
  store(slot.data + i, slot.accumulate ? plus(v, load<W>(slot.data + i)) : v);
}

template <class T, int W, Mask M>
__global__ void __launch_bounds__(threads, 5)  // without the 5 ptxas spills at W = 1 to fit 16 blocks
    apply_kernel(Sizes<T> z, int64_t piece_rows, const T* x, ReluMaskOf<T> relu, const T* dy, const float* a,
                 const float* b, const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  struct Smem {
    SliceVector<W> a, b, c;
    SliceMask<W, M> mask;
  };
  Smem& s = shared<Smem>();
  const Place<W> p(z.rows, z.channels, piece_rows);
  s.a.fill(a, p.slice, z.channels);
  s.b.fill(b, p.slice, z.channels);
  s.c.fill(c, p.slice, z.channels);
  s.mask.fill(relu, p.slice, z.channels);
  __syncthreads();
  const Lane<W> ka = s.a.mine(), kb = s.b.mine(), kc = s.c.mine();
  const LaneMask<W, M> mask = s.mask.lane();
  every_step<step_rows>(p, [&](auto rows, int64_t i) {
    for (int r = 0; r < step_rows; ++r)
      if (r < rows) {
        const int64_t at = i + r * p.hop;
        Lane<W> v{};
        if (M == Mask::x || dx)
          v = load<W>(x + at);
        const Lane<W> g = mask(load<W>(dy + at), v, relu.y + at);
        if (dx) {
          for (int k = 0; k < W; ++k) v[k] = ka[k] * g[k] + (kb[k] * v[k] + kc[k]);
          store_gradient_lane<W>(dx, at, v);
        }
        if (dskip)
          store_gradient_lane<W>(dskip, at, g);
      }
  });
}

// One step a block, as long as a grid has room for so many.
template <int W>
int64_t one_step(int64_t rows) {
  constexpr int64_t step = step_rows * Slice<W>::row_lanes;
  return blocks_for(rows, step * most_pieces) * step;
}

template <class T>
void statistics(Sizes<T> z, const T* x, float* mean, float* var) {
  with_width<T>(z.channels, aligned_for_packs(x), [&](auto width) {
    constexpr int W = width;
    const int64_t rows = W == 8 ? gram_rows : piece_rows<W>(z.rows, z.channels);
    const int64_t pieces = blocks_for(z.rows, rows);
    const Tensor sums = pieces_of(pieces, z.channels);
    if constexpr (W == 8)
      launch("batchnorm statistics", gram_grid(z.rows, z.channels), gram_kernel, z, x, sums.data());
    else
      launch("batchnorm statistics", grid_for<W>(z.rows, z.channels, rows), moments_kernel<T, W>, z, rows, x,
             sums.data());
    merge_pieces("batchnorm statistics, pieces",
                 MergeMoments{z.rows, rows, z.channels, sums.data(), mean, var}, pieces);
  });
}

template <class T>
void reduce(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* mean, const float* rstd,
            float* sum_dy, float* sum_dy_xhat) {
  with_width<T>(z.channels, aligned_for_packs(x, mask.y, dy, mean, mask.scale, mask.shift), [&](auto width) {
    constexpr int W = width;
    const int64_t rows = piece_rows<W>(z.rows, z.channels), pieces = blocks_for(z.rows, rows);
    const Tensor sums = pieces_of(pieces, z.channels);
    with_mask(mask, [&](auto kind) {
      launch("batchnorm reduce", grid_for<W>(z.rows, z.channels, rows), reduce_kernel<T, W, kind>, z, rows, x,
             mask, dy, mean, sums.data());
    });
    merge_pieces("batchnorm reduce, pieces", MergeSums{z.channels, sums.data(), rstd, sum_dy, sum_dy_xhat},
                 pieces);
  });
}

template <class T>
void normalize(Sizes<T> z, const T* x, const float* scale, const float* shift, const T* skip, bool relu,
               T* y) {
  with_width<T>(z.channels, aligned_for_packs(x, y, skip, scale, shift), [&](auto width) {
    constexpr int W = width;
    const auto kernel =
        skip ? (relu ? normalize_kernel<T, W, true, true> : normalize_kernel<T, W, true, false>)
             : (relu ? normalize_kernel<T, W, false, true> : normalize_kernel<T, W, false, false>);
    const int64_t rows = one_step<W>(z.rows);
    launch("batchnorm normalize", grid_for<W>(z.rows, z.channels, rows), kernel, z, rows, x, scale, shift,
           skip, y);
  });
}

template <class T>
void apply(Sizes<T> z, const T* x, ReluMaskOf<T> mask, const T* dy, const float* a, const float* b,
           const float* c, GradSlotOf<T> dx, GradSlotOf<T> dskip) {
  const bool aligned = aligned_for_packs(x, mask.y, dy, dx.data, dskip.data) &&
                       aligned_for_packs(a, b, c, mask.scale, mask.shift);
  with_width<T>(z.channels, aligned, [&](auto width) {
    constexpr int W = width;
    const int64_t rows = one_step<W>(z.rows);
    with_mask(mask, [&](auto kind) {
      launch("batchnorm apply", grid_for<W>(z.rows, z.channels, rows), apply_kernel<T, W, kind>, z, rows, x,
             mask, dy, a, b, c, dx, dskip);
    });
  });
}

template <class T>
const auto table = batchnorm_channels::table_of<T>(statistics<T>, normalize<T>, reduce<T>, apply<T>);
const Provide<BatchNormKernelsOf<float>> provide{
    {this_device, 2, "rows split over blocks, 16 bytes a lane, one read for mean and variance",
     &table<float>}};
const Provide<BatchNormKernelsOf<Bf16>> provide_bf16{
    {this_device, 2, "rows split over blocks, 16 bytes a lane, one read for mean and variance",
     &table<Bf16>}};

}  // namespace
}  // namespace lucida
