// NUS-WIDE (Chua et al., "NUS-WIDE: A Real-World Web Image Database from National University of Singapore",
// CIVR 2009), 81 concepts. Three versions are in use whose images and splits differ; results on one cannot be
// put beside results on another, so each has a name of its own:
//
//   nuswide        the official lists: 161,789 train, 107,859 test
//       Groundtruth/TrainTestLabels/Labels_<concept>_{Train,Test}.txt   0 or 1 a line, in the order of
//       ImageList/{Train,Test}Imagelist.txt                             "actor\0001_2124494179.jpg"
//       ConceptsList/Concepts81.txt                                     the order of the classes
//       Flickr/actor/0001_2124494179.jpg ...                            704 folders of images
//   nuswide-npy    the arrays of Cole et al. (CVPR 2021) and what follows them: 150,000 train, 60,260 test;
//                  datasets/npy_set.cpp
//   nuswide-lists  the text lists of the robust-loss and SCPNet codes: test 50,720
//       nus_train.txt, nus_val.txt    "123940_1158315062_02a15f03aa_m.jpg,42 60 79": concepts counted from 0;
//                                     "name 42 60 79" is read too, and {train,test}.txt
//       classes.txt or Concepts81.txt or ConceptsList/Concepts81.txt    the concepts' names, if there
//       images/ or Flickr/            where the names lie; the root itself where neither is there
//
// val is test in all of them.
// Read next:  datasets/lines.h, tests/nuswide_test.cpp
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "datasets/dataset.h"
#include "datasets/lines.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

std::string capitalised(std::string word) {
  word[0] = char(word[0] - 'a' + 'A');
  return word;
}

void read_concept(Dataset& data, int64_t column, const std::string& path, const std::string& images) {
  LineReader in(path);
  int64_t row = 0;
  while (in.next()) {
    const std::string_view value = trimmed(in.line());
    if (value.empty())
      continue;
    in.check(value == "0" || value == "1", "expected 0 or 1, got '", in.line(), "'");
    in.check(row < data.size(), "more lines than the ", data.size(), " images of ", images);
    data.labels.at(row++, column) = value == "1";
  }
  require(row == data.size(), path, ": ", row, " lines for the ", data.size(), " images of ", images);
}

// The first of `names` that exists under the root; "" if none does.
std::string first_of(const fs::path& root, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (fs::exists(root / name))
      return name;
  return "";
}

// The part of a line before the first comma or blank, and the concepts after it.
struct ListLine {
  std::string_view image, concepts;
};

ListLine split_line(std::string_view line) {
  const size_t end = line.find_first_of(", \t");
  return {line.substr(0, end), end == std::string_view::npos ? "" : line.substr(end + 1)};
}

void read_list(Dataset& data, const std::string& path, const std::string& folder) {
  const auto count = int64_t(data.classes.size());
  std::vector<std::pair<int64_t, int64_t>> positives;
  LineReader in(path);
  while (in.next()) {
    if (trimmed(in.line()).empty())
      continue;
    const auto [image, concepts] = split_line(in.line());
    in.check(!image.empty(), "expected name,concept concept ..., got '", in.line(), "'");
    Words words(concepts);
    for (auto word = words.next(); !word.empty(); word = words.next()) {
      const int64_t label = in.whole(word, "a concept's number");
      in.check(label >= 0 && label < count, "concept ", label, " of ", count, " (counted from 0)");
      positives.emplace_back(data.size(), label);
    }
    data.images.push_back(folder + std::string(image));
  }
  data.labels = LabelMatrix(data.size(), count);
  for (const auto& [row, label] : positives) data.labels.at(row, label) = 1;
}

Dataset begin(const DatasetOptions& options) {
  Dataset data;
  data.name = options.name;
  data.split = options.split;
  data.root = options.root;
  return data;
}

}  // namespace

Dataset load_nuswide(const DatasetOptions& options) {
  const fs::path root = options.root;
  require(fs::is_directory(root / "Groundtruth" / "TrainTestLabels"), "data set nuswide: no folder ",
          "Groundtruth/TrainTestLabels in ", options.root,
          "; the arrays are --data nuswide-npy, the text lists --data nuswide-lists");
  const std::string part = capitalised(train_or_test(options.split));
  Dataset data = begin(options);
  data.classes = read_lines((root / "ConceptsList" / "Concepts81.txt").string());
  const std::string images = (root / "ImageList" / (part + "Imagelist.txt")).string();
  for (std::string& name : read_lines(images)) {
    std::replace(name.begin(), name.end(), '\\', '/');
    data.images.push_back("Flickr/" + name);
  }
  data.labels = LabelMatrix(data.size(), int64_t(data.classes.size()));
  const fs::path labels = root / "Groundtruth" / "TrainTestLabels";
  for (size_t c = 0; c < data.classes.size(); ++c)
    read_concept(data, int64_t(c), (labels / ("Labels_" + data.classes[c] + "_" + part + ".txt")).string(),
                 images);
  return data;
}

Dataset load_nuswide_lists(const DatasetOptions& options) {
  const fs::path root = options.root;
  const bool train = train_or_test(options.split) == "train";
  const std::string list = train ? first_of(root, {"nus_train.txt", "train.txt"})
                                 : first_of(root, {"nus_val.txt", "nus_test.txt", "test.txt"});
  require(!list.empty(), "data set nuswide-lists: neither ",
          train ? "nus_train.txt nor train.txt" : "nus_val.txt nor test.txt", " in ", options.root);
  Dataset data = begin(options);
  const std::string names = first_of(root, {"classes.txt", "Concepts81.txt", "ConceptsList/Concepts81.txt"});
  if (names.empty())
    for (int c = 0; c < 81; ++c) data.classes.push_back("concept " + std::to_string(c));
  else
    data.classes = read_lines((root / names).string());
  const std::string folder = first_of(root, {"images", "Flickr"});
  read_list(data, (root / list).string(), folder.empty() ? "" : folder + "/");
  return data;
}

}  // namespace lucida
