// A generated data set: textured shapes on busy backgrounds, with everything VOC has (labels, boxes, masks).
//
// It stands in for photographs where none are to be had, so the whole of Lucida can be tried, tested and
// timed on any machine. A class is a shape with a colour that is typical of it but seen only in most of
// its objects, as with real things; texture, size, rotation, place, background and what covers what are drawn
// at random. Every number comes from Philox by (seed, image), so a set is the same wherever and with however
// many threads it is made.
//
// Read next:  datasets/scenes.cpp       what is drawn where, and the files
//             datasets/scene_shapes.h   the classes: distance to each outline
//             datasets/scene_paint.h    textures and backgrounds
#pragma once
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/images.h"
#include "datasets/mask.h"

namespace lucida {

struct SceneOptions {
  int64_t count = 2000;
  int size = 112;  // pixels, width = height, at least 32
  uint64_t seed = 1;
  double train_frac = 0.6;  // the rest is val
};

struct Scene {
  Image image;
  Mask mask;
  std::vector<Box> boxes;  // of what can be seen of each object; difficult where less than 45 % can
};

std::vector<std::string> scene_classes();  // sorted
Scene draw_scene(const SceneOptions&, int64_t number);

// Writes DIR/VOCdevkit/VOC2012/{JPEGImages,Annotations,SegmentationClass,ImageSets}. Images are drawn on all
// threads; the lists are written last, so a set that is not whole is not taken for one.
void make_scenes(const std::string& folder, const SceneOptions&);

}  // namespace lucida
