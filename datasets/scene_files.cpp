// The files of a generated set, in PASCAL VOC's layout (datasets/voc.cpp has the facts of the format).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "datasets/scenes.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/parallel.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

std::string name_of(int64_t number) {
  const std::string digits = std::to_string(number + 1);
  return std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

// Not synced: thousands of small files that can be made again. The lists, written last, are.
void write_quickly(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), std::streamsize(bytes.size()));
  out.close();
  require(out.good(), path, ": cannot be written; is the disk full?");
}

std::string annotation(const std::string& name, const Scene& scene) {
  const auto classes = scene_classes();
  std::ostringstream xml;
  xml << "<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>" << name << ".jpg</filename>\n"
      << "\t<source>\n\t\t<database>Lucida scenes</database>\n\t</source>\n\t<size>\n\t\t<width>"
      << scene.image.width << "</width>\n\t\t<height>" << scene.image.height
      << "</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>1</segmented>\n";
  for (const Box& b : scene.boxes)
    xml << "\t<object>\n\t\t<name>" << classes[size_t(b.label)] << "</name>\n\t\t<bndbox>\n\t\t\t<xmin>"
        << b.xmin + 1 << "</xmin>\n\t\t\t<ymin>" << b.ymin + 1 << "</ymin>\n\t\t\t<xmax>" << b.xmax
        << "</xmax>\n\t\t\t<ymax>" << b.ymax << "</ymax>\n\t\t</bndbox>\n\t\t<difficult>" << b.difficult
        << "</difficult>\n\t</object>\n";
  xml << "</annotation>\n";
  return xml.str();
}

// 1 present, 0 only difficult objects, -1 absent.
int list_value(const std::vector<Box>& boxes, int label) {
  int value = -1;
  for (const Box& b : boxes)
    if (b.label == label)
      value = std::max(value, b.difficult ? 0 : 1);
  return value;
}

void write_lists(const std::string& sets, const std::string& split,
                 const std::vector<std::vector<Box>>& boxes, int64_t begin, int64_t end) {
  const auto classes = scene_classes();
  for (size_t c = 0; c < classes.size(); ++c) {
    std::string list;
    for (int64_t i = begin; i < end; ++i) {
      const int value = list_value(boxes[size_t(i)], int(c));
      list += name_of(i) + (value < 0 ? " " : "  ") + std::to_string(value) + "\n";
    }
    write_file_atomically(sets + "/Main/" + classes[c] + "_" + split + ".txt", list);
  }
  std::string names;
  for (int64_t i = begin; i < end; ++i) names += name_of(i) + "\n";
  write_file_atomically(sets + "/Segmentation/" + split + ".txt", names);
  write_file_atomically(sets + "/Main/" + split + ".txt", names);
}

// Lists of an earlier set go first: they must not stand beside half of the new images.
void clear_lists(const std::string& root) {
  const fs::path lists = fs::path(root) / "ImageSets" / "Main";
  if (!fs::is_directory(lists) || fs::is_empty(lists))
    return;
  require(fs::exists(lists / (scene_classes()[0] + "_train.txt")), root,
          ": holds another data set, which make-scenes would overwrite; name an empty folder with --out");
  fs::remove_all(lists);
}

}  // namespace

void make_scenes(const std::string& folder, const SceneOptions& options) {
  require(options.count > 0 && options.size >= 32 && options.size <= 4096,
          "make-scenes: the count must be positive and the size 32 to 4096 pixels, got ", options.count,
          " and ", options.size);
  require(options.train_frac >= 0 && options.train_frac <= 1,
          "make-scenes: the part for training must be in [0, 1], got ", options.train_frac);
  const std::string root = folder + "/VOCdevkit/VOC2012";
  clear_lists(root);
  for (const char* below :
       {"JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"})
    make_directories(root + "/" + below);
  std::vector<std::vector<Box>> boxes(static_cast<size_t>(options.count));
  parallel_tasks(options.count, [&](int64_t i) {
    const Scene scene = draw_scene(options, i);
    const std::string name = name_of(i);
    write_quickly(root + "/JPEGImages/" + name + ".jpg", encode_jpeg(scene.image, 92));
    write_quickly(root + "/SegmentationClass/" + name + ".png", encode_mask(scene.mask));
    write_quickly(root + "/Annotations/" + name + ".xml", annotation(name, scene));
    boxes[size_t(i)] = scene.boxes;
  });
  const auto train = int64_t(options.train_frac * double(options.count) + 0.5);
  write_lists(root + "/ImageSets", "train", boxes, 0, train);
  write_lists(root + "/ImageSets", "val", boxes, train, options.count);
  write_lists(root + "/ImageSets", "trainval", boxes, 0, options.count);
}

}  // namespace lucida
