// What training runs of the tests look at, and what they write.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lucida::test {

// Root of 40 scenes of 48 pixels, made once for all tests of the process: 24 to train on, 16 to test.
const std::string& scenes_root();

// The lines of RUN/metrics.jsonl; and without what depends on the clock.
std::vector<nlohmann::json> log_of(const std::string& run);
std::vector<nlohmann::json> timeless_log(const std::string& run);

}  // namespace lucida::test
