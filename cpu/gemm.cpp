#include "cpu/gemm.h"

#include "cpu/normalize_relu.h"
#include "engine/memory.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

constexpr int64_t block_rows = tile_rows * 32;  // rows whose addresses are looked up together
constexpr int64_t split_rows = tile_rows * 64;  // with fewer rows a thread, columns are split instead
constexpr int64_t even_rows = 2048;             // with fewer, where each thread gets as many panels
constexpr int64_t group_floats = 5 << 15;       // of packed B: a third of the second-level cache
constexpr int normalized_floats = 3 << 10;      // of A, in the first-level cache beside what is multiplied

// Rows that are normalized together: whole tiles, at most block_rows.
int64_t normalized_rows(int depth) {
  return std::clamp<int64_t>(normalized_floats / depth / tile_rows * tile_rows, tile_rows, block_rows);
}

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

// Columns whose B is packed together.
int group_columns(const Chunk& chunk) {
  return std::max(1, int(group_floats) / (chunk.depth * tile_width)) * tile_width;
}

// B of a chunk for the columns [begin, end), panel behind panel.
void pack_columns(const IndirectProduct& p, const Chunk& chunk, int begin, int end, float* to) {
  for (int column = begin; column < end; column += tile_width) {
    const int width = panel_width(p.columns, column);
    for (const Segment& segment : chunk.segments) {
      p.pack(segment, column, width, to);
      to += int64_t{segment.length} * width;
    }
  }
}

// Addresses of a block of rows; the last row is repeated up to whole tiles.
struct Rows {
  int64_t count = 0;
  std::vector<const float*> a;
  std::vector<float*> c;
  std::vector<const float*> add;

  Rows(const IndirectProduct& p, int64_t most)
      : a(size_t(most * p.taps + block_rows)), c(size_t(most)), add(size_t(p.add ? most : 0)) {}

  void look_up(const IndirectProduct& p, int64_t first, int64_t rows) {
    count = (rows + tile_rows - 1) / tile_rows * tile_rows;
    p.addresses(first, rows, count, a.data(), c.data());
    for (int64_t i = 0; p.in_order && i < block_rows; ++i)
      a[size_t(count + i)] = a[0] + (rows + i) * p.depth;  // what the last tiles fetch; that may be nobody's
    for (int64_t i = 0; p.add && i < count; ++i)
      add[size_t(i)] = p.add + (first + std::min(i, rows - 1)) * p.columns;
  }
};

// Where only `count` of the columns exist, a vector would reach past the end of C: tile by tile by way of a
// copy.
void multiply_edge(MultiplyTiles kernel, const TileProduct& all, int count) {
  alignas(64) float copy[tile_rows][tile_width] = {}, added[tile_rows][tile_width] = {};
  float* row[tile_rows];
  const float* add_row[tile_rows];
  for (int r = 0; r < tile_rows; ++r) {
    row[r] = copy[r];
    add_row[r] = added[r];
  }
  TileProduct tile = all;
  tile.rows = tile_rows;
  tile.c = row;
  tile.add = all.add ? add_row : nullptr;
  tile.column = tile.ahead = 0;
  for (int64_t i = 0; i < all.rows; i += tile_rows, tile.a += tile_rows) {
    for (int r = 0; r < tile_rows; ++r) {
      if (all.add_to_c)
        std::copy_n(all.c[i + r] + all.column, count, copy[r]);
      if (all.add)
        std::copy_n(all.add[i + r] + all.column, count, added[r]);
    }
    kernel(tile);
    for (int r = 0; r < tile_rows; ++r) std::copy_n(copy[r], count, all.c[i + r] + all.column);
  }
}

// All tiles under the columns [t.column, end): whole panels together, then what is left.
void multiply_columns(TileProduct t, int end) {
  t.panels = (end - int(t.column)) / tile_width;
  if (t.panels > 1)
    t.ahead = (t.ahead + t.panels - 1) / t.panels;
  if (t.panels > 0)
    tile_kernel(tile_vectors)(t);
  t.column += t.panels * tile_width;
  t.b += t.panels * t.b_step;
  t.start += t.panels * tile_width;
  t.panels = 1;
  const int count = end - int(t.column), vectors = (count + simd::lanes - 1) / simd::lanes;
  if (count == 0)
    return;
  if (count % simd::lanes == 0)
    tile_kernel(vectors)(t);
  else
    multiply_edge(tile_kernel(vectors), t, count);
}

// A rectangle of C, and room to pack a group of B.
struct Task {
  const IndirectProduct& p;
  const std::vector<Chunk>& chunks;
  int64_t first_row, last_row;
  int first_column, last_column;
  float* packed;
  Rows rows{p, std::min(block_rows, last_row - first_row + tile_rows)};
  std::vector<float> start = std::vector<float>(size_t(whole_vectors(p.columns)));
  std::vector<float> normalized =
      std::vector<float>(size_t(p.scale ? normalized_rows(p.depth) * p.depth : 0));

