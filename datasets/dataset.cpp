#include "datasets/dataset.h"

#include <algorithm>

#include "engine/error.h"

namespace lucida {
namespace {

struct Reader {
  const char* name;
  Dataset (*load)(const DatasetOptions&);
};

constexpr Reader readers[] = {{"voc", load_voc}, {"folder", load_folder}, {"scenes", load_voc}};

constexpr const char* splits[] = {"train", "val", "test", "trainval"};

}  // namespace

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
