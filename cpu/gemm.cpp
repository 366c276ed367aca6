#include "cpu/gemm.h"

#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr int64_t block_rows = tile_rows * 168;  // rows whose addresses are looked up together
constexpr int64_t split_rows = tile_rows * 64;   // with fewer rows a thread, columns are split instead

struct Chunk {
  std::vector<Segment> segments;
  int depth = 0;
};

// Channels in the outer loop and taps in the inner one: a chunk's taps read nearly the same part of A.
std::vector<Chunk> chunks_of(int taps, int depth) {
  const int pieces = (depth + chunk_depth - 1) / chunk_depth;
  std::vector<Chunk> chunks(1);
  for (int p = 0; p < pieces; ++p) {
    const int begin = int(int64_t{depth} * p / pieces), end = int(int64_t{depth} * (p + 1) / pieces);
    for (int t = 0; t < taps; ++t) {
      if (chunks.back().depth + end - begin > chunk_depth)
        chunks.emplace_back();
      chunks.back().segments.push_back({t, begin, end - begin});
      chunks.back().depth += end - begin;
    }
  }
  return chunks;
}

const float zero_row[tile_width] = {};

// All tiles of one block of rows under one panel of B.
void multiply_panel(const IndirectProduct& p, const Chunk& chunk, bool first_chunk, int column, int64_t rows,
                    const float* const* a, float* const* c, const float* packed) {
  const int width = panel_width(p.columns, column), count = std::min(width, p.columns - column);
  const MultiplyTile kernel = tile_kernel(tile_rows, width / simd::lanes);
  const float* const from = p.start ? p.start + column : zero_row;
  const float* const shared[tile_rows] = {from, from, from, from, from, from};
  const bool from_c = p.accumulate || !first_chunk;
  const bool past_caches = p.past_caches && chunk.depth == p.taps * p.depth && !p.accumulate;
  for (int64_t i = 0; i < rows; i += tile_rows) {
    const TileProduct tile{
        a + i, rows,   1,          chunk.segments, packed, from_c ? c + i : shared, from_c ? column : 0,
        c + i, column, past_caches};
    if (count == width)
      kernel(tile);
    else
      multiply_edge(kernel, tile, tile_rows, count);
  }
}

// Rows [first, last) times the columns [begin, end).
void multiply_block(const IndirectProduct& p, const std::vector<Chunk>& chunks, int64_t first, int64_t last,
                    int begin, int end) {
  alignas(64) float packed[chunk_depth * tile_width];
  const int64_t most = std::min(block_rows, (last - first + tile_rows - 1) / tile_rows * tile_rows);
  std::vector<const float*> a(size_t(most * p.taps));
  std::vector<float*> c(size_t(most), nullptr);
  for (int64_t row = first; row < last; row += block_rows) {
    const int64_t rows = std::min(block_rows, last - row);
    const int64_t padded = (rows + tile_rows - 1) / tile_rows * tile_rows;
    p.addresses(row, rows, padded, a.data(), c.data());
    for (const Chunk& chunk : chunks)
      for (int column = begin; column < end; column += tile_width) {
        const int width = panel_width(p.columns, column);
        float* to = packed;
        for (const Segment& segment : chunk.segments) {
          p.pack(segment, column, width, to);
          to += int64_t{segment.length} * width;
        }
        multiply_panel(p, chunk, &chunk == &chunks.front(), column, padded, a.data(), c.data(), packed);
      }
  }
  simd::fence();
}

}  // namespace

void multiply_edge(MultiplyTile kernel, TileProduct tile, int rows, int count) {
  alignas(64) float copy[tile_rows][tile_width];
  float* row[tile_rows];
  const size_t bytes = size_t(count) * sizeof(float);
  for (int r = 0; r < rows; ++r) {
    row[r] = copy[r];
    std::memcpy(copy[r], tile.start[r] + tile.start_column, bytes);
    std::fill(copy[r] + count, copy[r] + tile_width, 0.0f);
  }
  float* const* const c = tile.c;
  const int64_t column = tile.column;
  tile.start = tile.c = row;
  tile.start_column = tile.column = 0;
  kernel(tile);
  for (int r = 0; r < rows; ++r) std::memcpy(c[r] + column, copy[r], bytes);
}

// Rows are shared among the threads where there are enough, else the panels of B: a packed panel must meet
// many rows to be worth its packing.
void multiply(const IndirectProduct& p) {
  const std::vector<Chunk> chunks = chunks_of(p.taps, p.depth);
  const int64_t panels = (p.columns + tile_width - 1) / tile_width,
                tiles = (p.rows + tile_rows - 1) / tile_rows;
  const int64_t wanted = threads();
  const bool by_rows = p.rows >= wanted * split_rows;
  const int64_t column_parts = by_rows ? 1 : std::min(panels, wanted);
  const int64_t row_parts = std::min(tiles, by_rows ? wanted : (wanted + column_parts - 1) / column_parts);
  parallel_tasks(row_parts * column_parts, [&](int64_t task) {
    const int64_t i = task / column_parts, j = task % column_parts;
    multiply_block(p, chunks, tiles * i / row_parts * tile_rows,
                   std::min(p.rows, tiles * (i + 1) / row_parts * tile_rows),
                   int(panels * j / column_parts * tile_width),
                   int(std::min<int64_t>(p.columns, panels * (j + 1) / column_parts * tile_width)));
  });
}

}  // namespace lucida
