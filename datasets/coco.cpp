// MS COCO (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014):
//   annotations/instances_{train,val}{2014,2017}.json    datasets/coco_json.h has its format
//   train2014/COCO_train2014_000000000009.jpg, val2014/...      or train2017/000000000009.jpg, val2017/...
// As in the literature on partial labels:
//   an image shows a class if any object of it is annotated there; crowds count, like all others
//   rows are the images with at least one annotation, sorted by their ids AS TEXT ("100012" before "9"):
//       82,081 of 82,783 in train2014, 40,137 of 40,504 in val2014. Seeds of splits and of observed labels
//       only mean the same for the same order of rows
//   the test sets' annotations are not public: 'test' is val
// Boxes of crowds are `difficult`.
//
// Read next:  datasets/coco_json.h, tests/coco_test.cpp
#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "datasets/coco_json.h"
#include "datasets/dataset.h"
#include "engine/error.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

std::string annotations_of(const DatasetOptions& o, const std::string& part, const std::string& year) {
  return (fs::path(o.root) / "annotations" / ("instances_" + part + year + ".json")).string();
}

std::string find_year(const DatasetOptions& o, const std::string& part) {
  if (o.name != "coco")
    return o.name.substr(4);
  for (const char* year : {"2014", "2017"})
    if (fs::exists(annotations_of(o, part, year)))
      return year;
  fail("data set coco: neither ", annotations_of(o, part, "2014"),
       " nor that of 2017 is there; --root must name ", "the folder that holds annotations/, ", part,
       "2014/ and so on");
}

using Positions = std::unordered_map<int64_t, int64_t>;

// id -> position in the list; every id once.
template <class Entry>
Positions positions_of(const std::vector<Entry>& list, const char* what, const std::string& path) {
  Positions positions;
  for (const Entry& e : list)
    require(positions.emplace(e.id, int64_t(positions.size())).second, path, ": the ", what, " ", e.id,
            " is listed twice");
  return positions;
}

// Rows: images with an annotation, by id as text.
Positions set_rows(Dataset& data, const CocoFile& file, const std::string& folder, const std::string& path) {
  const Positions images = positions_of(file.images, "image", path);
  std::vector<std::pair<std::string, int64_t>> rows;  // id as text, position in file.images
  std::vector<bool> seen(file.images.size());
  for (size_t a = 0; a < file.annotations.size(); ++a) {
    const int64_t id = file.annotations[a].image;
    const auto found = images.find(id);
    require(found != images.end(), path, ": annotations[", a, "] is of image ", id,
            ", which is not in `images`");
    if (!seen[size_t(found->second)])
      rows.emplace_back(std::to_string(id), found->second);
    seen[size_t(found->second)] = true;
  }
  std::sort(rows.begin(), rows.end());
  Positions row;
  for (const auto& [id, position] : rows) {
    const CocoImage& image = file.images[size_t(position)];
    row.emplace(image.id, data.size());
    data.images.push_back(folder + "/" + image.file);
    data.sizes.push_back({image.width, image.height});
  }
  return row;
}

void set_boxes(Dataset& data, const CocoAnnotation& a, int64_t row, int64_t label) {
  const auto [x, y, width, height] = a.box;
  data.boxes[size_t(row)].push_back({int(label), x, y, x + width, y + height, a.crowd, a.area});
}

}  // namespace

Dataset load_coco(const DatasetOptions& options) {
  require(options.split != "trainval", "data set ", options.name, ": it has train and val, no trainval");
  const std::string part = options.split == "train" ? "train" : "val", year = find_year(options, part);
  const std::string path = annotations_of(options, part, year);
  const CocoFile file = read_coco(path);
  Dataset data;
  data.name = "coco" + year;
  data.split = options.split;
  data.root = options.root;
  for (const CocoCategory& c : file.categories) data.classes.push_back(c.name);
  const Positions column = positions_of(file.categories, "category", path);
  const Positions row = set_rows(data, file, part + year, path);
  data.labels = LabelMatrix(data.size(), int64_t(data.classes.size()));
  if (options.boxes)
    data.boxes.resize(data.images.size());
  for (size_t a = 0; a < file.annotations.size(); ++a) {
    const CocoAnnotation& annotation = file.annotations[a];
    const auto found = column.find(annotation.category);
    require(found != column.end(), path, ": annotations[", a, "] is of category ", annotation.category,
            ", which is not in `categories`");
    const int64_t i = row.at(annotation.image);
    data.labels.at(i, found->second) = 1;
    if (options.boxes)
      set_boxes(data, annotation, i, found->second);
  }
  if (!options.boxes)
    data.sizes.clear();
  data.counts = {{"images in the file", int64_t(file.images.size())},
                 {"annotated objects", int64_t(file.annotations.size())}};
  if (const auto none = int64_t(file.images.size()) - data.size(); none > 0)
    data.notes.push_back(std::to_string(none) + " images have no annotation and are left out");
  return data;
}

}  // namespace lucida
