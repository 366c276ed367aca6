// runs/NAME/report.html: what happened in a run, for people. Curves are inline SVG; nothing is loaded from
// elsewhere.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/error.h"
#include "engine/file.h"
#include "train/finish.h"

namespace lucida {
namespace {

using Json = nlohmann::json;

struct Curve {
  std::string name, colour;
  std::vector<std::pair<double, double>> points;
};

constexpr double width = 640, height = 240, left = 56, bottom = 30, top = 12, right = 12;

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text)
    safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return safe;
}

std::string rounded(double v) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(v) >= 100 ? "%.0f" : std::abs(v) >= 1 ? "%.1f" : "%.3f", v);
  return text;
}

// A line chart with five horizontal rules.
std::string chart(const std::string& title, const std::string& x_title, const std::vector<Curve>& curves) {
  double x1 = 1, y0 = 1e300, y1 = -1e300;
  for (const Curve& c : curves)
    for (const auto& [x, y] : c.points) x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
  if (y0 > y1)
    return "";
  if (y1 - y0 < 1e-12)
    y1 = y0 + 1;
  const auto px = [&](double x) { return left + (width - left - right) * x / x1; };
  const auto py = [&](double y) { return height - bottom - (height - bottom - top) * (y - y0) / (y1 - y0); };
  std::ostringstream svg;
  svg << "<h2>" << title << "</h2><svg viewBox='0 0 " << width << ' ' << height << "' role='img'>";
  for (int i = 0; i <= 4; ++i) {
    const double y = y0 + (y1 - y0) * i / 4;
    svg << "<line x1='" << left << "' x2='" << width - right << "' y1='" << py(y) << "' y2='" << py(y)
        << "' class='rule'/><text x='" << left - 6 << "' y='" << py(y) + 4 << "' text-anchor='end'>"
        << rounded(y) << "</text>";
  }
  for (const Curve& c : curves) {
    svg << "<polyline fill='none' stroke='" << c.colour << "' stroke-width='2' points='";
    for (const auto& [x, y] : c.points) svg << px(x) << ',' << py(y) << ' ';
    svg << "'/>";
    if (c.points.size() < 2)
      for (const auto& [x, y] : c.points)
        svg << "<circle r='3' fill='" << c.colour << "' cx='" << px(x) << "' cy='" << py(y) << "'/>";
  }
  svg << "<text x='" << width - right << "' y='" << height - 8 << "' text-anchor='end'>" << x_title
      << ", up to " << rounded(x1) << "</text></svg><p>";
  for (const Curve& c : curves) svg << "<b style='color:" << c.colour << "'>" << c.name << "</b> ";
  return svg.str() + "</p>";
}

// At most `most` points, each the mean of its neighbours: a run of COCO has 41,000 steps.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& all,
                                               size_t most) {
  std::vector<std::pair<double, double>> few;
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
    "svg{width:100%;height:auto;background:#f7f8fa;border-radius:6px}svg text{font-size:11px;fill:#667}"
    ".rule{stroke:#dde}table{border-collapse:collapse;width:100%}td{padding:2px 8px}.number{text-align:right}"
    ".bar{width:60%}.bar div{background:#3b6fb6;height:10px;border-radius:5px}img{max-width:100%;margin:4px}"
    "pre{background:#f7f8fa;padding:1rem;overflow:auto}h1 small{color:#667;font-weight:normal}";

}  // namespace

void write_report(const std::string& out, const std::vector<std::string>& classes,
                  const std::string& config) {
  Curve loss{"training loss", "#3b6fb6", {}}, val_loss{"validation loss", "#c2571a", {}},
      map{"mAP", "#2f8f5b", {}};
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
