// Metrics as people and as programs read them; `lucida metrics` and `lucida eval` print both forms.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace lucida {

// {"map":…,"map_of_present":…,"map_of_both":…,"ap":[…],"entries":"all","groups":[…],
//  "op":…,"or":…,"of1":…,"cp":…,"cr":…,"cf1":…,"cf1_of_classes":…,
//  "top3":{the same seven,"precision_at_k":…,"recall_at_k":…}}      null where a class has no entry
nlohmann::ordered_json to_json(const Metrics&, const MetricsRules&);

// A table; AP per class by name, or by number where `classes` is empty.
std::string to_text(const Metrics&, const std::vector<std::string>& classes = {});

// class,group,positives,negatives,ap,precision,recall,f1: a line a class; a field is empty where there is
// nothing to tell.
std::string to_csv(const Metrics&, const MetricsRules&, const std::vector<std::string>& classes = {});

}  // namespace lucida
