// runs/NAME/report.html: what happened in a run, for people. Curves are inline SVG; nothing is loaded from
// elsewhere.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/error.h"
#include "engine/file.h"
#include "train/chart.h"
#include "train/finish.h"

namespace lucida {
namespace {

using Json = nlohmann::json;

std::string rounded(double v) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(v) >= 100 ? "%.0f" : std::abs(v) >= 1 ? "%.1f" : "%.3f", v);
  return text;
}

std::string chart(const std::string& title, const std::string& x_title, const std::vector<Series>& series) {
  std::string names;
  for (const Series& s : series)
    if (!s.points.empty())
      names += "<b style='color:" + s.colour + "'>" + s.name + "</b> ";
  return names.empty() ? "" : line_chart({title, x_title, "", false, true}, series) + "<p>" + names + "</p>";
}

// At most `most` points, each the mean of its neighbours: a run of COCO has 41,000 steps.
Points thinned(const Points& all, size_t most) {
  Points few;
  const size_t each = all.size() / most + 1;
  for (size_t i = 0; i < all.size(); i += each) {
    const size_t end = std::min(all.size(), i + each);
    double sum = 0;
    for (size_t k = i; k < end; ++k) sum += all[k].second;
    few.emplace_back(all[end - 1].first, sum / double(end - i));
  }
  return few;
}

std::string ap_table(const Json& test, const std::vector<std::string>& classes) {
  if (!test.contains("ap") || test["ap"].size() != classes.size())
    return "";
  std::ostringstream html;
  html << "<h2>Average precision on the test split</h2><table>";
  for (size_t l = 0; l < classes.size(); ++l) {
    const double ap = test["ap"][l].get<double>();
    html << "<tr><td>" << escaped(classes[l]) << "</td><td class='number'>" << rounded(ap)
         << "</td><td class='bar'><div style='width:" << ap << "%'></div></td></tr>";
  }
  return html.str() + "</table>";
}

std::string pictures(const std::string& out) {
  const std::filesystem::path folder = out + "/cams";
  if (!std::filesystem::is_directory(folder))
    return "";
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".png")
      names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  std::string html = "<h2>Class activation maps</h2>";
  for (const std::string& name : names)
    html += "<img loading='lazy' src='cams/" + escaped(name) + "' alt=''>";
  return html;
}

constexpr const char* style =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;color:#1d2433}"
    "svg{width:100%;height:auto;margin-top:1rem}table{border-collapse:collapse;width:100%}td{padding:2px "
    "8px}.number{text-align:right}"
    ".bar{width:60%}.bar div{background:#3b6fb6;height:10px;border-radius:5px}img{max-width:100%;margin:4px}"
    "pre{background:#f7f8fa;padding:1rem;overflow:auto}h1 small{color:#667;font-weight:normal}";

}  // namespace

void write_report(const std::string& out, const std::vector<std::string>& classes,
                  const std::string& config) {
  Series loss{"training loss", series_colour(0), {}}, val_loss{"validation loss", series_colour(1), {}},
      map{"mAP", series_colour(2), {}};
  Json test;
  std::istringstream log(read_file(out + "/metrics.jsonl"));
  double steps_an_epoch = 1;
  for (std::string text; std::getline(log, text);) {
    const Json line = Json::parse(text, nullptr, false);
    require(!line.is_discarded(), out, "/metrics.jsonl: a line is not JSON: ", text);
    if (line["kind"] == "step") {
      loss.points.emplace_back(line["step"], line["loss"]);
      steps_an_epoch = line["step"].get<double>() / line["epoch"].get<double>();
    }
    if (line["kind"] == "epoch" && line["split"] == "val") {
      map.points.emplace_back(line["epoch"], line["map"]);
      val_loss.points.emplace_back(line["epoch"].get<double>() * steps_an_epoch, line["loss"]);
    }
    if (line["kind"] == "test")
      test = line;
  }
  loss.points = thinned(loss.points, 400);
  std::ostringstream html;
  html << "<!doctype html><meta charset='utf-8'><title>" << escaped(out) << "</title><style>" << style
       << "</style><h1>" << escaped(out);
  if (test.contains("map"))
    html << " <small>test mAP " << rounded(test["map"].get<double>()) << ", weights of epoch "
         << test["epoch"] << "</small>";
  html << "</h1>" << chart("Loss", "step", {loss, val_loss})
       << chart("Validation mAP, percent", "epoch", {map}) << pictures(out) << ap_table(test, classes)
       << "<h2>Options</h2><pre>" << escaped(config) << "</pre>";
  write_file_atomically(out + "/report.html", html.str());
}

}  // namespace lucida
