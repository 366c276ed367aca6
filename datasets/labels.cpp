#include "datasets/labels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "engine/error.h"

namespace lucida {

NumpyRandom::NumpyRandom(uint32_t seed) : position_(624) {
  state_[0] = seed;
  for (uint32_t i = 1; i < state_.size(); ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

void NumpyRandom::refill() {
  constexpr size_t n = 624, m = 397;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % n] & 0x7fffffffu);
    state_[i] = state_[(i + m) % n] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  position_ = 0;
}

uint32_t NumpyRandom::next() {
  if (position_ == state_.size())
    refill();
  uint32_t y = state_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint32_t NumpyRandom::interval(uint32_t max) {
  if (max == 0)
    return 0;
  const uint32_t mask = ~uint32_t{0} >> std::countl_zero(max);
  uint32_t v;
  do v = next() & mask;
  while (v > max);
  return v;
}

void NumpyRandom::shuffle(std::vector<int64_t>& x) {
  for (size_t i = x.size(); i-- > 1;) std::swap(x[i], x[interval(uint32_t(i))]);
}

std::vector<int64_t> NumpyRandom::permutation(int64_t n) {
  require(n >= 0 && n < int64_t{1} << 32, "permutation: n must be in [0, 2^32), got ", n);
  std::vector<int64_t> x(static_cast<size_t>(n));
  std::iota(x.begin(), x.end(), int64_t{0});
  shuffle(x);
  return x;
}

Split split_train_val(int64_t n, double val_frac, uint32_t seed) {
  require(val_frac >= 0 && val_frac <= 1, "the validation fraction must be in [0, 1], got ", val_frac);
  const auto r = NumpyRandom(seed).permutation(n);
  const auto n_val = int64_t(std::nearbyint(val_frac * double(n)));  // default rounding: halves to even
  Split split;
  split.train.assign(r.begin(), r.end() - n_val);
  split.val.assign(r.end() - n_val, r.end());
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.val.begin(), split.val.end());
  return split;
}

LabelMatrix observe(const LabelMatrix& labels, int64_t pos, int64_t neg, uint32_t seed) {
  require(pos >= -1 && neg >= -1, "observe: pos and neg must be -1 (all) or a count, got pos=", pos,
          " neg=", neg);
  LabelMatrix observed(labels.rows, labels.columns);
  NumpyRandom random(seed);
  std::vector<int64_t> positives, negatives;
  const auto keep = [&](int64_t row, std::vector<int64_t>& columns, int64_t count, int8_t value) {
    random.shuffle(columns);
    if (count < 0 || count > int64_t(columns.size()))
      count = int64_t(columns.size());
    for (int64_t k = 0; k < count; ++k) observed.at(row, columns[size_t(k)]) = value;
  };
  for (int64_t i = 0; i < labels.rows; ++i) {
    positives.clear();
    negatives.clear();
    for (int64_t c = 0; c < labels.columns; ++c) {
      const int value = labels.at(i, c);
      require(value >= -1 && value <= 1, "observe: row ", i, " column ", c, " is ", value,
              ", expected 1 (present), 0 or -1 (absent)");
      (value == 1 ? positives : negatives).push_back(c);
    }
    keep(i, positives, pos, 1);
    keep(i, negatives, neg, -1);
  }
  return observed;
}

}  // namespace lucida
