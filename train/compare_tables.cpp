// The study as JSON, as CSV and as a table for people.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "train/compare_study.h"
#include "train/score_table.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const BoxPlot& b) {
  return {{"count", b.count},   {"mean", b.mean},           {"low", b.low},  {"quartile1", b.quartile1},
          {"median", b.median}, {"quartile3", b.quartile3}, {"high", b.high}};
}

Json to_json(const std::vector<Extremes>& all) {
  return {{"top5", to_json(box_plot(ends(all, &Extremes::top)))},
          {"bottom5", to_json(box_plot(ends(all, &Extremes::bottom)))}};
}

Json correlation(const std::vector<double>& values) {
  const std::vector<double> finite = known(values);
  Json j = to_json(box_plot(finite));
  j["constant_maps"] = values.size() - finite.size();
  j["density"] = density(finite, -1, 1, 101);
  return j;
}

Json to_json(const ModelStudy& m) {
  Json j = {{"name", m.model.name},
            {"checkpoint", m.model.checkpoint},
            {"alpha", m.alpha},
            {"map", m.metrics.map},
            {"spearman", correlation(m.spearman)},
            {"positives", to_json(m.positives)},
            {"negatives", to_json(m.negatives)},
            {"rejection", Json::array()},
            {"corrected_by_epoch", Json::array()}};
  for (const Rejection& r : m.rejection)
    j["rejection"].push_back({{"share", r.share},
                              {"rejected", r.rejected},
                              {"false_negatives", r.false_negatives},
                              {"precision", r.precision},
                              {"recall", r.recall}});
  for (const CorrectedEpoch& e : m.history)
    j["corrected_by_epoch"].push_back(
        {{"epoch", e.epoch}, {"corrected", e.corrected}, {"truly_positive", e.truly_positive}});
  return j;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

}  // namespace

Json to_json(const Study& s) {
  Json j = {{"images", s.rows.size()},           {"skipped", s.skipped},
            {"positives", s.positives.size()},   {"classes", s.classes},
            {"control", correlation(s.control)}, {"models", Json::array()}};
  for (const ModelStudy& m : s.models) j["models"].push_back(to_json(m));
  return j;
}

std::string to_csv(const Study& s, const Dataset& data) {
  std::string text = "image,class,control";
  for (const ModelStudy& m : s.models)
    for (const char* column : {"score", "spearman", "top5", "bottom5"})
      text += "," + csv_field(m.model.name + " " + column);
  text += "\n";
  size_t image = 0;
  for (size_t p = 0; p < s.positives.size(); ++p) {
    const Positive& positive = s.positives[p];
    while (s.rows[image] != positive.row) ++image;
    text += csv_field(std::filesystem::path(data.images[size_t(positive.row)]).stem().string()) + "," +
            csv_field(s.classes[size_t(positive.label)]) + format(",%.6f", s.control[p]);
    for (const ModelStudy& m : s.models)
      text += format(",%.6f,%.6f,%.6g,%.6g", score_of(float(m.logits.row(int64_t(image))[positive.label])),
                     m.spearman[p], m.positives[p].top, m.positives[p].bottom);
    text += "\n";
  }
  return text;
}

std::string to_text(const Study& s) {
  std::string text = format("%zu images, %zu labels present; medians\n\n", s.rows.size(), s.positives.size());
  text += format("%-24s %6s %6s %9s %10s %10s %10s %10s\n", "model", "alpha", "mAP", "Spearman", "top 5 % +",
                 "top 5 % -", "low 5 % +", "low 5 % -");
  const auto median = [](const std::vector<double>& values) { return box_plot(values).median; };
  for (const ModelStudy& m : s.models)
    text +=
        format("%-24s %6g %6.2f %9.3f %10.2f %10.2f %10.2f %10.2f\n", m.model.name.c_str(), double(m.alpha),
               m.metrics.map, median(known(m.spearman)), median(ends(m.positives, &Extremes::top)),
               median(ends(m.negatives, &Extremes::top)), median(ends(m.positives, &Extremes::bottom)),
               median(ends(m.negatives, &Extremes::bottom)));
  return text +
         format("%-24s %6s %6s %9.3f\n", "Gaussian (control)", "", "", box_plot(known(s.control)).median);
}

}  // namespace lucida
