// What a training run wrote.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lucida::test {

// The lines of RUN/metrics.jsonl; and without what depends on the clock.
std::vector<nlohmann::json> log_of(const std::string& run);
std::vector<nlohmann::json> timeless_log(const std::string& run);

}  // namespace lucida::test
