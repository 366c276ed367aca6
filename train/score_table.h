// Tables of numbers that `lucida metrics` reads and `lucida eval` writes: .npy, or .csv.
//
// CSV: one image a line, numbers between commas. A first line that does not hold numbers names the columns;
// where its first word is "image", the first column names the images.
//
//     image,bicycle,bird
//     2008_000008,-3.25,1.5
//
// Read next:  train/score_table.cpp, datasets/npy.h
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace lucida {

struct ScoreTable {
  ScoreMatrix scores;
  std::vector<std::string> classes, images;  // empty where the file names none
};

// By the ending of the name. Throws Error naming file and line.
ScoreTable read_score_table(const std::string& path);
LabelMatrix read_label_table(const std::string& path);  // values -1, 0, 1
std::vector<int64_t> read_class_numbers(
    const std::string& path);  // one whole number a class, in a row or a column

void write_score_table(const std::string& path, const ScoreTable&);

std::string csv_field(const std::string& text);  // in quotes where it must be

}  // namespace lucida
