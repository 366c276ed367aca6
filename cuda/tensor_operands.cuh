// What surrounds a product on tensor cores: operands in rows of whole 16-byte chunks, a weight transposed for
// backward_data, and the sum of partial results. Each moves a tensor once; none of it is needed for the
// channel counts of a ResNet but the transposed weight.
#pragma once
#include "cuda/tensor_store.cuh"

namespace lucida::tensor {

constexpr int helper_threads = 256;

// An operand as the kernels want it, and the memory it lies in when it is a copy.
template <class T>
struct Operand {
  Tensor copy;
  const T* data;
};

template <class T>
__global__ void pad_rows_kernel(int64_t rows, int columns, int padded, const T* x, T* y) {
  const int64_t i = (int64_t(blockIdx.x) * helper_threads + threadIdx.x) * chunk<T>, row = i / padded;
  if (row >= rows)
    return;
  const int column = int(i - row * padded);
  Pack<T> v;
  for (int k = 0; k < chunk<T>; ++k)
    v[k] = column + k < columns ? widen(x[row * columns + column + k]) : 0.0f;
  store_pack(y + i, v);
}

// x [rows][columns] with rows of rounded_up(columns) elements: x itself, or a copy with zeros behind.
template <class T>
Operand<T> padded_rows(const T* x, int64_t rows, int columns) {
  const int padded = int(rounded_up(columns, chunk<T>));
  if (padded == columns && aligned_for_packs(x))
    return {{}, x};
  Tensor copy = Tensor::empty({rows, padded}, current_device(), dtype_of<T>);
  launch("tensor pad rows",
         {dim3(unsigned(blocks_for(rows * padded / chunk<T>, helper_threads))), helper_threads},
         pad_rows_kernel<T>, rows, columns, padded, x, copy.data<T>());
  return {copy, copy.data<T>()};
}

// w [k][taps][c] -> [c][taps][padded k], both in whole chunks. A thread turns chunk x chunk elements of one
// tap in registers: 16 bytes of 8 (f32: 4) rows come in, 16 bytes of 8 rows go out. A warp has 4 chunks of c
// and 8 of k, so 64 neighbouring bytes are read and 128 written.
template <class T>
__device__ void turn(const uint4 (&in)[chunk<T>], uint4 (&out)[chunk<T>]) {
  const auto& from = reinterpret_cast<const unsigned(&)[chunk<T>][4]>(in);
  auto& to = reinterpret_cast<unsigned(&)[chunk<T>][4]>(out);
#pragma unroll
  for (int i = 0; i < chunk<T>; ++i)
#pragma unroll
    for (int word = 0; word < 4; ++word) {
      if constexpr (sizeof(T) == 2) {
        const unsigned low = from[2 * word][i / 2], high = from[2 * word + 1][i / 2];
        to[i][word] = i % 2 == 0 ? (low & 0xFFFF) | high << 16 : low >> 16 | (high & 0xFFFF0000u);
      } else {
        to[i][word] = from[word][i];
      }
    }
}
template <class T>
__global__ void transpose_weight_kernel(int k, int taps, int c, int padded, const T* w, T* turned) {
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  const int first_c = (int(blockIdx.x) * 4 + lane % 4) * chunk<T>;
  const int first_k = ((int(blockIdx.y) * (helper_threads / 32) + warp) * 8 + lane / 4) * chunk<T>;
  const int tap = int(blockIdx.z);
  if (first_c >= c || first_k >= padded)
    return;
  uint4 in[chunk<T>], out[chunk<T>];
#pragma unroll
  for (int i = 0; i < chunk<T>; ++i)
    in[i] = first_k + i < k
                ? *reinterpret_cast<const uint4*>(w + (int64_t(first_k + i) * taps + tap) * c + first_c)
                : uint4{0, 0, 0, 0};
  turn<T>(in, out);
#pragma unroll
  for (int i = 0; i < chunk<T>; ++i)
    *reinterpret_cast<uint4*>(turned + (int64_t(first_c + i) * taps + tap) * padded + first_k) = out[i];
}
template <class T>
Operand<T> transposed_weight(const T* w, int k, int taps, int c) {
  const Operand<T> rows = padded_rows(w, int64_t{k} * taps, c);
  const int padded = int(rounded_up(k, chunk<T>)), padded_c = int(rounded_up(c, chunk<T>));
  Tensor copy = Tensor::empty({padded_c, taps, padded}, current_device(), dtype_of<T>);
  const dim3 blocks(unsigned(blocks_for(padded_c, 4 * chunk<T>)),
                    unsigned(blocks_for(padded, helper_threads / 4 * chunk<T>)), unsigned(taps));
  launch("tensor transpose weight", {blocks, helper_threads}, transpose_weight_kernel<T>, k, taps, padded_c,
         padded, rows.data, copy.data<T>());
  return {copy, copy.data<T>()};
}

// out = or += the sum of `splits` partial results, in order; the rows of partial may be padded.
template <class T>
__global__ void add_splits_kernel(int64_t count, int columns, int padded, int splits, int64_t next,
                                  const float* partial, GradSlotOf<T> out) {
  const int64_t i = int64_t(blockIdx.x) * helper_threads + threadIdx.x;
  if (i >= count)
    return;
  const float* from = partial + i / columns * padded + i % columns;
  float sum = 0;
  for (int s = 0; s < splits; ++s) sum += from[s * next];
  store_gradient(out, i, sum);
}
// The same, 16 bytes a lane.
template <class T>
__global__ void add_split_packs_kernel(int64_t count, int splits, const float* partial, GradSlotOf<T> out) {
  const int64_t i = (int64_t(blockIdx.x) * helper_threads + threadIdx.x) * chunk<T>;
  if (i >= count)
    return;
  Pack<T> sum{};
  for (int s = 0; s < splits; ++s, partial += count)
    for (int k = 0; k < chunk<T>; k += 4) {
      const Pack<float> v = load_pack(partial + i + k);
      for (int e = 0; e < 4; ++e) sum[k + e] += v[e];
    }
  store_gradient(out, i, sum);
}
template <class T>
void add_splits(int64_t rows, int columns, int padded, int splits, const float* partial, GradSlotOf<T> out) {
  const int64_t count = rows * columns;
  if (columns == padded && count % chunk<T> == 0 && aligned_for_packs(out.data))
    launch("tensor add splits",
           {dim3(unsigned(blocks_for(count / chunk<T>, helper_threads))), helper_threads},
           add_split_packs_kernel<T>, count, splits, partial, out);
  else
    launch("tensor add splits", {dim3(unsigned(blocks_for(count, helper_threads))), helper_threads},
           add_splits_kernel<T>, count, columns, padded, splits, rows * padded, partial, out);
}

}  // namespace lucida::tensor
