// PASCAL VOC's layout (Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010):
//   JPEGImages/2008_000008.jpg
//   ImageSets/Main/<class>_{train,val,trainval}.txt   "2008_000008 -1" or "2008_000015  1" a line
//        1 present, -1 absent, 0 only objects marked difficult: a negative here, as in the literature on
//        partial labels, and remembered in Dataset::difficult
//   Annotations/2008_000008.xml                        boxes, counted from 1, last pixel included
//   SegmentationClass/2007_000033.png                  class masks of some images
// Classes are those that have a list, in alphabetical order: 20 in VOC, others in sets of the same layout.
// VOC 2012's test labels are not public, so 'test' means its val, as in the papers; 2007 has a test split.
// Where both years are there, voc means 2012; voc2007 and voc2012 name one.
//
// Read next:  datasets/mask.h, tests/voc_test.cpp
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <pugixml.hpp>
#include <set>
#include <sstream>
#include <unordered_map>

#include "datasets/dataset.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

// "VOC2012", also of "VOC2012/" and of "." in it.
std::string name_of(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder / "").lexically_normal();
  return whole.parent_path().filename().string();
}

// The folder that holds JPEGImages and ImageSets, whichever level of the layout `root` names.
fs::path find_layout(const DatasetOptions& options) {
  const fs::path root = options.root;
  const std::string year = options.name.starts_with("voc2") ? options.name.substr(3) : "";
  for (const char* below : {"", "VOC2012", "VOC2007", "VOCdevkit/VOC2012", "VOCdevkit/VOC2007"})
    if (const fs::path folder = *below ? root / below : root;
        fs::is_directory(folder / "ImageSets" / "Main") && name_of(folder).ends_with(year))
      return folder;
  fail("data set ", options.name, ": no ImageSets/Main in ", options.root,
       " nor in VOC2012, VOC2007, VOCdevkit/VOC2012 or VOCdevkit/VOC2007 under it; ",
       options.name == "scenes" ? "make it with: lucida data make-scenes --out " + options.root
                                : "--root must name the folder of an unpacked VOCdevkit");
}

std::set<std::string> classes_with_list(const fs::path& lists, const std::string& split) {
  const std::string ending = "_" + split + ".txt";
  std::set<std::string> classes;
  for (const auto& entry : fs::directory_iterator(lists)) {
    const std::string file = entry.path().filename().string();
    if (file.size() > ending.size() && file.ends_with(ending))
      classes.insert(file.substr(0, file.size() - ending.size()));
  }
  return classes;
}

struct Entry {
  std::string image;
  int value;
};

std::vector<Entry> read_list(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::vector<Entry> entries;
  std::string line, image, value, rest;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    std::istringstream words(line);
    const bool two = bool(words >> image >> value) && !(words >> rest);
    require(two && (value == "1" || value == "0" || value == "-1"), path, ":", number,
            ": expected an image and 1, 0 or -1, got '", line, "'");
    entries.push_back({image, std::stoi(value)});
  }
  return entries;
}

// Rows of the label matrix by image name, alphabetical.
std::unordered_map<std::string, int64_t> set_images(Dataset& data, const std::vector<Entry>& entries,
                                                    const std::string& list) {
  std::vector<std::string> names;
  for (const Entry& e : entries) names.push_back(e.image);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), list, ": image ", twice == names.end() ? "" : *twice, " is listed twice");
  std::unordered_map<std::string, int64_t> row;
  for (const std::string& name : names) {
    row[name] = int64_t(data.images.size());
    data.images.push_back("JPEGImages/" + name + ".jpg");
  }
  data.labels = LabelMatrix(data.size(), int64_t(data.classes.size()));
  data.difficult = data.labels;
  return row;
}

