#include "train/compare_page.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "train/cam_metrics.h"
#include "train/caption.h"
#include "train/chart.h"

namespace lucida {
namespace {

constexpr int picture_side = 208;  // of the longer side on the page, pixels

constexpr const char* style =
    "body{font:16px/1.55 system-ui,Helvetica,Arial,sans-serif;max-width:1180px;margin:2.2rem auto;padding:0 "
    "1.2rem;color:#1d2433}h1{font-size:1.7rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem}"
    "p{max-width:68rem;color:#4a5263;margin:.3rem 0 .8rem}svg{width:100%;height:auto;display:block}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:16px}"
    "table.numbers{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    ".numbers th,.numbers td{padding:5px 12px;text-align:right;border-bottom:1px solid #e3e6ed}"
    ".numbers th{font-weight:600;color:#4a5263;font-size:.86rem}.numbers th:first-child,.numbers "
    "td:first-child{text-align:left}.key{display:inline-block;width:12px;height:12px;border-radius:3px;"
    "margin-right:8px}.maps{overflow-x:auto}.maps table{border-spacing:8px 6px}.maps th{font-size:.86rem;"
    "font-weight:600;color:#4a5263;text-align:center}.maps td{text-align:center;vertical-align:top}"
    ".maps img{display:block;border-radius:6px}.maps "
    ".score{font-variant-numeric:tabular-nums;font-size:.9rem}"
    ".maps .name{text-align:left;font-size:.86rem;color:#4a5263;vertical-align:middle;max-width:9rem}";

std::string legend(const Study& s, bool control) {
  std::string html = "<p>";
  for (size_t i = 0; i < s.models.size(); ++i)
    html += "<span style='margin-right:1.4rem'><span class='key' style='background:" + series_colour(i) +
            "'></span>" + escaped(s.models[i].model.name) + "</span>";
  if (control)
    html += "<span><span class='key' style='background:" + std::string(control_colour) +
            "'></span>Gaussian in the middle (control)</span>";
  return html + "</p>";
}

std::string correlation_chart(const Study& s) {
  std::vector<Series> series;
  for (size_t i = 1; i < s.models.size(); ++i)
    series.push_back(
        {s.models[i].model.name, series_colour(i), density(known(s.models[i].spearman), -1, 1), true});
  series.push_back({"control", control_colour, density(known(s.control), -1, 1), true, true});
  return line_chart(
      {"Rank correlation with the maps of " + s.models[0].model.name, "Spearman's rho", "density"}, series);
}

std::string extremes_chart(const Study& s, const std::string& title, double Extremes::*end) {
  BoxGroup positives{"class is present", {}}, negatives{"class is absent", {}};
  std::vector<std::string> colours;
  for (size_t i = 0; i < s.models.size(); ++i) {
    positives.boxes.push_back(box_plot(ends(s.models[i].positives, end)));
    negatives.boxes.push_back(box_plot(ends(s.models[i].negatives, end)));
    colours.push_back(series_colour(i));
  }
  return box_chart({title, "", "score"}, {positives, negatives}, colours);
}

std::string rejection_chart(const Study& s, const std::string& title, double Rejection::*figure) {
  std::vector<Series> series;
  for (size_t i = 0; i < s.models.size(); ++i) {
    Series one{s.models[i].model.name, series_colour(i), {}};
    for (const Rejection& r : s.models[i].rejection) one.points.emplace_back(100 * r.share, r.*figure);
    one.dots = true;
    series.push_back(std::move(one));
  }
  return line_chart({title, "share of all entries rejected, percent", "percent"}, series);
}

std::string history_chart(const Study& s) {
  std::vector<Series> series;
  for (size_t i = 0; i < s.models.size(); ++i) {
    Series one{s.models[i].model.name, series_colour(i), {}};
    for (const CorrectedEpoch& e : s.models[i].history)
      one.points.emplace_back(double(e.epoch), double(e.truly_positive));
    one.dots = true;
    if (!one.points.empty())
      series.push_back(std::move(one));
  }
  return series.empty()
             ? ""
             : line_chart({"False negatives rejected in training", "epoch", "labels", true, true}, series);
}

std::string cell(double v) {
  return "<td>" + compact(v) + "</td>";
}

std::string numbers(const Study& s) {
  std::string html =
      "<table class='numbers'><tr><th>model<th>&alpha;<th>mAP<th>rank correlation<th>top 5 %, present<th>top "
      "5 %, "
      "absent<th>lowest 5 %, present<th>lowest 5 %, absent</tr>";
  for (size_t i = 0; i < s.models.size(); ++i) {
    const ModelStudy& m = s.models[i];
    const auto median = [](std::vector<double> v) { return box_plot(std::move(v)).median; };
    html += "<tr><td><span class='key' style='background:" + series_colour(i) + "'></span>" +
            escaped(m.model.name) + "</td>" + cell(m.alpha) + cell(m.metrics.map) +
            (i == 0 ? "<td>reference</td>" : cell(median(known(m.spearman)))) +
            cell(median(ends(m.positives, &Extremes::top))) +
            cell(median(ends(m.negatives, &Extremes::top))) +
            cell(median(ends(m.positives, &Extremes::bottom))) +
            cell(median(ends(m.negatives, &Extremes::bottom))) + "</tr>";
  }
  return html + "</table><p>Medians over images and classes.</p>";
}

std::string picture(const ShownPositive& p, const std::string& jpeg, const std::string& what) {
  return "<img width='" + std::to_string(p.width / 2) + "' height='" + std::to_string(p.height / 2) +
         "' alt='" + escaped(what) + "' src='data:image/jpeg;base64," + base64(jpeg) + "'>";
}

std::string maps_table(const Study& s, const std::vector<ShownPositive>& shown) {
  std::string html = "<div class='maps'><table><tr><th></th><th>photo</th>";
  for (const ModelStudy& m : s.models) html += "<th>" + escaped(m.model.name) + "</th>";
  html += "</tr>";
  for (const ShownPositive& p : shown) {
    html += "<tr><td class='name'><b>" + escaped(p.label) + "</b><br>" + escaped(p.image) + "</td><td>" +
            picture(p, p.photo, p.image) + "</td>";
    for (size_t i = 0; i < p.overlays.size(); ++i) {
      char score[16];
      std::snprintf(score, sizeof score, "%.2f", score_of(p.scores[i]));
      html += "<td>" + picture(p, p.overlays[i], p.label + " by " + s.models[i].model.name) +
              "<span class='score'>" + score + "</span></td>";
    }
    html += "</tr>";
  }
  return html + "</table></div>";
}

}  // namespace

std::string base64(const std::string& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < bytes.size() ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : digits[word >> (18 - 6 * k) & 63];
  }
  return text;
}

std::vector<Positive> telling_positives(const Study& s, size_t most) {
  struct Choice {
    size_t positive;
    double worth;
  };
  std::vector<Choice> choices;
  size_t image = 0;
  for (size_t p = 0; p < s.positives.size(); ++p) {
    while (s.rows[image] != s.positives[p].row) ++image;
    const auto score = [&](size_t model) {
      return double(score_of(float(s.models[model].logits.row(int64_t(image))[s.positives[p].label])));
    };
    double lowest = score(0), recovered = 0;
    for (size_t m = 1; m < s.models.size(); ++m) {
      lowest = std::min(lowest, score(m));
      recovered = std::max(recovered, score(m));
    }
    choices.push_back({p, score(0) * (score(0) - lowest) * (0.1 + recovered)});
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const Choice& a, const Choice& b) { return a.worth > b.worth; });
  std::vector<Positive> chosen;
  std::vector<size_t> times(s.classes.size());
  for (size_t round = 1; chosen.size() < std::min(most, choices.size()); ++round)
    for (const Choice& c : choices) {
      const Positive& p = s.positives[c.positive];
      const bool new_here = std::none_of(chosen.begin(), chosen.end(), [&](const Positive& q) {
        return q.row == p.row && q.label == p.label;
      });
      if (chosen.size() < most && new_here && times[size_t(p.label)] < round) {
        ++times[size_t(p.label)];
        chosen.push_back(p);
      }
    }
  return chosen;
}

