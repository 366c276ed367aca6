// OpenImages V3 (github.com/openimages/dataset, release 2017_11): image-level labels that people verified.
//   2017_11/{train,validation,test}/annotations-human.csv   header ImageID,Source,LabelName,Confidence, then
//                                  "000026e7ee790996,verification,/m/04hgtk,0": 1 present, 0 absent
//   2017_11/classes-trainable.txt    5,000 classes, one MID ("/m/04hgtk") a line: the columns, in this order
//   2017_11/class-descriptions.csv   "/m/04hgtk,"Human head"": their names, if there
//   {train,validation,test}/000026e7ee790996.jpg    images; where such a folder is there, images that are not
//                                  in it are left out; without the folder all labelled images are listed
// What no one verified is not known: labels are a sparse matrix of 1, -1 and (not listed) 0, and metrics
// count listed entries only. A row is an image with a label of a trainable class; rows are sorted by id. A
// pair that is listed as both present and absent counts as present (and is noted).
// groups: the classes by their number of human-verified labels in train, 0 (G1, the rarest) to 4 (G5).
// A train file of 20,868,755 lines takes 16 bytes an image and 3 a label while it is read (docs/data.md has
// the time and the memory that were measured).
//
// Read next:  datasets/labels.h (LabelMatrix), datasets/lines.h, tests/openimages_test.cpp
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "datasets/dataset.h"
#include "datasets/lines.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

using ClassColumns = std::unordered_map<std::string_view, uint16_t>;  // by MID

// One image's stretch of lines; an image may have several.
struct Run {
  uint64_t image;
  int64_t first;  // of its labels
};

struct HumanLabels {
  std::vector<Run> runs;
  std::vector<uint16_t> columns;    // one a label of a trainable class, in the order of the file
  std::vector<int8_t> values;       // 1 or -1
  int64_t present = 0, absent = 0;  // lines of all classes
};

struct HumanLine {
  uint64_t image;
  std::string_view label;
  int8_t value;
};

// Ids are 16 hex digits. They are kept as the number they spell: the same order, half the memory.
bool parse_id(std::string_view text, uint64_t& id) {
  const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  return text.size() == 16 && wrong == std::errc() && stop == text.data() + 16;
}

std::string id_text(uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", (unsigned long long)id);
  return text;
}

HumanLine parse_line(const LineReader& in) {
  const std::string_view line = in.line();
  const size_t a = line.find(','), b = line.find(',', a + 1), c = line.find(',', b + 1);
  in.check(a != std::string_view::npos && b != std::string_view::npos && c != std::string_view::npos,
           "expected ImageID,Source,LabelName,Confidence, got '", line, "'");
  HumanLine found{0, line.substr(b + 1, c - b - 1), 0};
  in.check(parse_id(line.substr(0, a), found.image), "expected an image id of 16 hex digits, got '",
           line.substr(0, a), "'");
  const std::string_view confidence = line.substr(c + 1);
  in.check(confidence == "1" || confidence == "0" || confidence == "1.0" || confidence == "0.0",
           "expected a confidence of 1 (present) or 0 (absent), got '", confidence, "'");
  found.value = confidence[0] == '1' ? 1 : -1;
  return found;
}

// Calls f(line) for each line after the header.
template <class F>
void for_each_line(const std::string& path, F&& f) {
  LineReader in(path);
  require(in.next() && in.line().starts_with("ImageID,Source,LabelName,Confidence"), path,
          ":1: expected the header ImageID,Source,LabelName,Confidence");
  while (in.next())
    if (!in.line().empty())
      f(parse_line(in));
}

HumanLabels read_labels(const std::string& path, const ClassColumns& columns) {
  constexpr uintmax_t line_bytes = 36;  // a little less than the shortest lines have
  HumanLabels labels;
  if (fs::is_regular_file(path)) {
    labels.columns.reserve(fs::file_size(path) / line_bytes);
    labels.values.reserve(fs::file_size(path) / line_bytes);
  }
  for_each_line(path, [&](const HumanLine& line) {
    (line.value > 0 ? labels.present : labels.absent) += 1;
    const auto column = columns.find(line.label);
    if (column == columns.end())
      return;
    if (labels.runs.empty() || labels.runs.back().image != line.image)
      labels.runs.push_back({line.image, int64_t(labels.values.size())});
    labels.columns.push_back(column->second);
    labels.values.push_back(line.value);
  });
  return labels;
}

// The ids of the images in a folder. A folder that is not there holds everything (null).
std::unique_ptr<std::unordered_set<uint64_t>> images_in(const fs::path& folder) {
  if (!fs::is_directory(folder))
    return nullptr;
  auto ids = std::make_unique<std::unordered_set<uint64_t>>();
  for (const auto& entry : fs::directory_iterator(folder))
    if (uint64_t id; entry.path().extension() == ".jpg" && parse_id(entry.path().stem().string(), id))
      ids->insert(id);
  return ids;
}

