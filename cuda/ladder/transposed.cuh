// A matrix of `lines` x `length` copied as length x lines, so that threads beside each other, which belong to
// neighbouring lines, read neighbouring addresses. One thread an element; reads are scattered, but a weight
// is read once here and once for every pixel afterwards.
#pragma once
#include "cuda/element.cuh"

namespace lucida {

template <class T>
__global__ void transpose_kernel(int64_t lines, int64_t length, const T* from, T* to) {
  const int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (i < lines * length)
    to[i] = from[i % lines * length + i / lines];
}

template <class T>
Tensor transposed(int64_t lines, int64_t length, const T* from) {
  const Tensor to = Tensor::empty({length, lines}, current_device(), dtype_of<T>);
  launch("transpose", {dim3(unsigned(blocks_for(lines * length, 256))), 256}, transpose_kernel<T>, lines,
         length, from, to.data<T>());
  return to;
}

}  // namespace lucida
