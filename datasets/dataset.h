// A data set in memory: names, labels and paths. Pixels stay on the disk until datasets/loader.h asks.
//
// Every reader (datasets/voc.cpp, folder.cpp, ...) fills the same struct; load_dataset picks the reader.
//
// Read next:  datasets/voc.cpp      the reader of PASCAL VOC, with the facts of its format
//             datasets/loader.h     from paths to batches
//             datasets/labels.h     splits and observed labels
//             docs/data.md          each set: the tree it expects, its rules, its published totals
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/labels.h"

namespace lucida {

// Pixels from the image's upper left corner; xmax and ymax lie one past the last pixel (width = xmax - xmin).
// Readers convert: VOC counts from 1 and includes the last pixel, COCO gives width and height.
struct Box {
  int label = 0;  // column of the label matrix
  float xmin = 0, ymin = 0, xmax = 0, ymax = 0;
  bool difficult = false;  // hard to recognise (VOC) or a crowd (COCO); localisation metrics leave it out
  double area = 0;         // pixels of the object's outline where the set tells them (COCO), else 0
};

struct ImageSize {
  int width = 0, height = 0;
};

struct Count {
  std::string what;
  int64_t count = 0;
};

struct Dataset {
  std::string name;                  // "voc"
  std::string split;                 // as it was asked for: "train", "val", "test", "trainval"
  std::string root;                  // what the paths below are relative to
  std::vector<std::string> classes;  // L names; column l of labels is classes[l]
  std::vector<std::string> images;   // N paths
  LabelMatrix labels;                // N x L: 1 present, 0 absent. Sparse where a set annotates absence too
                                     // (OpenImages): -1 absent, 0 not annotated
  LabelMatrix difficult;             // N x L: 1 where all of a class's objects are difficult; empty: none are
  std::vector<std::vector<Box>> boxes;  // N lists, or empty when not asked for or not annotated
  std::vector<ImageSize> sizes;         // N, read together with the boxes where the set's files tell them
  std::vector<std::string> masks;       // N paths of class masks ("" where an image has none), or empty
  std::vector<int> groups;              // L: 0 the rarest fifth of the classes ... 4 (OpenImages), or empty
  std::vector<Count> counts;            // what the files held, to compare with published totals
  std::vector<std::string> notes;       // what the reader left out or repaired, a sentence each

  int64_t size() const { return int64_t(images.size()); }
  std::string image_path(int64_t i) const {
    return (std::filesystem::path(root) / images[size_t(i)]).string();
  }
  std::string mask_path(int64_t i) const { return (std::filesystem::path(root) / masks[size_t(i)]).string(); }
};

struct DatasetOptions {
  std::string name = "scenes";  // one of known_datasets()
  std::string root;             // the folder the set lies in
  std::string split =
      "train";         // train, val, test or trainval; where a set has no test labels, test is its val
  bool boxes = false;  // read boxes too (one XML file an image in VOC: seconds for the whole set)
};

// Throws Error for an unknown name (listing the known ones), an unknown split, and for anything missing or
// malformed, naming the file and the line.
Dataset load_dataset(const DatasetOptions& options);

std::vector<std::string> known_datasets();

// The readers behind load_dataset.
Dataset load_voc(const DatasetOptions& options);            // datasets/voc.cpp; serves scenes too
Dataset load_coco(const DatasetOptions& options);           // datasets/coco.cpp
Dataset load_nuswide(const DatasetOptions& options);        // datasets/nuswide.cpp: the official lists
Dataset load_nuswide_lists(const DatasetOptions& options);  //   and the text lists
Dataset load_npy(const DatasetOptions& options);            // datasets/npy_set.cpp; serves nuswide-npy too
Dataset load_cub(const DatasetOptions& options);            // datasets/cub.cpp
Dataset load_openimages(const DatasetOptions& options);     // datasets/openimages.cpp
Dataset load_folder(const DatasetOptions& options);         // datasets/folder.cpp

// For sets of two parts: "train" for train and trainval, "test" for val and test.
std::string train_or_test(const std::string& split);

}  // namespace lucida
