// lucida data stats: how many images show each class, and how many labels an image has.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/data.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

int64_t count_of(const LabelMatrix& labels, int64_t column, int8_t value) {
  int64_t count = 0;
  for (int64_t i = 0; !labels.empty() && i < labels.rows; ++i) count += labels.at(i, column) == value;
  return count;
}

Json counts_of(const Dataset& data) {
  int64_t positives = 0, negatives = 0, difficult = 0, without = 0;
  Json classes = Json::object();
  for (int64_t l = 0; l < int64_t(data.classes.size()); ++l) {
    const int64_t count = count_of(data.labels, l, 1);
    classes[data.classes[size_t(l)]] = count;
    positives += count;
    negatives += count_of(data.labels, l, -1);
    difficult += count_of(data.difficult, l, 1);
  }
  for (int64_t i = 0; i < data.size(); ++i) {
    const int8_t* row = data.labels.row(i);
    without += std::find(row, row + data.labels.columns, int8_t{1}) == row + data.labels.columns;
  }
  const double images = double(std::max<int64_t>(data.size(), 1));
  const auto masks =
      std::count_if(data.masks.begin(), data.masks.end(), [](const auto& m) { return !m.empty(); });
  return {{"images", data.size()},
          {"labels", positives},
          {"labels_per_image", double(positives) / images},
          {"images_without_label", without},
          {"annotated_absent", negatives},
          {"difficult_only", difficult},
          {"images_with_mask", masks},
          {"classes", classes}};
}

void print_line(const std::string& name, const Json& splits, const std::string& key) {
  std::printf("%-26s", name.c_str());
  for (const Json& s : splits)
    if (s[key].is_number_integer())
      std::printf(" %10lld", (long long)s[key].get<int64_t>());
    else
      std::printf(" %10.3f", s[key].get<double>());
  std::printf("\n");
}

void print_text(const Json& splits) {
  std::printf("%-26s", "");
  for (const auto& [name, s] : splits.items()) std::printf(" %10s", name.c_str());
  std::printf("\n");
  print_line("images", splits, "images");
  print_line("labels", splits, "labels");
  print_line("labels an image", splits, "labels_per_image");
  print_line("images without a label", splits, "images_without_label");
  print_line("annotated as absent", splits, "annotated_absent");
  print_line("only difficult objects", splits, "difficult_only");
  print_line("images with a mask", splits, "images_with_mask");
  std::printf("\n");
  for (const auto& [name, count] : splits.front()["classes"].items()) {
    std::printf("%-26s", name.c_str());
    for (const Json& s : splits) std::printf(" %10lld", (long long)s["classes"].value(name, int64_t{0}));
    std::printf("\n");
  }
}

}  // namespace

void run_data_stats(const DataStatsOptions& o) {
  Json splits = Json::object();
  for (const std::string& split : o.splits) splits[split] = counts_of(o.data.load(split));
  if (o.json)
    std::cout << Json{{"data", o.data.data}, {"root", o.data.root}, {"splits", splits}} << '\n';
  else
    print_text(splits);
}

}  // namespace lucida
