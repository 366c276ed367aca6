// "did you mean …": the known name that is nearest to a misspelt one.
#pragma once
#include <string>
#include <vector>

namespace lucida {

// By Levenshtein's distance; "" when `known` is empty.
std::string nearest_name(const std::string& wrong, const std::vector<std::string>& known);

std::string joined(const std::vector<std::string>& names);  // "a, b, c"

// Throws Error "there is no WHAT 'wrong'; did you mean 'near'? Known: a, b, c".
[[noreturn]] void fail_unknown(const std::string& what, const std::string& wrong,
                               const std::vector<std::string>& known);

}  // namespace lucida
