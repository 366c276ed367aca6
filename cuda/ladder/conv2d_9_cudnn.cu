// Conv2d, rung 9: cuDNN, the yardstick of a whole convolution.  NHWC tensors and OHWI weights as they lie.
//   math      the three passes of layers/conv2d.h; a bias lies in y before, where a kernel of ours wrote it
//   mapping   cuDNN's own
//   choice    every algorithm that gives the same bits in every run is timed once for each pass and shape;
//             the fastest is kept with its workspace size. Not Winograd's and Fourier's: they compute
//             something else than the sum of products, with other rounding, and spread a NaN over whole
//             tiles.
//   traffic   the algorithm's own; the workspace comes from our allocator for the length of a call
//   roofline  arithmetic, memory for thin layers: what rungs 3 and 4 are measured against
//   weak spot the first call of a shape takes as long as all algorithms together. For bf16 tensors cuDNN
//             gives a bf16 gradient of the weight, which is widened afterwards: one rounding more than ours.
#include <cudnn.h>

#include <array>
#include <map>
#include <tuple>

#include "cuda/column_sums.cuh"
#include "cuda/spread_rows.cuh"
#include "layers/cast.h"
#include "layers/conv2d.h"

namespace lucida {
namespace {

void check(cudnnStatus_t status, const char* what) {
  require(status == CUDNN_STATUS_SUCCESS, "cuDNN: ", what, ": ", cudnnGetErrorString(status));
}

// One a thread and device, made at first use: threads must not share them.
cudnnHandle_t handle() {
  thread_local std::map<cudaStream_t, cudnnHandle_t> handles;
  const cudaStream_t stream = compute_stream();
  cudnnHandle_t& h = handles[stream];
  if (!h) {
    check(cudnnCreate(&h), "starting");
    check(cudnnSetStream(h, stream), "choosing the stream");
  }
  return h;
}

// A convolution as cuDNN describes it. Kept for the life of the program, like its choice of algorithms.
struct Description {
  cudnnTensorDescriptor_t x, y;
  cudnnFilterDescriptor_t w;
  cudnnConvolutionDescriptor_t conv;
};

cudnnMathType_t allowed_math(cudnnDataType_t type) {
  if (type != CUDNN_DATA_FLOAT)
    return CUDNN_TENSOR_OP_MATH;
  return precision() == Precision::tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;  // the default takes tf32
}

Description describe(const Conv2dSizes& z, cudnnDataType_t type) {
  Description d;
  check(cudnnCreateTensorDescriptor(&d.x), "x");
  check(cudnnCreateTensorDescriptor(&d.y), "y");
  check(cudnnCreateFilterDescriptor(&d.w), "weight");
  check(cudnnCreateConvolutionDescriptor(&d.conv), "convolution");
  check(cudnnSetTensor4dDescriptor(d.x, CUDNN_TENSOR_NHWC, type, z.n, z.c, z.h, z.w), "x");
  check(cudnnSetTensor4dDescriptor(d.y, CUDNN_TENSOR_NHWC, type, z.n, z.k, z.out_h(), z.out_w()), "y");
  check(cudnnSetFilter4dDescriptor(d.w, type, CUDNN_TENSOR_NHWC, z.k, z.c, z.r, z.s), "weight");
  check(cudnnSetConvolution2dDescriptor(d.conv, z.pad, z.pad, z.stride, z.stride, z.dilation, z.dilation,
                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "convolution");
  check(cudnnSetConvolutionMathType(d.conv, allowed_math(type)), "kind of arithmetic");
  return d;
}

template <class Algorithm>
struct Plan {
  Description about;
  Algorithm algorithm;
  size_t workspace;
};

constexpr bool transforms(cudnnConvolutionFwdAlgo_t a) {
  return a == CUDNN_CONVOLUTION_FWD_ALGO_FFT || a == CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING ||
         a == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD || a == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED;
}
constexpr bool transforms(cudnnConvolutionBwdDataAlgo_t a) {
  return a >= CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT;  // it and those after it
}
constexpr bool transforms(cudnnConvolutionBwdFilterAlgo_t a) {
  return a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT || a >= CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD;
}

// The fastest of the algorithms that `find` has timed.
template <class Performance, class Find>
auto fastest(const Conv2dSizes& z, cudnnDataType_t type, Find&& find) {
  Plan<decltype(Performance::algo)> plan{describe(z, type), {}, 0};
  Performance tried[16];
  int count = 0;
  check(find(plan.about, 16, &count, tried), "trying algorithms");
  for (int i = 0; i < count; ++i)  // ascending times
    if (tried[i].status == CUDNN_STATUS_SUCCESS && tried[i].determinism == CUDNN_DETERMINISTIC &&
        !transforms(tried[i].algo)) {
      check(cudnnSetConvolutionMathType(plan.about.conv, tried[i].mathType), "kind of arithmetic");
      plan.algorithm = tried[i].algo;
      plan.workspace = tried[i].memory;
      return plan;
    }
  fail("cuDNN: no algorithm for this convolution that gives the same bits in every run");
}

// The plan of a pass, made at the first call with these sizes.
template <class Performance, class Find>
const auto& plan_for(const Conv2dSizes& z, cudnnDataType_t type, Find&& find) {
  using Key = std::tuple<cudaStream_t, cudnnDataType_t, Precision, std::array<int, 10>>;
  thread_local std::map<Key, Plan<decltype(Performance::algo)>> plans;
  const Key key{
      compute_stream(), type, precision(), {z.n, z.h, z.w, z.c, z.k, z.r, z.s, z.stride, z.pad, z.dilation}};
  const auto known = plans.find(key);
  return known != plans.end() ? known->second
                              : plans.emplace(key, fastest<Performance>(z, type, find)).first->second;
}

template <class T>
constexpr cudnnDataType_t type_of = sizeof(T) == 2 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;

Tensor workspace(size_t bytes) {
  return Tensor::empty({int64_t(bytes)}, current_device(), DType::u8);
}

constexpr float one = 1;

template <class T>
void forward(const Conv2dSizes& z, const T* x, const T* weight, const float* bias, T* y) {
  const auto find = [](const Description& d, int most, int* count, cudnnConvolutionFwdAlgoPerf_t* tried) {
    return cudnnFindConvolutionForwardAlgorithm(handle(), d.x, d.w, d.conv, d.y, most, count, tried);
  };
  const auto& plan = plan_for<cudnnConvolutionFwdAlgoPerf_t>(z, type_of<T>, find);
  const Tensor space = workspace(plan.workspace);
  const float old = bias ? 1.0f : 0.0f;
  if (bias)
    spread_rows(z.pixels(), z.k, bias, y);
  check(cudnnConvolutionForward(handle(), &one, plan.about.x, x, plan.about.w, weight, plan.about.conv,
                                plan.algorithm, space.data<char>(), plan.workspace, &old, plan.about.y, y),
        "forward");
}

template <class T>
void backward_data(const Conv2dSizes& z, const T* dy, const T* weight, GradSlotOf<T> dx) {
  const auto find = [](const Description& d, int most, int* count, cudnnConvolutionBwdDataAlgoPerf_t* tried) {
    return cudnnFindConvolutionBackwardDataAlgorithm(handle(), d.w, d.y, d.conv, d.x, most, count, tried);
  };
  const auto& plan = plan_for<cudnnConvolutionBwdDataAlgoPerf_t>(z, type_of<T>, find);
  const Tensor space = workspace(plan.workspace);
  const float old = dx.accumulate ? 1.0f : 0.0f;
  check(cudnnConvolutionBackwardData(handle(), &one, plan.about.w, weight, plan.about.y, dy, plan.about.conv,
                                     plan.algorithm, space.data<char>(), plan.workspace, &old, plan.about.x,
                                     dx.data),
        "backward data");
}

template <class T>
void backward_weight(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  const auto find = [](const Description& d, int most, int* count,
                       cudnnConvolutionBwdFilterAlgoPerf_t* tried) {
    return cudnnFindConvolutionBackwardFilterAlgorithm(handle(), d.x, d.y, d.conv, d.w, most, count, tried);
  };
  const auto& plan = plan_for<cudnnConvolutionBwdFilterAlgoPerf_t>(z, type_of<T>, find);
  const Tensor space = workspace(plan.workspace);
  const auto run = [&](float old, void* dw) {
    check(cudnnConvolutionBackwardFilter(handle(), &one, plan.about.x, x, plan.about.y, dy, plan.about.conv,
                                         plan.algorithm, space.data<char>(), plan.workspace, &old,
                                         plan.about.w, dw),
          "backward weight");
  };
  if constexpr (sizeof(T) == 4) {
    run(dweight.accumulate ? 1.0f : 0.0f, dweight.data);
  } else {
    const Tensor narrow = Tensor::empty({int64_t{z.k} * z.r * z.s * z.c}, current_device(), dtype_of<T>);
    run(0, narrow.data<T>());
    kernels_for<CastKernels>(current_device()).from_bf16(narrow.count(), narrow.data<T>(), dweight);
  }
}

template <class T>
void backward_bias(const Conv2dSizes& z, const T* dy, GradSlot dbias) {
  column_sums("conv2d backward bias", z.pixels(), z.k, dy, dbias);
}

template <class T>
const Conv2dKernelsOf<T> table{forward<T>, backward_data<T>, backward_weight<T>, backward_bias<T>};
const Provide<Conv2dKernels> provide{{this_device, 9, "cuDNN", &table<float>, Use::on_request}};
const Provide<Conv2dKernelsOf<Bf16>> provide_bf16{{this_device, 9, "cuDNN", &table<Bf16>, Use::on_request}};

}  // namespace
}  // namespace lucida
