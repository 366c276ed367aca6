// The numbers of the explanation study (Kim et al., CVPR 2023, section 3): how two models' maps of the same
// image and class differ.
//
//     rho = Spearman's rank correlation = Pearson's of the ranks, equal values sharing their mean rank
//     control = a Gaussian in the middle of the image against the same map. Only ranks count, so its width
//               does not matter: the correlation with nearness to the middle
//     top 5 %, lowest 5 % = mean of the ceil(0.05 n) highest (lowest) of a map's n cells: 10 of 14 x 14
//     rejection: of the labels that are not observed, a share r of all N x L entries with the largest loss is
//               taken for false negatives; how many are (precision), how many of all are found (recall)
//
// Read next:  train/compare_stats.cpp, train/compare_study.h, tests/compare_test.cpp
#pragma once
#include <span>
#include <utility>
#include <vector>

#include "train/metrics.h"

namespace lucida {

std::vector<double> ranks_of(std::span<const float> values);  // 1 ... n
// NaN where one of them is constant.
double spearman(std::span<const float> a, std::span<const float> b);
std::vector<float> centred_gaussian(int height, int width);  // deviation: a quarter of the side

struct Extremes {
  double top = 0, bottom = 0;
};
Extremes extremes_of(std::span<const float> values, double share = 0.05);
std::vector<double> ends(const std::vector<Extremes>&, double Extremes::*end);

std::vector<double> known(const std::vector<double>& values);  // without the NaN

struct BoxPlot {  // whiskers: the farthest values within 1.5 times the box's height from it
  int64_t count = 0;
  double low = 0, quartile1 = 0, median = 0, quartile3 = 0, high = 0, mean = 0;
};
BoxPlot box_plot(std::vector<double> values);  // quantiles between values are linear, as numpy's
double quantile(std::span<const double> sorted, double share);

// Gaussian kernels of Scott's width, sampled at `points` places from `low` to `high`; integrates to 1.
using Points = std::vector<std::pair<double, double>>;
Points density(std::span<const double> values, double low, double high, int points = 201);

struct Rejection {
  double share = 0;  // of all entries
  int64_t rejected = 0, false_negatives = 0;
  double precision = 0, recall = 0;  // percent
};
// truth 1: present; observed 1 or -1: known, never rejected. The loss of an entry taken as negative grows
// with its logit, so the highest logits go first; equal ones at the end all do, as in
// layers/losses/large_loss.h.
std::vector<Rejection> reject(const ScoreMatrix& logits, const LabelMatrix& truth,
                              const LabelMatrix& observed, std::span<const double> shares);

}  // namespace lucida
