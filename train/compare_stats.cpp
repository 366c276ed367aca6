#include "train/compare_stats.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>
#include <numeric>

#include "engine/error.h"

namespace lucida {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

double mean_of(std::span<const double> x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size());
}

double pearson(std::span<const double> a, std::span<const double> b) {
  const double mean_a = mean_of(a), mean_b = mean_of(b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : none;
}

}  // namespace

std::vector<double> ranks_of(std::span<const float> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size() && values[order[end]] == values[order[begin]];) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = double(begin + 1 + end) / 2;
  }
  return ranks;
}

double spearman(std::span<const float> a, std::span<const float> b) {
  require(a.size() == b.size() && !a.empty(), "spearman: maps of ", a.size(), " and ", b.size(), " cells");
  return pearson(ranks_of(a), ranks_of(b));
}

std::vector<float> centred_gaussian(int height, int width) {
  std::vector<float> values;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double v = (y + 0.5) / height - 0.5, u = (x + 0.5) / width - 0.5;
      values.push_back(float(std::exp(-(u * u + v * v) / (2 * 0.25 * 0.25))));
    }
  return values;
}

Extremes extremes_of(std::span<const float> values, double share) {
  require(!values.empty(), "extremes: the map has no cells");
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto count =
      size_t(std::ceil(share * double(sorted.size()) - 1e-9));  // 0.05 * 20 is above 1 by rounding
  return {std::accumulate(sorted.end() - std::ptrdiff_t(count), sorted.end(), 0.0) / double(count),
          std::accumulate(sorted.begin(), sorted.begin() + std::ptrdiff_t(count), 0.0) / double(count)};
}

std::vector<double> ends(const std::vector<Extremes>& all, double Extremes::*end) {
  std::vector<double> values;
  for (const Extremes& e : all) values.push_back(e.*end);
  return values;
}

std::vector<double> known(const std::vector<double>& values) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double v) { return !std::isnan(v); });
  return finite;
}

double quantile(std::span<const double> sorted, double share) {
  const double at = share * double(sorted.size() - 1);
  const auto below = size_t(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

BoxPlot box_plot(std::vector<double> values) {
  if (values.empty())
    return {0, none, none, none, none, none, none};
  std::sort(values.begin(), values.end());
  BoxPlot b{int64_t(values.size()), 0, quantile(values, 0.25), quantile(values, 0.5),
            quantile(values, 0.75), 0, mean_of(values)};
  const double reach = 1.5 * (b.quartile3 - b.quartile1);
  b.low = *std::lower_bound(values.begin(), values.end(), b.quartile1 - reach);
  b.high = *(std::upper_bound(values.begin(), values.end(), b.quartile3 + reach) - 1);
  return b;
}

Points density(std::span<const double> values, double low, double high, int points) {
  Points curve;
  if (values.empty())
    return curve;
  const double mean = mean_of(values), n = double(values.size());
  double variance = 0;
  for (const double v : values) variance += (v - mean) * (v - mean) / std::max(n - 1, 1.0);
  // Scott's rule; a floor of a hundredth of the range keeps equal values from becoming a needle without width
  const double width = std::max(std::sqrt(variance) * std::pow(n, -0.2), (high - low) / 100);
  for (int i = 0; i < points; ++i) {
    const double x = low + (high - low) * i / (points - 1);
    double sum = 0;
    for (const double v : values) sum += std::exp(-(x - v) * (x - v) / (2 * width * width));
    curve.emplace_back(x, sum / (n * width * std::sqrt(2 * std::numbers::pi)));
  }
  return curve;
}

std::vector<Rejection> reject(const ScoreMatrix& logits, const LabelMatrix& truth,
                              const LabelMatrix& observed, std::span<const double> shares) {
  require(logits.rows == truth.rows && truth.rows == observed.rows && logits.columns == truth.columns &&
              truth.columns == observed.columns,
          "rejection: ", logits.rows, " x ", logits.columns, " logits, ", truth.rows, " x ", truth.columns,
          " labels, ", observed.rows, " x ", observed.columns, " observed ones");
  std::vector<std::pair<double, bool>> entries;  // logit, false negative
  int64_t all = 0;
  for (size_t i = 0; i < truth.values.size(); ++i)
    if (observed.values[i] == 0) {
      entries.emplace_back(logits.values[i], truth.values[i] == 1);
      all += truth.values[i] == 1;
    }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Rejection> results;
  for (const double share : shares) {
    auto k = std::min(size_t(std::ceil(share * double(truth.values.size()) - 1e-9)), entries.size());
    while (k > 0 && k < entries.size() && entries[k].first == entries[k - 1].first) ++k;
    const int64_t right = std::count_if(entries.begin(), entries.begin() + std::ptrdiff_t(k),
                                        [](const auto& e) { return e.second; });
    results.push_back({share, int64_t(k), right, percent_of(double(right), double(k)),
                       percent_of(double(right), double(all))});
  }
  return results;
}

}  // namespace lucida
