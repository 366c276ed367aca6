// Conv2d, rung 0: the formula of layers/conv2d.h as loops, one output element after another.
//
//   forward           y[n,i,j,o]  = b[o] + sum over r,s,c  x[n,h,w,c] * w[o,r,s,c]
//   backward_data     dx[n,h,w,c] =        sum over r,s,o  dy[n,i,j,o] * w[o,r,s,c]
//   backward_weight   dw[o,r,s,c] =        sum over n,i,j  dy[n,i,j,o] * x[n,h,w,c]
//   backward_bias     db[o]       =        sum over n,i,j  dy[n,i,j,o]
//
// In all of them image row h and output row i meet through kernel row r when h = i*stride - pad + r*dilation,
// columns w, j and s likewise. Sums are kept in double: this rung is what the others are compared with.
//
// Read next: cpu/conv2d.cpp (the same as matrix products), tests/conv2d_test.cpp
#include "engine/parallel.h"
#include "layers/conv2d.h"

namespace lucida {
namespace {

bool inside(int position, int size) {
  return position >= 0 && position < size;
}

// The output row (or column) that reads image position `at` through kernel position `tap`, or -1.
int reader_of(int at, int tap, const Conv2dSizes& z, int outputs) {
  const int shifted = at + z.pad - tap * z.dilation;
  return shifted >= 0 && shifted % z.stride == 0 && shifted / z.stride < outputs ? shifted / z.stride : -1;
}

void store(GradSlot slot, int64_t index, double value) {
  slot.data[index] = float(value) + (slot.accumulate ? slot.data[index] : 0.0f);
}

void forward(const Conv2dSizes& z, const float* x, const float* weight, const float* bias, float* y) {
  const int oh = z.out_h(), ow = z.out_w();
  parallel_for(z.pixels() * z.k, 64, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int o = int(at % z.k), j = int(at / z.k % ow), i = int(at / z.k / ow % oh);
      const int64_t n = at / z.k / ow / oh;
      double sum = bias ? bias[o] : 0.0;
      for (int r = 0; r < z.r; ++r)
        for (int s = 0; s < z.s; ++s) {
          const int h = i * z.stride - z.pad + r * z.dilation, w = j * z.stride - z.pad + s * z.dilation;
          if (!inside(h, z.h) || !inside(w, z.w))
            continue;
          const float* pixel = x + ((n * z.h + h) * z.w + w) * z.c;
          const float* tap = weight + ((int64_t{o} * z.r + r) * z.s + s) * z.c;
          for (int c = 0; c < z.c; ++c) sum += double(pixel[c]) * tap[c];
        }
      y[at] = float(sum);
    }
  });
}

void backward_data(const Conv2dSizes& z, const float* dy, const float* weight, GradSlot dx) {
  const int oh = z.out_h(), ow = z.out_w();
  const int64_t next_o = int64_t{z.r} * z.s * z.c;  // from one output channel's weights to the next one's
  parallel_for(int64_t{z.n} * z.h * z.w * z.c, 64, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int c = int(at % z.c), w = int(at / z.c % z.w), h = int(at / z.c / z.w % z.h);
      const int64_t n = at / z.c / z.w / z.h;
      double sum = 0;
      for (int r = 0; r < z.r; ++r)
        for (int s = 0; s < z.s; ++s) {
          const int i = reader_of(h, r, z, oh), j = reader_of(w, s, z, ow);
          if (i < 0 || j < 0)
            continue;
          const float* g = dy + ((n * oh + i) * ow + j) * z.k;
          const float* tap = weight + (int64_t{r} * z.s + s) * z.c + c;
          for (int o = 0; o < z.k; ++o) sum += double(g[o]) * tap[o * next_o];
        }
      store(dx, at, sum);
    }
  });
}

void backward_weight(const Conv2dSizes& z, const float* x, const float* dy, GradSlot dweight) {
  const int oh = z.out_h(), ow = z.out_w();
  parallel_for(int64_t{z.k} * z.r * z.s * z.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int c = int(at % z.c), s = int(at / z.c % z.s), r = int(at / z.c / z.s % z.r);
      const int o = int(at / z.c / z.s / z.r);
      double sum = 0;
      for (int64_t n = 0; n < z.n; ++n)
        for (int i = 0; i < oh; ++i)
          for (int j = 0; j < ow; ++j) {
            const int h = i * z.stride - z.pad + r * z.dilation, w = j * z.stride - z.pad + s * z.dilation;
            if (inside(h, z.h) && inside(w, z.w))
              sum += double(dy[((n * oh + i) * ow + j) * z.k + o]) * x[((n * z.h + h) * z.w + w) * z.c + c];
          }
      store(dweight, at, sum);
    }
  });
}

void backward_bias(const Conv2dSizes& z, const float* dy, GradSlot dbias) {
  parallel_for(z.k, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      double sum = 0;
      for (int64_t p = 0; p < z.pixels(); ++p) sum += dy[p * z.k + o];
      store(dbias, o, sum);
    }
  });
}

constexpr Conv2dKernels table{forward, backward_data, backward_weight, backward_bias};
const Provide<Conv2dKernels> provide{{Device::cpu, 0, "the formula as loops, sums in double", &table}};

}  // namespace
}  // namespace lucida
