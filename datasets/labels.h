// Image-level labels, train/val splits, and which labels a partial-label experiment may see.
//
// Splits and observed labels equal those of the published partial-label code (Cole et al., "Multi-label
// learning from single positive labels", CVPR 2021, and what builds on it) bit for bit. That code draws from
// numpy.random.RandomState(seed), so its generator lives here: MT19937 (Matsumoto and Nishimura, 1998) with
// init_genrand seeding, integers by masked rejection, Fisher and Yates from the end. Everything else in
// Lucida uses engine/random.h.
//
// Read next:  datasets/labels.cpp, tests/labels_test.cpp (golden values), datasets/formatted.h (the files)
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace lucida {

// N x L. What a value means depends on whose labels they are:
//   the truth          1 present, 0 absent; in a sparse matrix -1 annotated as absent, 0 not annotated
//   observed labels   +1 observed present, -1 observed absent, 0 not observed
//
// Dense: every entry lies in `values`, row-major. Sparse: only the entries that are not 0, 3 bytes each, row
// after row: twenty million labels of millions of images times 5,000 classes take 60 MB instead of tens of
// gigabytes. at() and copy_row() serve both; row() and indexing `values` are for dense matrices. Counting
// 1 and -1 in `values` is right in both.
struct LabelMatrix {
  int64_t rows = 0, columns = 0;
  std::vector<int8_t> values;     // sparse: those of the listed entries
  std::vector<int64_t> starts;    // sparse: entries [starts[i], starts[i+1]) are those of row i; dense: empty
  std::vector<uint16_t> listed;   // sparse: the column of each entry, ascending within a row
  std::map<int64_t, int8_t> set;  // sparse: entries changed later, by i * columns + label; they count

  LabelMatrix() = default;
  LabelMatrix(int64_t rows_, int64_t columns_, int8_t value = 0)
      : rows(rows_), columns(columns_), values(size_t(rows_ * columns_), value) {}
  // Without rows yet; add_entry() and end_row() build it. Columns must be below 65,536.
  static LabelMatrix sparse_of(int64_t columns);

  bool sparse() const { return !starts.empty(); }
  bool empty() const { return values.empty() && !sparse(); }
  int8_t* row(int64_t i) { return const_cast<int8_t*>(std::as_const(*this).row(i)); }
  const int8_t* row(int64_t i) const;
  int8_t& at(int64_t i, int64_t label);  // sparse: the entry becomes a listed one
  int8_t at(int64_t i, int64_t label) const;
  template <class T>
  void copy_row(int64_t i, T* out) const;
  template <class F>
  void for_each(int64_t i, F&& f) const;  // f(label, value) for the entries of row i that are not 0

  void add_entry(int64_t label, int8_t value);  // to the row that is being built, labels ascending
  void end_row();
  void settle();  // sparse: entries of `set` become listed ones
  bool operator==(const LabelMatrix&) const = default;

 private:
  const int8_t* find(int64_t i, int64_t label) const;  // null: not listed
};

inline int8_t LabelMatrix::at(int64_t i, int64_t label) const {
  if (!sparse())
    return values[size_t(i * columns + label)];
  const int8_t* found = find(i, label);
  return found ? *found : int8_t{0};
}

inline int8_t& LabelMatrix::at(int64_t i, int64_t label) {
  if (!sparse())
    return values[size_t(i * columns + label)];
  const int8_t* found = find(i, label);
  return found ? const_cast<int8_t&>(*found) : set[i * columns + label];
}

template <class T>
void LabelMatrix::copy_row(int64_t i, T* out) const {
  if (!sparse()) {
    std::copy_n(row(i), columns, out);
    return;
  }
  std::fill_n(out, columns, T(0));
  for_each(i, [&](int64_t label, int8_t value) { out[label] = value; });
}

template <class F>
void LabelMatrix::for_each(int64_t i, F&& f) const {
  const auto call = [&](int64_t label, int8_t value) {
    if (value != 0)
      f(label, value);
  };
  if (!sparse()) {
    for (int64_t label = 0; label < columns; ++label) call(label, at(i, label));
    return;
  }
  for (auto e = size_t(starts[size_t(i)]); e < size_t(starts[size_t(i + 1)]); ++e) call(listed[e], values[e]);
  for (auto e = set.lower_bound(i * columns); e != set.end() && e->first < (i + 1) * columns; ++e)
    call(e->first - i * columns, e->second);
}

// numpy.random.RandomState(seed) for an integer seed.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed);
  static NumpyRandom as_python(uint32_t seed);  // random.Random(seed): the same generator, seeded otherwise
  uint32_t next();                              // 32 random bits
  double uniform();                             // in [0, 1), 53 random bits: random_sample(), random.random()
  uint32_t interval(uint32_t max);              // in [0, max]; draws nothing when max is 0
  void shuffle(std::vector<int64_t>& x);
  std::vector<int64_t> permutation(int64_t n);  // 0 ... n-1 shuffled; n below 2^32

 private:
  void refill();
  std::array<uint32_t, 624> state_;
  size_t position_;
};

// An empty matrix to fill row after row with put_row: dense with zeros, or sparse without rows, as `labels`.
LabelMatrix like(const LabelMatrix& labels);
// entries: (column, value), each column once; a sparse matrix takes rows in order only.
void put_row(LabelMatrix& to, int64_t i, std::vector<std::pair<int64_t, int8_t>>& entries);

struct Split {
  std::vector<int64_t> train, val;  // ascending, together 0 ... n-1
};

// r = permutation(n); val = the last round(val_frac * n) of r (halves to even, as numpy rounds), train the
// rest.
// Throws Error unless 0 <= val_frac <= 1.
Split split_train_val(int64_t n, double val_frac, uint32_t seed);

// Keeps `pos` random positives and `neg` random negatives of each row (-1: all of them) and hides the rest.
// labels: 1 is a positive, 0 or -1 a negative. One generator for the whole matrix, rows in order; negatives
// are drawn even when none is kept, so positives do not depend on `neg` within a row. Result: -1 / 0 / +1.
// Of a sparse matrix only listed entries are drawn from (the others are not known) and the result is sparse.
LabelMatrix observe(const LabelMatrix& labels, int64_t pos, int64_t neg, uint32_t seed);

// Each entry with probability p, one draw an entry, rows in order: observed where uniform() < p, absent ones
// as -1. Of a sparse matrix only listed entries are drawn.
LabelMatrix observe_entries(const LabelMatrix& labels, double p, uint32_t seed);

// Classes by how often they are annotated: 0 the rarest part ... parts - 1 the most frequent, parts of equal
// size; of equal counts the class that comes first is the rarer one.
std::vector<int> groups_by_count(const std::vector<int64_t>& counts, int parts);

}  // namespace lucida
