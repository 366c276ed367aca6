// lucida data stats: how many images show each class, how many labels an image has, and whether the totals
// are those that were published.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "datasets/published.h"
#include "train/data.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

// One pass over the rows: a column at a time would be slow for millions of them.
struct ClassCounts {
  std::vector<int64_t> present, absent;
  int64_t without = 0;  // images that show none
};

ClassCounts count_classes(const LabelMatrix& labels) {
  ClassCounts c{std::vector<int64_t>(size_t(labels.columns)), std::vector<int64_t>(size_t(labels.columns))};
  for (int64_t i = 0; i < labels.rows; ++i) {
    bool any = false;
    labels.for_each(i, [&](int64_t label, int8_t value) {
      any |= value == 1;
      ++(value == 1 ? c.present : c.absent)[size_t(label)];
    });
    c.without += !any;
  }
  return c;
}

int64_t sum(const std::vector<int64_t>& counts) {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  return total;
}

Json published_of(const Dataset& data) {
  const std::vector<PublishedTotal> totals = published_totals(data);
  if (totals.empty())
    return nullptr;
  Json list = Json::array();
  bool agree = true;
  for (const PublishedTotal& t : totals) {
    list.push_back({{"what", t.what}, {"published", t.published}, {"here", t.here}});
    agree &= t.published == t.here;
  }
  const bool full = totals.front().published == totals.front().here;
  return {{"set", data.name}, {"full_set", full}, {"agrees", agree}, {"totals", list}};
}

// Classes and labels of the groups G1 (rarest) to G5.
Json groups_of(const Dataset& data, const ClassCounts& counts) {
  Json groups = Json::array();
  for (int g = 0; g < 5; ++g) {
    int64_t classes = 0, present = 0, absent = 0;
    for (size_t l = 0; l < data.groups.size(); ++l)
      if (data.groups[l] == g) {
        ++classes;
        present += counts.present[l];
        absent += counts.absent[l];
      }
    groups.push_back({{"group", "G" + std::to_string(g + 1)},
                      {"classes", classes},
                      {"present", present},
                      {"absent", absent}});
  }
  return groups;
}

Json counts_of(const Dataset& data) {
  const ClassCounts counts = count_classes(data.labels);
  Json classes = Json::object();
  for (size_t l = 0; l < data.classes.size(); ++l) classes[data.classes[l]] = counts.present[l];
  const int64_t labels = sum(counts.present);
  const auto masks =
      std::count_if(data.masks.begin(), data.masks.end(), [](const auto& m) { return !m.empty(); });
  Json files = Json::object();
  for (const Count& c : data.counts) files[c.what] = c.count;
  return {{"images", data.size()},
          {"labels", labels},
          {"labels_per_image", double(labels) / double(std::max<int64_t>(data.size(), 1))},
          {"images_without_label", counts.without},
          {"annotated_absent", sum(counts.absent)},
          {"difficult_only", std::count(data.difficult.values.begin(), data.difficult.values.end(), 1)},
          {"images_with_mask", masks},
          {"in_files", files},
          {"notes", data.notes},
          {"published", published_of(data)},
          {"groups", data.groups.empty() ? Json() : groups_of(data, counts)},
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

void print_published(const std::string& split, const Json& p) {
  const std::string set = p["set"].get<std::string>() + " " + split;
  const Json& first = p["totals"][0];
  if (!p["full_set"].get<bool>()) {
    std::printf("%s: not the full set: %s here %lld, published %lld\n", set.c_str(),
                first["what"].get<std::string>().c_str(), (long long)first["here"].get<int64_t>(),
                (long long)first["published"].get<int64_t>());
    return;
  }
  std::printf("%s: %s\n", set.c_str(),
              p["agrees"].get<bool>() ? "all published totals agree" : "DIFFERS from what was published");
  for (const Json& t : p["totals"]) {
    const auto here = t["here"].get<int64_t>(), published = t["published"].get<int64_t>();
    std::printf("  %-36s %12lld %s", t["what"].get<std::string>().c_str(), (long long)here,
                here == published ? "as published\n" : "published: ");
    if (here != published)
      std::printf("%lld\n", (long long)published);
  }
}

void print_remarks(const std::string& split, const Json& s) {
  for (const auto& [what, count] : s["in_files"].items())
    std::printf("%s, %s: %lld\n", split.c_str(), what.c_str(), (long long)count.get<int64_t>());
  for (const Json& note : s["notes"]) std::printf("%s: %s\n", split.c_str(), note.get<std::string>().c_str());
  if (!s["groups"].is_null())
    for (const Json& g : s["groups"])
      std::printf("%s, %s: %lld classes, %lld labels present, %lld absent\n", split.c_str(),
                  g["group"].get<std::string>().c_str(), (long long)g["classes"].get<int64_t>(),
                  (long long)g["present"].get<int64_t>(), (long long)g["absent"].get<int64_t>());
  if (!s["published"].is_null())
    print_published(split, s["published"]);
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
  std::printf("\n");
  for (const auto& [name, s] : splits.items()) print_remarks(name, s);
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