  // The tiles of a chunk under the columns [begin, end), whose packed B is at b.
  void multiply_group(const Chunk& chunk, int begin, int end, const float* b) {
    const bool first = &chunk == &chunks.front(), last = &chunk == &chunks.back();
    TileProduct t{};
    t.segments = chunk.segments;
    t.b = b;
    t.start = start.data() + begin;
    t.column = begin;
    t.add_to_c = p.accumulate || !first;
    t.b_step = int64_t{chunk.depth} * tile_width;
    t.past_caches = p.past_caches && first && last && !p.accumulate;
    // Later groups find a in the caches, and a chunk of a row is not what lies behind another one.
    t.ahead = p.in_order && chunks.size() == 1 && begin == first_column ? fetch_floats : 0;
    t.relu = p.relu && last;
    for (int64_t row = first_row; row < last_row; row += block_rows) {
      rows.look_up(p, row, std::min(block_rows, last_row - row));
      t.a = rows.a.data();
      t.next = t.a + tile_rows;
      t.c = rows.c.data();
      t.rows = t.tap_stride = rows.count;
      t.add = p.add && last ? rows.add.data() : nullptr;
      if (p.scale)
        multiply_normalized(t, end);
      else
        multiply_columns(t, end);
    }
  }

  // Some rows at a time are normalized into the first-level cache, where all panels of the group read them;
  // meanwhile as many rows behind them are fetched.
  void multiply_normalized(TileProduct t, int end) {
    const auto [tap, begin, length] = t.segments.front();
    const int64_t some = normalized_rows(p.depth);
    const float* address[block_rows];
    for (int64_t i = 0; i < some; ++i) address[i] = normalized.data() + i * p.depth;
    t.a = address;
    for (int64_t i = 0; i < rows.count; i += some) {
      t.rows = std::min(some, rows.count - i);
      t.c = rows.c.data() + i;
      t.add = t.add ? rows.add.data() + i : nullptr;
      t.next = rows.a.data() + i + t.rows;
      for (int64_t r = 0; r < t.rows; ++r)
        normalize_relu(length, rows.a[size_t(i + r)] + begin, p.scale + begin, p.shift + begin,
                       normalized.data() + r * p.depth + begin);
      multiply_columns(t, end);
    }
  }

  void run() {
    const float* in_order = p.packed;
    for (const Chunk& chunk : chunks) {
      std::fill(start.begin(), start.end(), 0.0f);
      if (p.start && &chunk == &chunks.front())
        std::copy_n(p.start, p.columns, start.data());
      const int group = group_columns(chunk);
      for (int column = first_column; column < last_column; column += group) {
        const int end = std::min(column + group, last_column);
        if (!p.packed)
          pack_columns(p, chunk, column, end, packed);
        multiply_group(chunk, column, end, p.packed ? in_order + int64_t{chunk.depth} * column : packed);
      }
      in_order += p.packed ? int64_t{chunk.depth} * whole_vectors(p.columns) : 0;
    }
    simd::fence();
  }
};

// How many parts rows and columns are split into.
struct Split {
  int64_t rows, columns;
};

// Rows are shared among the threads where there are enough, else the panels of B: a packed panel must meet
// many rows to be worth its packing. 7x7 layers of ResNet-50 take 1.04 to 1.06 times as long for each image
// with 392 rows as with 784 (1 thread, Xeon with AVX-512, 2026-11-25).
Split split(const IndirectProduct& p) {
  const int64_t wanted = threads(), panels = (p.columns + tile_width - 1) / tile_width,
                tiles = (p.rows + tile_rows - 1) / tile_rows;
  if (p.rows >= wanted * (panels % wanted == 0 ? even_rows : split_rows))
    return {wanted, 1};
  const int64_t columns = std::min(panels, wanted);
  return {std::min(tiles, (wanted + columns - 1) / columns), columns};
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
      pack_columns(p, chunk, column, std::min(column + tile_width, p.columns),
                   packed + int64_t{chunk.depth} * column);
    });
    packed += int64_t{chunk.depth} * whole_vectors(p.columns);
  }
}

void multiply(const IndirectProduct& p) {
  const std::vector<Chunk> chunks = chunks_of(p.taps, p.depth);
  const int64_t panels = (p.columns + tile_width - 1) / tile_width,
                tiles = (p.rows + tile_rows - 1) / tile_rows;
  const Split parts = split(p);
  int64_t room = 0;  // floats of a task
  for (const Chunk& c : chunks)
    room = std::max(room, int64_t{c.depth} * std::min(group_columns(c), whole_vectors(p.columns)));
  const MemoryLabel label("conv2d packed weights", Holds::workspaces);
  const auto memory =
      p.packed ? nullptr : allocate(Device{}, size_t(parts.rows * parts.columns * room) * sizeof(float));
  parallel_tasks(parts.rows * parts.columns, [&](int64_t task) {
    const int64_t i = task / parts.columns, j = task % parts.columns;
    Task{p,
         chunks,
         tiles * i / parts.rows * tile_rows,
         std::min(p.rows, tiles * (i + 1) / parts.rows * tile_rows),
         int(panels * j / parts.columns * tile_width),
         int(std::min<int64_t>(p.columns, panels * (j + 1) / parts.columns * tile_width)),
         static_cast<float*>(memory.get()) + task * room}
        .run();
  });
}

}  // namespace lucida
