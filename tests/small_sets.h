// Data sets of a dozen small images in the very formats of the large ones.
#pragma once
#include <string>

#include "tests/scratch.h"

namespace lucida::test {

// name: "voc", "coco", "nuswide", "cub", "openimages". Ten images to train on, two to test, three classes
// or more. Returns the folder for --root.
std::string write_small_set(const Scratch& folder, const std::string& name);

}  // namespace lucida::test
