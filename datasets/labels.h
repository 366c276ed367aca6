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
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lucida {

// N x L, row-major. What a value means depends on whose labels they are:
//   the truth          1 present, 0 absent, -1 annotated as absent (sets that tell it from 'not annotated')
//   observed labels   +1 observed present, -1 observed absent, 0 not observed
struct LabelMatrix {
  int64_t rows = 0, columns = 0;
  std::vector<int8_t> values;

  LabelMatrix() = default;
  LabelMatrix(int64_t rows_, int64_t columns_, int8_t value = 0)
      : rows(rows_), columns(columns_), values(size_t(rows_ * columns_), value) {}
  int8_t* row(int64_t i) { return values.data() + i * columns; }
  const int8_t* row(int64_t i) const { return values.data() + i * columns; }
  int8_t& at(int64_t i, int64_t label) { return values[size_t(i * columns + label)]; }
  int8_t at(int64_t i, int64_t label) const { return values[size_t(i * columns + label)]; }
  bool empty() const { return values.empty(); }
  bool operator==(const LabelMatrix&) const = default;
};

// numpy.random.RandomState(seed) for an integer seed.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed);
  uint32_t next();                  // 32 random bits
  uint32_t interval(uint32_t max);  // in [0, max]; draws nothing when max is 0
  void shuffle(std::vector<int64_t>& x);
  std::vector<int64_t> permutation(int64_t n);  // 0 ... n-1 shuffled; n below 2^32

 private:
  void refill();
  std::array<uint32_t, 624> state_;
  size_t position_;
};

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
LabelMatrix observe(const LabelMatrix& labels, int64_t pos, int64_t neg, uint32_t seed);

}  // namespace lucida
