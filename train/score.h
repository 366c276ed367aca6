// Metrics as people and as programs read them; `lucida metrics` and `lucida eval` print both forms.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace lucida {

// {"map":…,"ap":[…],"op":…,"or":…,"of1":…,"cp":…,"cr":…,"cf1":…,"cf1_of_classes":…,
//  "top3":{the same seven}}
nlohmann::ordered_json to_json(const Metrics&);

// A table; AP per class by name, or by number where `classes` is empty.
std::string to_text(const Metrics&, const std::vector<std::string>& classes = {});

}  // namespace lucida
