#include "train/suggest.h"

#include <algorithm>
#include <numeric>

#include "engine/error.h"

namespace lucida {
namespace {

// Levenshtein's distance: insertions, deletions and replacements from a to b.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(const std::string& wrong, const std::vector<std::string>& known) {
  const auto best = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return edit_distance(wrong, a) < edit_distance(wrong, b);
  });
  return best == known.end() ? "" : *best;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void fail_unknown(const std::string& what, const std::string& wrong, const std::vector<std::string>& known) {
  if (known.empty())
    fail("there is no ", what, " '", wrong, "' (there is none at all)");
  fail("there is no ", what, " '", wrong, "'; did you mean '", nearest_name(wrong, known),
       "'? Known: ", joined(known));
}

}  // namespace lucida
