// The label files that partial-label projects exchange, a folder for each data set:
//   formatted_{train,val}_images.npy       N paths, unicode
//   formatted_{train,val}_labels.npy       N x L, 0/1
//   formatted_{train,val}_labels_obs.npy   N x L, -1 observed absent, 0 not observed, +1 observed present
// "val" there is the test set. Numbers are written as int8; any number type is read.
//
// Read next:  datasets/labels.h (observe), datasets/npy.h
#pragma once
#include <string>
#include <vector>

#include "datasets/labels.h"

namespace lucida {

struct FormattedLabels {
  std::vector<std::string> images;  // N
  LabelMatrix labels;               // N x L
  LabelMatrix observed;             // N x L, or empty when there is no such file
};

// part: "train" or "val". Throws Error when row counts differ or a value is none of -1, 0, 1.
FormattedLabels read_formatted(const std::string& folder, const std::string& part);
void write_formatted(const std::string& folder, const std::string& part, const FormattedLabels&);

// One N x L matrix of -1/0/1.
LabelMatrix read_label_matrix(const std::string& path);
void write_label_matrix(const std::string& path, const LabelMatrix&);

}  // namespace lucida
