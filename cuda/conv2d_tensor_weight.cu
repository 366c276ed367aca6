// Convolution on tensor cores, backward_weight: the kernel and its launches. What it does stands in
// cuda/conv2d_tensor_weight.cuh.
#include "cuda/conv2d_tensor_weight.cuh"
#include "cuda/tensor_operands.cuh"

namespace lucida::tensor {
namespace {

template <class T, int Rows, int Columns>
__global__ void __launch_bounds__(Block<Rows, Columns>::threads, Block<Rows, Columns>::blocks_an_sm)
    weight_kernel(const WeightProduct<T> p) {
  using B = Block<Rows, Columns>;
  auto& windows = shared<Windows>();
  auto* memory = dynamic_shared<unsigned char>();
  const int row_tile = p.column_tiles.quotient(int(blockIdx.x));
  const int first_row = row_tile * Rows;
  const int first_column = (int(blockIdx.x) - row_tile * int(p.column_tiles.d)) * Columns;
  const int share = p.tiles_a_split * tile_depth<T>;
  const int first = int(blockIdx.y) * share, end = std::min(first + share, p.pixels);
  WeightSource<T, B> source(p, windows, first_row, first_column, first, end);
  Accumulators sum;
  start<2>(sum, nullptr, 0, 0);
  run<T, B>(source, memory, (end - first + tile_depth<T> - 1) / tile_depth<T>, sum);

  const int row = first_row + B::warp_row(), column = first_column + B::warp_column();
  Results<float> out = p.partial.slot ? p.partial : p.out;
  if (p.partial.slot)
    out.slot.data += int64_t(blockIdx.y) * p.rows * p.columns;
  store<float, 2>(sum, out, column, [&](int i) { return row + i < p.rows ? row + i : -1; });
}

template <class T, int Rows, int Columns>
void launch_weight(WeightProduct<T> p, int splits) {
  using B = Block<Rows, Columns>;
  const int column_tiles = int(blocks_for(p.columns, Columns)), grid_w = int(p.grid_w.d),
            grid = int(p.grid_area.d);
  p.column_tiles = Divisor(column_tiles);
  p.step_image = B::threads / grid;
  p.step_v = B::threads % grid / grid_w;
  p.step_u = B::threads % grid_w;
  const dim3 blocks(unsigned(blocks_for(p.rows, Rows) * column_tiles), unsigned(splits));
  launch("conv2d backward weight tensor", {blocks, B::threads, B::shared_bytes},
         weight_kernel<T, Rows, Columns>, p);
}

template <class T>
void launch_weight(const WeightProduct<T>& p, TileSize tile, int splits) {
  if (tile == TileSize{128, 128})
    launch_weight<T, 128, 128>(p, splits);
  else if (tile == TileSize{256, 64})
    launch_weight<T, 256, 64>(p, splits);
  else if (tile == TileSize{64, 256})
    launch_weight<T, 64, 256>(p, splits);
  else
    launch_weight<T, 64, 64>(p, splits);
}

}  // namespace

template <class T>
void weight_product(const Conv2dSizes& z, const T* x, const T* dy, GradSlot dweight) {
  const Operand<T> image = padded_rows(x, int64_t{z.n} * z.h * z.w, z.c),
                   dys = padded_rows(dy, z.pixels(), z.k);
  const int channels = int(rounded_up(z.c, chunk<T>)), outputs = int(rounded_up(z.k, chunk<T>));
  const int columns = z.r * z.s * channels;
  const TileSize tile = tile_for(z.k, columns, weight_sizes);
  const Split split = split_of(tile.count(z.k, columns), blocks_for(z.pixels(), tile_depth<T>), 16);
  const bool direct = split.count == 1 && channels == z.c;
  Tensor partial;
  if (!direct)
    partial = Tensor::empty({split.count, z.k, columns}, current_device());
  const WeightProduct<T> p{.x = image.data,
                           .dy = dys.data,
                           .height = z.h,
                           .width = z.w,
                           .channels = channels,
                           .outputs = outputs,
                           .rows = z.k,
                           .columns = columns,
                           .taps_h = z.r,
                           .taps_w = z.s,
                           .stride = z.stride,
                           .pad = z.pad,
                           .dilation = z.dilation,
                           .grid_h = z.out_h(),
                           .grid_w = Divisor(z.out_w()),
                           .grid_area = Divisor(z.out_h() * z.out_w()),
                           .pixels = int(z.pixels()),
                           .tiles_a_split = split.tiles,
                           .out = {dweight, columns},
                           .partial = {{direct ? nullptr : partial.data(), false}, columns}};
  launch_weight(p, tile, split.count);
  if (!direct)
    add_splits(int64_t{z.k} * z.r * z.s, z.c, channels, split.count, partial.data(), dweight);
}

template void weight_product<float>(const Conv2dSizes&, const float*, const float*, GradSlot);
template void weight_product<Bf16>(const Conv2dSizes&, const Bf16*, const Bf16*, GradSlot);

}  // namespace lucida::tensor
