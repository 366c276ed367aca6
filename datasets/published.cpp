#include "datasets/published.h"

#include <algorithm>

namespace lucida {
namespace {

struct Totals {
  std::string_view set, split;
  std::vector<Count> counts;
};

const std::vector<Totals>& all_totals() {
  static const std::vector<Totals> totals = {
      {"voc2007", "train", {{"images", 2501}}},
      {"voc2007", "val", {{"images", 2510}}},
      {"voc2007", "trainval", {{"images", 5011}}},
      {"voc2007", "test", {{"images", 4952}}},
      {"voc2012", "train", {{"images", 5717}, {"labels", 8331}, {"labels, difficult-only ones too", 8863}}},
      {"voc2012", "val", {{"images", 5823}, {"labels", 8351}, {"labels, difficult-only ones too", 8856}}},
      {"voc2012", "trainval", {{"images", 11540}, {"labels", 16682}}},
      {"coco2014",
       "train",
       {{"images", 82081}, {"labels", 241035}, {"images in the file", 82783}, {"annotated objects", 604907}}},
      {"coco2014", "val", {{"images", 40137}, {"images in the file", 40504}, {"annotated objects", 291875}}},
      {"coco2017",
       "train",
       {{"images", 117266}, {"images in the file", 118287}, {"annotated objects", 860001}}},
      {"coco2017", "val", {{"images", 4952}, {"images in the file", 5000}, {"annotated objects", 36781}}},
      {"nuswide", "train", {{"images", 161789}}},
      {"nuswide", "test", {{"images", 107859}}},
      {"nuswide-npy", "train", {{"images", 150000}}},
      {"nuswide-npy", "test", {{"images", 60260}}},
      {"nuswide-lists", "test", {{"images", 50720}}},
      {"cub", "train", {{"images", 5994}, {"lines of attribute labels", 3677856}}},
      {"cub", "test", {{"images", 5794}, {"labels", 182704}, {"lines of attribute labels", 3677856}}},
      {"openimages",
       "train",
       {{"human-verified labels", 20868755}, {"of them present", 9741876}, {"of them absent", 11126879}}},
      {"openimages", "val", {{"human-verified labels", 551390}}},
      {"openimages", "test", {{"human-verified labels", 1667399}}}};
  return totals;
}

int64_t count_here(const Dataset& data, const std::string& what) {
  const auto ones = [](const LabelMatrix& m) {
    return std::count(m.values.begin(), m.values.end(), int8_t{1});
  };
  if (what == "images")
    return data.size();
  if (what == "labels")
    return ones(data.labels);
  if (what == "labels, difficult-only ones too")
    return ones(data.labels) + ones(data.difficult);
  for (const Count& c : data.counts)
    if (c.what == what)
      return c.count;
  return 0;
}

// val and test are the same where the set has no public test labels, or only two parts.
bool same_part(const Totals& t, const Dataset& data) {
  const auto plain = [](std::string_view split) { return split == "val" ? "test" : split; };
  const bool three_parts = t.set == "voc2007" || t.set == "openimages";
  return t.set == data.name && (three_parts ? t.split == data.split : plain(t.split) == plain(data.split));
}

}  // namespace

std::vector<PublishedTotal> published_totals(const Dataset& data) {
  std::vector<PublishedTotal> found;
  for (const Totals& t : all_totals())
    if (same_part(t, data) && found.empty())
      for (const Count& c : t.counts) found.push_back({c.what, c.count, count_here(data, c.what)});
  return found;
}

}  // namespace lucida
