// Conv2d, rung 8: cuBLAS, the yardstick of a matrix product.
//   math      P = the patches of x that the kernel sees, one row a pixel of y, [pixels, r*s*c] (im2col); then
//             y = P w^T,   dw = dy^T P,   dP = dy w  and  dx = each element's sum over its patches.
//             A 1x1 convolution with stride 1 is its own P.
//   mapping   unfold: one thread an element of P; fold: one thread an element of dx, which gathers
//   traffic   a 3x3 convolution writes and reads nine times x, and that is why it loses to a product which
//             makes the patches on the fly (rung 3). P is made for as many images at once as fit into 64 MiB.
//   roofline  memory for P of a 3x3, else the product (FMA, or tensor cores in tf32 and bf16)
//   weak spot P of one image must fit into memory; dP is f32, also of bf16 tensors, so that sums are f32
#include <algorithm>

#include "cuda/column_sums.cuh"
#include "cuda/matmul_cublas.h"
#include "cuda/spread_rows.cuh"
#include "layers/conv2d.h"

namespace lucida {
namespace {

constexpr int threads = 256;
constexpr int64_t workspace_bytes = 64 << 20;

bool is_product(const Conv2dSizes& z) {
  return z.r == 1 && z.s == 1 && z.stride == 1 && z.pad == 0;
}
__host__ __device__ int depth(const Conv2dSizes& z) {  // elements of a patch
  return z.r * z.s * z.c;
}

// patches[pixel][r][s][c] = x at the pixel's tap (r, s), 0 outside the image.
template <class T>
__global__ void unfold_kernel(Conv2dSizes z, int oh, int ow, int64_t count, const T* x, T* patches) {
  const int64_t at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= count)
    return;
  const int c = int(at % z.c), s = int(at / z.c % z.s), r = int(at / z.c / z.s % z.r);
  const int64_t pixel = at / depth(z);
  const int j = int(pixel % ow), i = int(pixel / ow % oh);
  const int h = i * z.stride - z.pad + r * z.dilation, w = j * z.stride - z.pad + s * z.dilation;
  const bool inside = h >= 0 && h < z.h && w >= 0 && w < z.w;
  patches[at] = inside ? x[((pixel / ow / oh * z.h + h) * z.w + w) * z.c + c] : narrow<T>(0);
}

// dx[n,h,w,c] = the sum of all elements of patches that unfold_kernel would copy from it.
template <class T>
__global__ void fold_kernel(Conv2dSizes z, int oh, int ow, int64_t count, const float* patches,
                            GradSlotOf<T> dx) {
  const int64_t at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= count)
    return;
  const int c = int(at % z.c), w = int(at / z.c % z.w), h = int(at / z.c / z.w % z.h);
  const int64_t n = at / z.c / z.w / z.h;
  float sum = 0;
  for (int r = 0; r < z.r; ++r)
    for (int s = 0; s < z.s; ++s) {
      const int i = h + z.pad - r * z.dilation, j = w + z.pad - s * z.dilation;
      if (i >= 0 && j >= 0 && i % z.stride == 0 && j % z.stride == 0 && i / z.stride < oh &&
          j / z.stride < ow)
        sum += patches[((n * oh + i / z.stride) * ow + j / z.stride) * depth(z) + (r * z.s + s) * z.c + c];
    }
  store_gradient(dx, at, sum);
}

// f(sizes of a few images, their first image, memory for their patches of T), until all had their turn.
template <class T, class F>
void in_chunks(const Conv2dSizes& z, F&& f) {
  const int64_t an_image = int64_t(z.out_h()) * z.out_w() * depth(z);
  const int at_once = int(std::clamp<int64_t>(workspace_bytes / (an_image * int64_t(sizeof(T))), 1, z.n));
  const Tensor patches = Tensor::empty({an_image * at_once}, current_device(), dtype_of<T>);
  for (int first = 0; first < z.n; first += at_once) {
    Conv2dSizes chunk = z;
    chunk.n = std::min(at_once, z.n - first);
    f(chunk, int64_t{first}, patches.data<T>());
  }
}

template <class T>
Matrix<T> unfold(const Conv2dSizes& z, const T* x, T* patches) {
  const int64_t count = z.pixels() * depth(z);
  launch("conv2d unfold", {dim3(unsigned(blocks_for(count, threads))), dim3(threads)}, unfold_kernel<T>, z,
         z.out_h(), z.out_w(), count, x, patches);
  return {patches, int(z.pixels()), depth(z)};
}

template <class T>
void forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const Matrix<T> w{weight, z.k, depth(z)};
  if (bias)
    spread_rows(z.pixels(), z.k, bias, y);
  if (is_product(z))
    return matmul_cublas<T>(Product::abt, {x, int(z.pixels()), z.c}, w, y, bias != nullptr);
  in_chunks<T>(z, [&](const Conv2dSizes& chunk, int64_t first, T* patches) {
    const Matrix<T> p = unfold(chunk, x + first * z.h * z.w * z.c, patches);
    matmul_cublas(Product::abt, p, w, y + first * z.out_h() * z.out_w() * z.k, bias != nullptr);
  });
}

template <class T>
void backward_data(const Conv2dSizes& z, const T* dy, const T* weight, GradSlotOf<T> dx) {
  const Matrix<T> w{weight, z.k, depth(z)};
  if (is_product(z))
    return matmul_cublas<T>(Product::ab, {dy, int(z.pixels()), z.k}, w, dx.data, dx.accumulate);
  in_chunks<float>(z, [&](const Conv2dSizes& chunk, int64_t first, float* patches) {
    const T* from = dy + first * z.out_h() * z.out_w() * z.k;
    matmul_cublas<T>(Product::ab, {from, int(chunk.pixels()), z.k}, w, patches, false);
    const int64_t count = int64_t{chunk.n} * z.h * z.w * z.c;
    const GradSlotOf<T> to{dx.data + first * z.h * z.w * z.c, dx.accumulate};
    launch("conv2d fold", {dim3(unsigned(blocks_for(count, threads))), dim3(threads)}, fold_kernel<T>, chunk,
           z.out_h(), z.out_w(), count, static_cast<const float*>(patches), to);
  });
}

template <class T>
void backward_weight(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dw) {
  if (is_product(z))
    return matmul_cublas<T>(Product::atb, {dy, int(z.pixels()), z.k}, {x, int(z.pixels()), z.c}, dw.data,
                            dw.accumulate);
  in_chunks<T>(z, [&](const Conv2dSizes& chunk, int64_t first, T* patches) {
    const Matrix<T> p = unfold(chunk, x + first * z.h * z.w * z.c, patches);
    const T* from = dy + first * z.out_h() * z.out_w() * z.k;
    matmul_cublas<T>(Product::atb, {from, int(chunk.pixels()), z.k}, p, dw.data, dw.accumulate || first > 0);
  });
}

template <class T>
void backward_bias(const Conv2dSizes& z, const T* dy, GradSlot dbias) {
  column_sums("conv2d backward bias", z.pixels(), z.k, dy, dbias);
}

template <class T>
const Conv2dKernelsOf<T> table{forward<T>, backward_data<T>, backward_weight<T>, backward_bias<T>};
const Provide<Conv2dKernels> provide{{this_device, 8, "cuBLAS on patches", &table<float>, Use::on_request}};
const Provide<Conv2dKernelsOf<Bf16>> provide_bf16{
    {this_device, 8, "cuBLAS on patches", &table<Bf16>, Use::on_request}};

}  // namespace
}  // namespace lucida
