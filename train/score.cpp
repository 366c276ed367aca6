#include "train/score.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "train/score_table.h"

namespace lucida {
namespace {

nlohmann::ordered_json to_json(const Agreement& a) {
  return {{"op", a.op},
          {"or", a.overall_recall},
          {"of1", a.of1},
          {"cp", a.cp},
          {"cr", a.cr},
          {"cf1", a.cf1},
          {"cf1_of_classes", a.cf1_of_classes}};
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

std::string line_of(const std::string& rule, const Agreement& a) {
  return format("%-10s %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f\n", rule.c_str(), a.cp, a.cr, a.cf1,
                a.cf1_of_classes, a.op, a.overall_recall, a.of1);
}

std::string name_of(const std::vector<std::string>& classes, size_t l) {
  return l < classes.size() ? classes[l] : std::to_string(l);
}

std::string number_or(const char* pattern, double value, const char* otherwise) {
  return std::isnan(value) ? otherwise : format(pattern, value);
}

}  // namespace

nlohmann::ordered_json to_json(const Metrics& m, const MetricsRules& rules) {
  nlohmann::ordered_json j = {{"map", m.map},
                              {"map_of_present", m.map_of_present},
                              {"map_of_both", m.map_of_both},
                              {"ap", m.ap},
                              {"entries", rules.entries == Entries::all ? "all" : "observed"}};
  if (!m.group_map.empty())
    j["groups"] = m.group_map;
  j.update(to_json(m.threshold));
  for (const TopMetrics& top : m.top) {
    nlohmann::ordered_json& out = j["top" + std::to_string(top.k)] = to_json(top.agreement);
    out["precision_at_k"] = top.precision;
    out["recall_at_k"] = top.recall;
  }
  return j;
}

std::string to_text(const Metrics& m, const std::vector<std::string>& classes) {
  std::string text = format("mAP %.2f %%", m.map);
  for (size_t g = 0; g < m.group_map.size(); ++g)
    text += format("   G%zu %s", g + 1, number_or("%.2f", m.group_map[g], "-").c_str());
  text += format("\n\n%-10s %7s %7s %7s %7s %7s %7s %7s\n", "predicted", "CP", "CR", "CF1", "mean F1", "OP",
                 "OR", "OF1");
  text += line_of("threshold", m.threshold);
  for (const TopMetrics& top : m.top) text += line_of("top " + std::to_string(top.k), top.agreement);
  text += "CF1 is the harmonic mean of CP and CR, mean F1 the mean of the classes' own F1.\n\n";
  for (const TopMetrics& top : m.top)
    text +=
        format("top %d of an image: precision %.2f %%, recall %.2f %%\n", top.k, top.precision, top.recall);
  text += "\nAP per class (%)\n";
  for (size_t l = 0; l < m.ap.size(); ++l)
    text += format("  %-24s %6s\n", name_of(classes, l).c_str(), number_or("%.2f", m.ap[l], "-").c_str());
  return text;
}

std::string to_csv(const Metrics& m, const MetricsRules& rules, const std::vector<std::string>& classes) {
  std::string text = "class,group,positives,negatives,ap,precision,recall,f1\n";
  for (size_t l = 0; l < m.classes.size(); ++l) {
    const ClassMetrics& c = m.classes[l];
    text +=
        csv_field(name_of(classes, l)) + "," + (rules.groups.empty() ? "" : std::to_string(rules.groups[l]));
    text += format(",%lld,%lld,", (long long)c.positives, (long long)c.negatives) +
            number_or("%.6f", c.ap, "") + format(",%.6f,%.6f,%.6f\n", c.precision, c.recall, c.f1);
  }
  return text;
}

}  // namespace lucida
