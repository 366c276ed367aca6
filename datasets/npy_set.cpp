// Sets that are given as arrays (datasets/formatted.h has the files):
//   formatted_{train,val}_{images,labels}.npy    "val" is the test set
//   classes.txt or Concepts81.txt or ConceptsList/Concepts81.txt    one name a line, if there
// Paths in the arrays are relative to the root, or to the folder the set's own code puts before them: Flickr/
// for NUS-WIDE, images/, JPEGImages/ or CUB_200_2011/images/, whichever holds the first image.
// The observed labels that lie beside (formatted_train_labels_obs.npy) are used with --labels.
//
// Read next:  datasets/formatted.h, tests/npy_set_test.cpp
#include <filesystem>

#include "datasets/dataset.h"
#include "datasets/formatted.h"
#include "datasets/lines.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> class_names(const fs::path& root, int64_t count) {
  for (const char* name : {"classes.txt", "Concepts81.txt", "ConceptsList/Concepts81.txt"})
    if (const std::string path = (root / name).string(); fs::exists(path)) {
      const std::vector<std::string> names = read_lines(path);
      require(int64_t(names.size()) == count, path, ": ", names.size(), " names for ", count,
              " columns of labels");
      return names;
    }
  std::vector<std::string> names;
  for (int64_t c = 0; c < count; ++c) names.push_back("class " + std::to_string(c));
  return names;
}

std::string image_folder(const fs::path& root, const std::string& first) {
  for (const char* folder : {"", "Flickr/", "images/", "JPEGImages/", "CUB_200_2011/images/"})
    if (fs::exists(root / (folder + first)))
      return folder;
  return "";
}

}  // namespace

Dataset load_npy(const DatasetOptions& options) {
  const fs::path root = options.root;
  FormattedLabels arrays =
      read_formatted(options.root, train_or_test(options.split) == "train" ? "train" : "val");
  require(!arrays.images.empty(), "data set ", options.name, ": the arrays in ", options.root, " are empty");
  Dataset data;
  data.name = options.name;
  data.split = options.split;
  data.root = options.root;
  data.classes = class_names(root, arrays.labels.columns);
  data.images = std::move(arrays.images);
  const std::string folder = image_folder(root, data.images.front());
  for (std::string& image : data.images) image = folder + image;
  data.labels = std::move(arrays.labels);
  return data;
}

}  // namespace lucida
