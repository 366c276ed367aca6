// What Lucida needs of a COCO instances file (cocodataset.org, "Data format"), read in one pass:
//   images       [{id, file_name, width, height}]
//   annotations  [{image_id, category_id, iscrowd, area, bbox: [x, y, width, height], segmentation}]
//   categories   [{id, name}]    ids 1 ... 90 with gaps; the position in the list is the column of the labels
// The file of train2014 has 450 MB, nearly all of it polygons. It is never held: the parser calls the reader
// with one number or word after another (SAX), and polygons are passed over. What stays is 48 bytes an
// annotation, 29 MB for all of train2014.
//
// Read next:  datasets/coco_json.cpp, coco.cpp
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lucida {

struct CocoImage {
  int64_t id = -1;
  int width = 0, height = 0;
  std::string file;
};

struct CocoAnnotation {
  int64_t image = -1, category = -1;
  double area = 0;             // pixels of the outline
  std::array<float, 4> box{};  // x, y, width, height
  bool crowd = false;
};

struct CocoCategory {
  int64_t id = -1;
  std::string name;
};

struct CocoFile {
  std::vector<CocoImage> images;
  std::vector<CocoAnnotation> annotations;
  std::vector<CocoCategory> categories;
};

// Throws Error naming line and column where the file is no JSON, and the entry ("annotations[17]") where one
// lacks what is needed.
CocoFile read_coco(const std::string& path);

}  // namespace lucida
