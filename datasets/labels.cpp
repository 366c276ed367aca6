#include "datasets/labels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "engine/error.h"

namespace lucida {

LabelMatrix LabelMatrix::sparse_of(int64_t columns) {
  require(columns < int64_t{1} << 16, "labels: a sparse matrix has less than 65,536 columns, not ", columns);
  LabelMatrix m;
  m.columns = columns;
  m.starts = {0};
  return m;
}

const int8_t* LabelMatrix::row(int64_t i) const {
  require(!sparse(), "labels: rows of a sparse matrix are read with copy_row()");
  return values.data() + i * columns;
}

const int8_t* LabelMatrix::find(int64_t i, int64_t label) const {
  const auto first = listed.begin() + starts[size_t(i)], last = listed.begin() + starts[size_t(i + 1)];
  if (const auto found = std::lower_bound(first, last, label); found != last && *found == label)
    return &values[size_t(found - listed.begin())];
  const auto changed = set.find(i * columns + label);
  return changed == set.end() ? nullptr : &changed->second;
}

void LabelMatrix::add_entry(int64_t label, int8_t value) {
  listed.push_back(uint16_t(label));
  values.push_back(value);
}

void LabelMatrix::end_row() {
  starts.push_back(int64_t(values.size()));
  ++rows;
}

void LabelMatrix::settle() {
  if (set.empty())
    return;
  LabelMatrix all = sparse_of(columns);
  std::vector<std::pair<int64_t, int8_t>> entries;
  for (int64_t i = 0; i < rows; ++i) {
    entries.clear();
    for_each(i, [&](int64_t label, int8_t value) { entries.emplace_back(label, value); });
    put_row(all, i, entries);
  }
  *this = std::move(all);
}

NumpyRandom::NumpyRandom(uint32_t seed) : position_(624) {
  state_[0] = seed;
  for (uint32_t i = 1; i < state_.size(); ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

// init_by_array of the reference implementation, for a key of one word.
NumpyRandom NumpyRandom::as_python(uint32_t seed) {
  NumpyRandom random(19650218);
  auto& s = random.state_;
  size_t i = 1;
  const auto step = [&](uint32_t factor, uint32_t plus) {
    s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * factor)) + plus;
    if (++i == s.size()) {
      s[0] = s.back();
      i = 1;
    }
  };
  for (size_t k = 0; k < s.size(); ++k) step(1664525, seed);
  for (size_t k = 1; k < s.size(); ++k) step(1566083941, uint32_t(-int64_t(i)));
  s[0] = 0x80000000u;
  return random;
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

double NumpyRandom::uniform() {
  const uint32_t high = next() >> 5, low = next() >> 6;
  return (high * 0x1p26 + low) * 0x1p-53;
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

namespace {

using Entry = std::pair<int64_t, int8_t>;  // column, value

// The first `count` of the shuffled columns (-1: all) are kept.
void keep(NumpyRandom& random, std::vector<int64_t>& columns, int64_t count, int8_t value,
          std::vector<Entry>& kept) {
  random.shuffle(columns);
  if (count < 0 || count > int64_t(columns.size()))
    count = int64_t(columns.size());
  for (int64_t k = 0; k < count; ++k) kept.emplace_back(columns[size_t(k)], value);
}

}  // namespace

LabelMatrix like(const LabelMatrix& labels) {
  return labels.sparse() ? LabelMatrix::sparse_of(labels.columns) : LabelMatrix(labels.rows, labels.columns);
}

void put_row(LabelMatrix& to, int64_t i, std::vector<std::pair<int64_t, int8_t>>& entries) {
  if (!to.sparse()) {
    for (const auto& [column, value] : entries) to.at(i, column) = value;
    return;
  }
  std::sort(entries.begin(), entries.end());
  for (const auto& [column, value] : entries) to.add_entry(column, value);
  to.end_row();
}

LabelMatrix observe(const LabelMatrix& labels, int64_t pos, int64_t neg, uint32_t seed) {
  require(pos >= -1 && neg >= -1, "observe: pos and neg must be -1 (all) or a count, got pos=", pos,
          " neg=", neg);
  LabelMatrix observed = like(labels);
  NumpyRandom random(seed);
  std::vector<int64_t> positives, negatives;
  std::vector<Entry> kept;
  for (int64_t i = 0; i < labels.rows; ++i) {
    positives.clear();
    negatives.clear();
    kept.clear();
    const auto sort_in = [&](int64_t c, int value) {
      require(value >= -1 && value <= 1, "observe: row ", i, " column ", c, " is ", value,
              ", expected 1 (present), 0 or -1 (absent)");
      (value == 1 ? positives : negatives).push_back(c);
    };
    if (labels.sparse())
      labels.for_each(i, sort_in);
    else
      for (int64_t c = 0; c < labels.columns; ++c) sort_in(c, labels.at(i, c));
    std::sort(positives.begin(), positives.end());
    std::sort(negatives.begin(), negatives.end());
    keep(random, positives, pos, 1, kept);
    keep(random, negatives, neg, -1, kept);
    put_row(observed, i, kept);
  }
  return observed;
}

LabelMatrix observe_entries(const LabelMatrix& labels, double p, uint32_t seed) {
  require(p >= 0 && p <= 1, "observe: the probability of an entry must be in [0, 1], got ", p);
  LabelMatrix observed = like(labels);
  NumpyRandom random(seed);
  std::vector<Entry> kept;
  for (int64_t i = 0; i < labels.rows; ++i) {
    kept.clear();
    const auto choose = [&](int64_t c, int8_t value) {
      if (random.uniform() < p)
        kept.emplace_back(c, value == 1 ? 1 : -1);
    };
    if (labels.sparse())
      labels.for_each(i, choose);
    else
      for (int64_t c = 0; c < labels.columns; ++c) choose(c, labels.at(i, c));
    put_row(observed, i, kept);
  }
  return observed;
}

std::vector<int> groups_by_count(const std::vector<int64_t>& counts, int parts) {
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return counts[a] < counts[b]; });
  std::vector<int> groups(counts.size());
  for (size_t rank = 0; rank < order.size(); ++rank)
    groups[order[rank]] = int(rank * size_t(parts) / order.size());
  return groups;
}

}  // namespace lucida
