// Conv2d:  y[n,i,j,o] = b[o] + sum over r,s,c of x[n, i*stride - pad + r*dilation,
//                                                  j*stride - pad + s*dilation, c] * w[o,r,s,c]
// (x outside the image counts as 0; this is cross-correlation, as in every framework).
//
// Read next:  layers/conv2d.cpp               checks, derivative
//             cpu/ladder/conv2d_0_plain.cpp   the formula as loops, all three passes
//             cpu/conv2d.cpp                  the same as matrix products without copying x (indirect GEMM)
//             tests/conv2d_test.cpp
#pragma once
#include <string_view>

#include "engine/dispatch.h"
#include "engine/parameters.h"
#include "layers/normalized.h"

namespace lucida {

struct Random;

struct Conv2dOptions {
  int stride = 1, pad = 0, dilation = 1;  // the same in both directions
};

// Every size a convolution kernel needs. x is [n,h,w,c], weight [k,r,s,c], y [n,out_h(),out_w(),k].
struct Conv2dSizes {
  int n, h, w, c;  // images, height, width, input channels
  int k, r, s;     // output channels, kernel height and width
  int stride, pad, dilation;
  constexpr int out_h() const { return (h + 2 * pad - dilation * (r - 1) - 1) / stride + 1; }
  constexpr int out_w() const { return (w + 2 * pad - dilation * (s - 1) - 1) / stride + 1; }
  // rows of the product
  constexpr int64_t pixels() const { return int64_t{n} * out_h() * out_w(); }
  double flops() const { return 2.0 * double(pixels()) * k * r * s * double(c); }  // one pass
};

// What a backend provides, T being the type of x, y and the weight in use. Each pass is one matrix product of
// pixels() x k x (r*s*c) in some order.
template <class T>
struct Conv2dKernelsOf {
  using Element = T;
  static constexpr std::string_view name = "conv2d";
  void (*forward)(const Conv2dSizes&, const T* x, const T* weight, const float* bias /*or null*/, T* y);
  void (*backward_data)(const Conv2dSizes&, const T* dy, const T* weight, GradSlotOf<T> dx);
  void (*backward_weight)(const Conv2dSizes&, const T* x, const T* dy, GradSlot dweight);
  void (*backward_bias)(const Conv2dSizes&, const T* dy, GradSlot dbias);
  // Optional, the passes that read x: the same of a normalized x, the same bits. They return false, and do
  // nothing, for sizes where it is faster to write it down first.
  bool (*forward_normalized)(const Conv2dSizes&, NormalizedOf<T> x, const T* weight, const float* bias,
                             T* y) = nullptr;
  bool (*backward_weight_normalized)(const Conv2dSizes&, NormalizedOf<T> x, const T* dy,
                                     GradSlot dweight) = nullptr;
};
using Conv2dKernels = Conv2dKernelsOf<float>;

// What follows a convolution's sum before it is written: y = sum + bias (+ skip) (then relu).
struct Conv2dEpilogue {
  const float* bias = nullptr;
  const float* skip = nullptr;  // laid out like y, and not y itself
  bool relu = false;
};

// Inference: one weight meets many batches, so it is put once into the order in which the kernel reads it.
// `planned` are the sizes of the largest batch; a batch of `images` <= planned.n runs with what was prepared
// for it, in a workspace for as many threads as there are. Optional: a device without these kernels runs the
// plain ones.
struct Conv2dPreparedKernels {
  static constexpr std::string_view name = "conv2d_prepared";
  int64_t (*prepared_floats)(const Conv2dSizes& planned);
  void (*prepare)(const Conv2dSizes& planned, const float* weight, float* prepared);
  int64_t (*workspace_floats)(const Conv2dSizes& planned);
  void (*forward)(const Conv2dSizes& planned, int images, const float* x, const float* prepared,
                  const Conv2dEpilogue&, float* y, float* workspace);
};

// x [N,H,W,C], weight [O,R,S,C], bias [O] or undefined -> [N,out_h,out_w,O] of x's type. Weight and bias are
// f32 (the master weights); for a bf16 x a bf16 copy of the weight is made, and its gradient is f32 again.
// Throws Error when channels differ or the kernel does not fit into the padded image.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions);
Tensor conv2d(const Normalized& x, const Tensor& weight, const Tensor& bias, Conv2dOptions);

struct Conv2d {
  struct Options {
    int kernel = 1, stride = 1, pad = 0, dilation = 1;
    bool bias = false;
  };
  Conv2d(int in, int out, Options);
  Tensor operator()(const Tensor& x) const { return conv2d(x, weight, bias, options); }
  Tensor operator()(const Normalized& x) const { return conv2d(x, weight, bias, options); }
  void visit(Visitor& v);

  // He et al., "Delving deep into rectifiers", 2015, eq. 15, fan-out form: N(0, 2 / (k*r*s)).
  void initialise_he(const Random&, uint32_t item);
  // What PyTorch gives a new convolution: weight and bias U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
  void initialise_uniform(const Random&, uint32_t item);

  Tensor weight, bias;
  Conv2dOptions options;
};

}  // namespace lucida