void read_labels(Dataset& data, const fs::path& lists, const std::string& split) {
  std::unordered_map<std::string, int64_t> row;
  std::string first_list;
  for (size_t c = 0; c < data.classes.size(); ++c) {
    const std::string list = (lists / (data.classes[c] + "_" + split + ".txt")).string();
    const auto entries = read_list(list);
    if (c == 0)
      row = set_images(data, entries, first_list = list);
    require(entries.size() == row.size(), list, ": ", entries.size(), " images, but ", first_list, " has ",
            row.size());
    std::vector<bool> seen(row.size());
    for (const Entry& e : entries) {
      const auto found = row.find(e.image);
      require(found != row.end(), list, ": image ", e.image, " is not in ", first_list);
      require(!seen[size_t(found->second)], list, ": image ", e.image, " is listed twice");
      seen[size_t(found->second)] = true;
      data.labels.at(found->second, int64_t(c)) = e.value == 1;
      data.difficult.at(found->second, int64_t(c)) = e.value == 0;
    }
  }
}

void find_masks(Dataset& data) {
  const fs::path folder = fs::path(data.root) / "SegmentationClass";
  if (!fs::is_directory(folder))
    return;
  std::set<std::string> present;
  for (const auto& entry : fs::directory_iterator(folder)) present.insert(entry.path().filename().string());
  for (const std::string& image : data.images) {
    const std::string mask = fs::path(image).stem().string() + ".png";
    data.masks.push_back(present.count(mask) ? "SegmentationClass/" + mask : "");
  }
}

std::vector<Box> read_boxes(const std::string& path, const std::vector<std::string>& classes,
                            ImageSize& size) {
  const std::string text = read_file(path);
  pugi::xml_document document;
  const auto result = document.load_buffer(text.data(), text.size());
  require(bool(result), path, ": byte ", result.offset, ": ", result.description());
  const pugi::xml_node pixels = document.child("annotation").child("size");
  size = {pixels.child("width").text().as_int(), pixels.child("height").text().as_int()};
  std::vector<Box> boxes;
  for (const pugi::xml_node object : document.child("annotation").children("object")) {
    const std::string name = object.child("name").text().as_string();
    const auto found = std::lower_bound(classes.begin(), classes.end(), name);
    require(found != classes.end() && *found == name, path, ": byte ", object.offset_debug(), ": object '",
            name, "' is none of the ", classes.size(), " classes of ImageSets/Main");
    const pugi::xml_node b = object.child("bndbox");
    Box box{int(found - classes.begin()),
            b.child("xmin").text().as_float(NAN) - 1,
            b.child("ymin").text().as_float(NAN) - 1,
            b.child("xmax").text().as_float(NAN),
            b.child("ymax").text().as_float(NAN),
            object.child("difficult").text().as_int() != 0};
    require(box.xmax > box.xmin && box.ymax > box.ymin, path, ": byte ", object.offset_debug(),
            ": the box of '", name, "' lacks a side or is empty");
    boxes.push_back(box);
  }
  return boxes;
}

}  // namespace

Dataset load_voc(const DatasetOptions& options) {
  const fs::path root = find_layout(options), lists = root / "ImageSets" / "Main";
  const bool is_2007 = name_of(root) == "VOC2007";
  const std::string split = options.split == "test" && !is_2007 ? "val" : options.split;

  Dataset data;
  data.name = options.name;
  if (data.name == "voc" && name_of(root).starts_with("VOC20"))
    data.name = is_2007 ? "voc2007" : "voc2012";
  data.split = options.split;
  data.root = root.string();
  auto classes = classes_with_list(lists, "train");
  if (classes.empty())  // a test archive alone
    classes = classes_with_list(lists, split);
  require(!classes.empty(), lists.string(), ": no <class>_train.txt and no <class>_", split, ".txt in it");
  data.classes.assign(classes.begin(), classes.end());
  read_labels(data, lists, split);
  find_masks(data);
  if (options.boxes) {
    data.boxes.resize(data.images.size());
    data.sizes.resize(data.images.size());
    parallel_tasks(data.size(), [&](int64_t i) {
      const std::string name = fs::path(data.images[size_t(i)]).stem().string();
      data.boxes[size_t(i)] =
          read_boxes((root / "Annotations" / (name + ".xml")).string(), data.classes, data.sizes[size_t(i)]);
    });
  }
  return data;
}

}  // namespace lucida
