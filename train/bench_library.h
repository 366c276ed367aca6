// A library's convolutions, to compare `lucida bench layers` with. Linked only on request: make ONEDNN=1
// (train/bench_onednn.cpp). Nothing else in the program calls it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "layers/conv2d.h"

namespace lucida {

enum class ConvPass { forward, backward_data, backward_weight };

// One way to compute a pass: what can be prepared was prepared, operands lie in the layout that it asked for.
struct LibraryCall {
  std::string how;  // "its own layouts", "channels last"
  std::function<void()> run;
};

struct ConvLibrary {
  std::string name;  // "oneDNN 2.6.3"
  // Every way worth trying with as many threads as the kernels use; the fastest counts.
  std::vector<LibraryCall> (*calls)(const Conv2dSizes&, ConvPass);
};

// What is linked; null in a build without one.
inline const ConvLibrary* conv_library = nullptr;

}  // namespace lucida
