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

int whole_vectors(int columns) {
  return (columns + simd::lanes - 1) / simd::lanes * simd::lanes;
}

void pack_panel(const IndirectProduct& p, const Chunk& chunk, int column, float* to) {
  const int width = panel_width(p.columns, column);
  for (const Segment& segment : chunk.segments) {
    p.pack(segment, column, width, to);
    to += int64_t{segment.length} * width;
  }
}

const float zero_row[tile_width] = {};

// Addresses of a block of rows; the last row is repeated up to whole tiles.
struct Rows {
  int64_t count = 0;
  std::vector<const float*> a;
  std::vector<float*> c;
  std::vector<const float*> add;

  void look_up(const IndirectProduct& p, int64_t first, int64_t rows) {
    count = (rows + tile_rows - 1) / tile_rows * tile_rows;
    p.addresses(first, rows, count, a.data(), c.data());
    for (int64_t i = 0; p.add && i < count; ++i)
      add[size_t(i)] = p.add + (first + std::min(i, rows - 1)) * p.columns;
  }
};

// All tiles of one block of rows under one panel of B.
void multiply_panel(const IndirectProduct& p, const Chunk& chunk, bool first_chunk, bool last_chunk,
                    int column, const Rows& rows, const float* packed) {
  const int width = panel_width(p.columns, column), count = std::min(width, p.columns - column);
  const MultiplyTile kernel = tile_kernel(tile_rows, width / simd::lanes);
  const float* const from = p.start ? p.start + column : zero_row;
  const float* const shared[tile_rows] = {from, from, from, from, from, from};
  const bool from_c = p.accumulate || !first_chunk;
  const bool past_caches = p.past_caches && chunk.depth == p.taps * p.depth && !p.accumulate;
  const float* const* const add = last_chunk && p.add ? rows.add.data() : nullptr;
  for (int64_t i = 0; i < rows.count; i += tile_rows) {
    float* const* const c = rows.c.data() + i;
    const TileProduct tile{rows.a.data() + i,       rows.count,          1, chunk.segments, packed,
                           from_c ? c : shared,     from_c ? column : 0, c, column,         past_caches,
                           add ? add + i : nullptr, last_chunk && p.relu};
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
  Rows rows{.a = std::vector<const float*>(size_t(most * p.taps)),
            .c = std::vector<float*>(size_t(most)),
            .add = std::vector<const float*>(p.add ? size_t(most) : 0)};
  for (int64_t row = first; row < last; row += block_rows) {
    rows.look_up(p, row, std::min(block_rows, last - row));
    const float* in_order = p.packed;
    for (const Chunk& chunk : chunks) {
      for (int column = begin; column < end; column += tile_width) {
        const float* b = in_order + int64_t{chunk.depth} * column;
        if (!p.packed) {
          pack_panel(p, chunk, column, packed);
          b = packed;
        }
        multiply_panel(p, chunk, &chunk == &chunks.front(), &chunk == &chunks.back(), column, rows, b);
      }
      in_order += p.packed ? int64_t{chunk.depth} * whole_vectors(p.columns) : 0;
    }
  }
  simd::fence();
}

}  // namespace

int64_t packed_floats(const IndirectProduct& p) {
  return int64_t{p.taps} * p.depth * whole_vectors(p.columns);
}

void pack_all(const IndirectProduct& p, float* packed) {
  for (const Chunk& chunk : chunks_of(p.taps, p.depth)) {
    const int64_t panels = (p.columns + tile_width - 1) / tile_width;
    parallel_tasks(panels, [&](int64_t i) {
      const int column = int(i) * tile_width;
      pack_panel(p, chunk, column, packed + int64_t{chunk.depth} * column);
    });
    packed += int64_t{chunk.depth} * whole_vectors(p.columns);
  }
}

void multiply_edge(MultiplyTile kernel, TileProduct tile, int rows, int count) {
  alignas(64) float copy[tile_rows][tile_width], added[tile_rows][tile_width];
  float* row[tile_rows];
  const float* add_row[tile_rows];
  const size_t bytes = size_t(count) * sizeof(float);
  for (int r = 0; r < rows; ++r) {
    row[r] = copy[r];
    std::memcpy(copy[r], tile.start[r] + tile.start_column, bytes);
    std::fill(copy[r] + count, copy[r] + tile_width, 0.0f);
    if (!tile.add)
      continue;
    add_row[r] = added[r];
    std::memcpy(added[r], tile.add[r] + tile.column, bytes);
    std::fill(added[r] + count, added[r] + tile_width, 0.0f);
  }
  float* const* const c = tile.c;
  const int64_t column = tile.column;
  tile.start = tile.c = row;
  tile.start_column = tile.column = 0;
  if (tile.add)
    tile.add = add_row;
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