ShownPositive show(std::vector<CheckpointModel>& models, const Dataset& data, const Positive& p) {
  const Image image = read_image(data.image_path(p.row));
  const double scale = 2.0 * picture_side / std::max(image.width, image.height);  // twice: for dense screens
  const Image photo = resize(image, std::max(1, int(std::lround(scale * image.width))),
                             std::max(1, int(std::lround(scale * image.height))));
  ShownPositive shown{std::filesystem::path(data.images[size_t(p.row)]).stem().string(),
                      data.classes[size_t(p.label)],
                      photo.width,
                      photo.height,
                      encode_jpeg(photo, 85),
                      {},
                      {}};
  float highest = 0;
  for (CheckpointModel& m : models) {
    const SeenMaps seen = Viewer(m.model, false).look(image, m.info.image_size, false, {p.label});
    const Map& map = seen.maps.front();
    if (&m == &models.front())
      highest = *std::max_element(map.values.begin(), map.values.end());
    shown.overlays.push_back(encode_jpeg(overlay(photo, map, highest), 85));
    shown.scores.push_back(seen.logits[size_t(p.label)]);
  }
  return shown;
}

std::string comparison_page(const Study& s, const std::string& title,
                            const std::vector<ShownPositive>& shown) {
  std::string html =
      "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' "
      "content='width=device-width'><title>" +
      escaped(title) + "</title><style>" + style + "</style><h1>" + escaped(title) + "</h1><p>" +
      compact(double(s.rows.size())) + " images, " + compact(double(s.positives.size())) +
      " labels present.</p>";
  html +=
      numbers(s) + "<h2>Do the models look at the same places?</h2>" + legend(s, true) +
      "<p>For each image and class that is present: the rank correlation of a model's map with the "
      "reference's. The control ranks cells by nearness to the middle of the image.</p><div class='charts'>" +
      correlation_chart(s) + "</div>";
  html += "<h2>How strong are the maps?</h2>" + legend(s, false) +
          "<p>The mean of the highest and of the lowest 5 % of a map's cells. Boxes: quartiles and median; "
          "whiskers: the farthest value within 1.5 boxes.</p><div class='charts'>" +
          extremes_chart(s, "Highest 5 % of a map", &Extremes::top) +
          extremes_chart(s, "Lowest 5 % of a map", &Extremes::bottom) + "</div>";
  html += "<h2>Would the false negatives be found?</h2>" + legend(s, false) +
          "<p>Of the labels that were not observed, those with the largest loss are taken for false "
          "negatives, as "
          "large-loss methods do; here over the whole set at once.</p><div class='charts'>" +
          rejection_chart(s, "Found, of all false negatives", &Rejection::recall) +
          rejection_chart(s, "Right, of what is rejected", &Rejection::precision) + history_chart(s) +
          "</div>";
  if (!shown.empty())
    html +=
        "<h2>Maps side by side</h2><p>Colours of a row share one scale, 0 to the largest value of the "
        "reference's map. Below each map: the score.</p>" +
        maps_table(s, shown);
  return html + "</html>\n";
}

}  // namespace lucida