// The runs [begin, end) are of one image. Returns how many pairs were listed as both present and absent.
int64_t add_row(LabelMatrix& to, const HumanLabels& labels, const std::vector<size_t>& order, size_t begin,
                size_t end) {
  std::vector<std::pair<uint16_t, int8_t>> entries;
  for (size_t r = begin; r < end; ++r) {
    const size_t run = order[r];
    const auto last =
        run + 1 < labels.runs.size() ? size_t(labels.runs[run + 1].first) : labels.values.size();
    for (auto e = size_t(labels.runs[run].first); e < last; ++e)
      entries.emplace_back(labels.columns[e], labels.values[e]);
  }
  std::sort(entries.begin(), entries.end());  // of one class: absent before present
  int64_t both = 0;
  for (size_t e = 0; e < entries.size(); ++e) {
    if (e + 1 < entries.size() && entries[e + 1].first == entries[e].first)
      both += entries[e + 1].second != entries[e].second;
    else
      to.add_entry(entries[e].first, entries[e].second);
  }
  to.end_row();
  return both;
}

void set_rows(Dataset& data, const HumanLabels& labels, const std::string& part) {
  std::vector<size_t> order(labels.runs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto image = [&](size_t r) { return labels.runs[order[r]].image; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return labels.runs[a].image < labels.runs[b].image; });
  const auto there = images_in(fs::path(data.root) / part);
  data.labels = LabelMatrix::sparse_of(int64_t(data.classes.size()));
  int64_t both = 0, missing = 0;
  for (size_t r = 0, end = 0; r < order.size(); r = end) {
    for (end = r + 1; end < order.size() && image(end) == image(r); ++end) {
    }
    if (there && !there->contains(image(r))) {
      ++missing;
      continue;
    }
    both += add_row(data.labels, labels, order, r, end);
    data.images.push_back(part + "/" + id_text(image(r)) + ".jpg");
  }
  if (missing > 0)
    data.notes.push_back(std::to_string(missing) + " labelled images are not in " + data.root + "/" + part +
                         " and are left out");
  if (both > 0)
    data.notes.push_back(std::to_string(both) +
                         " labels are listed as both present and absent; present counts");
}

std::vector<std::string> class_names(const fs::path& folder, const std::vector<std::string>& mids) {
  std::unordered_map<std::string, std::string> name;
  if (const std::string path = (folder / "class-descriptions.csv").string(); fs::exists(path)) {
    LineReader in(path);
    while (in.next())
      if (const auto fields = split_csv(in.line(), in.where()); fields.size() >= 2)
        name[fields[0]] = fields[1];
  }
  std::unordered_map<std::string, int> uses;
  std::vector<std::string> names;
  for (const std::string& mid : mids) {
    names.push_back(name.contains(mid) ? name[mid] : mid);
    ++uses[names.back()];
  }
  for (size_t c = 0; c < names.size(); ++c)  // two classes may be described by the same word
    if (uses[names[c]] > 1)
      names[c] += " (" + mids[c] + ")";
  return names;
}

fs::path metadata_folder(const DatasetOptions& o) {
  for (const fs::path& folder : {fs::path(o.root), fs::path(o.root) / "2017_11"})
    if (fs::exists(folder / "classes-trainable.txt"))
      return folder;
  fail("data set openimages: no classes-trainable.txt in ", o.root, " nor in 2017_11 under it");
}

}  // namespace

Dataset load_openimages(const DatasetOptions& options) {
  require(options.split != "trainval", "data set openimages: it has train, val and test, no trainval");
  const fs::path folder = metadata_folder(options);
  const std::vector<std::string> mids = read_lines((folder / "classes-trainable.txt").string());
  ClassColumns columns;
  for (const std::string& mid : mids)
    require(columns.emplace(mid, uint16_t(columns.size())).second,
            (folder / "classes-trainable.txt").string(), ": ", mid, " is listed twice");
  Dataset data;
  data.name = options.name;
  data.split = options.split;
  data.root = options.root;
  data.classes = class_names(folder, mids);
  const std::string part = options.split == "val" ? "validation" : options.split;
  const auto file_of = [&](const std::string& p) { return (folder / p / "annotations-human.csv").string(); };

  const HumanLabels labels = read_labels(file_of(part), columns);
  set_rows(data, labels, part);
  data.counts = {{"human-verified labels", labels.present + labels.absent},
                 {"of them present", labels.present},
                 {"of them absent", labels.absent},
                 {"of trainable classes", int64_t(labels.values.size())}};
  std::vector<int64_t> annotations(mids.size());
  if (part == "train") {
    for (const uint16_t column : labels.columns) ++annotations[column];
  } else if (fs::exists(file_of("train"))) {
    for_each_line(file_of("train"), [&](const HumanLine& line) {
      if (const auto column = columns.find(line.label); column != columns.end())
        ++annotations[column->second];
    });
  } else {
    data.notes.push_back("no groups G1 to G5: they are counted in " + file_of("train") +
                         ", which is not there");
    return data;
  }
  data.groups = groups_by_count(annotations, 5);
  return data;
}

}  // namespace lucida
