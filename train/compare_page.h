// OUT/compare.html: the study as a page for people, complete in one file without scripts.
//
// Read next:  train/compare_page.cpp, train/chart.h
#pragma once
#include <string>
#include <vector>

#include "train/compare_study.h"

namespace lucida {

// A row of pictures: the photo, then each model's map over it with its score. Colours of a row share one
// scale, from 0 to the largest value of the reference's map, so that a weak map looks weak.
struct ShownPositive {
  std::string image, label;
  int width = 0, height = 0;          // of the pictures, pixels
  std::string photo;                  // JPEG
  std::vector<std::string> overlays;  // JPEG, one a model
  std::vector<float> scores;          // one a model
};

// The `most` positives, each of another class while there are enough, that the reference is sure of, that
// some other model misses by most, and that the best of the others finds.
std::vector<Positive> telling_positives(const Study&, size_t most);

ShownPositive show(std::vector<CheckpointModel>&, const Dataset&, const Positive&);

std::string comparison_page(const Study&, const std::string& title, const std::vector<ShownPositive>&);

std::string base64(const std::string& bytes);

}  // namespace lucida
