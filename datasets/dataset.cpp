#include "datasets/dataset.h"

#include <algorithm>

#include "engine/error.h"

namespace lucida {
namespace {

struct Reader {
  const char* name;
  Dataset (*load)(const DatasetOptions&);
};

constexpr Reader readers[] = {{"voc", load_voc},
                              {"voc2007", load_voc},
                              {"voc2012", load_voc},
                              {"coco", load_coco},
                              {"coco2014", load_coco},
                              {"coco2017", load_coco},
                              {"nuswide", load_nuswide},
                              {"nuswide-npy", load_npy},
                              {"nuswide-lists", load_nuswide_lists},
                              {"cub", load_cub},
                              {"openimages", load_openimages},
                              {"folder", load_folder},
                              {"npy", load_npy},
                              {"scenes", load_voc}};

constexpr const char* splits[] = {"train", "val", "test", "trainval"};

}  // namespace

std::string train_or_test(const std::string& split) {
  return split.starts_with("train") ? "train" : "test";
}

std::vector<std::string> known_datasets() {
  std::vector<std::string> names;
  for (const Reader& reader : readers) names.push_back(reader.name);
  return names;
}

Dataset load_dataset(const DatasetOptions& options) {
  require(std::find(std::begin(splits), std::end(splits), options.split) != std::end(splits),
          "unknown split '", options.split, "'; known are train, val, test and trainval");
  for (const Reader& reader : readers)
    if (options.name == reader.name) {
      require(!options.root.empty(), "data set ", options.name, ": --root must name the folder it lies in");
      return reader.load(options);
    }
  std::string known;
  for (const std::string& name : known_datasets()) known += (known.empty() ? "" : ", ") + name;
  fail("unknown data set '", options.name, "'; known are ", known);
}

}  // namespace lucida
