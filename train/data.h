// What `lucida data stats` shares with train/data.cpp.
#pragma once
#include <string>
#include <vector>

#include "train/options.h"

namespace lucida {

struct DataStatsOptions {
  DataOptions data;
  std::vector<std::string> splits = {"train", "test"};
  bool json = false;
};

void run_data_stats(const DataStatsOptions&);

}  // namespace lucida
