// The explanation study: its statistics by hand, and the command on a small set.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "datasets/scenes.h"
#include "engine/file.h"
#include "tests/program.h"
#include "tests/scratch.h"
#include "train/chart.h"
#include "train/compare_page.h"

namespace lucida {
namespace {

using nlohmann::json;

TEST_CASE("compare: ranks, equal values share their mean rank") {
  CHECK(ranks_of(std::vector<float>{3, 1, 2}) == std::vector<double>{3, 1, 2});
  CHECK(ranks_of(std::vector<float>{5, 1, 5, 0, 5}) == std::vector<double>{4, 2, 4, 1, 4});
}

TEST_CASE("compare: Spearman's correlation") {
  const std::vector<float> a = {1, 2, 3, 4, 5};
  CHECK(spearman(a, std::vector<float>{-9, 0, 1, 50, 51}) == doctest::Approx(1));  // only ranks count
  CHECK(spearman(a, std::vector<float>{5, 4, 3, 2, 1}) == doctest::Approx(-1));
  // 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, -1, 1, -1, 1
  CHECK(spearman(a, std::vector<float>{10, 30, 20, 50, 40}) == doctest::Approx(1 - 6.0 * 4 / 120));
  // ties: ranks 1 2.5 2.5 4 and 1 4 2.5 2.5, whose products sum to 2.25 and squares to 4.5 about the mean
  CHECK(spearman(std::vector<float>{1, 2, 2, 3}, std::vector<float>{1, 3, 2, 2}) == doctest::Approx(0.5));
  CHECK(std::isnan(spearman(a, std::vector<float>(5, 2))));
}

TEST_CASE("compare: BoostLU keeps ranks, so it cannot change the correlation") {
  std::vector<float> map, boosted;
  for (const float v : centred_gaussian(5, 5)) map.push_back(std::sin(40 * v));
  for (const float v : map) boosted.push_back(v > 0 ? 5 * v : v);
  CHECK(spearman(map, centred_gaussian(5, 5)) == spearman(boosted, centred_gaussian(5, 5)));
}

TEST_CASE("compare: the control ranks cells by nearness to the middle") {
  const std::vector<float> g = centred_gaussian(3, 3);
  CHECK(g[4] == doctest::Approx(1));
  CHECK(g[0] < g[1]);
  CHECK(g[1] == doctest::Approx(g[5]));
  CHECK(g[0] == doctest::Approx(g[8]));
}

TEST_CASE("compare: the highest and lowest 5 % of 196 cells are 10") {
  std::vector<float> cells;
  for (int i = 0; i < 196; ++i) cells.push_back(float((i * 37) % 196));
  const Extremes e = extremes_of(cells);
  CHECK(e.top == doctest::Approx(190.5));   // 186 ... 195
  CHECK(e.bottom == doctest::Approx(4.5));  // 0 ... 9
  CHECK(extremes_of(std::vector<float>(20, 3)).top == 3);
  CHECK(extremes_of(std::vector<float>{1, 2}).bottom == 1);
}

TEST_CASE("compare: boxes as numpy's quantiles, whiskers within 1.5 boxes") {
  // numpy.quantile([0..9, 100], [.25, .5, .75]) = 2.5, 5, 7.5
  const BoxPlot b = box_plot({3, 1, 0, 2, 100, 5, 4, 9, 8, 7, 6});
  CHECK(b.quartile1 == 2.5);
  CHECK(b.median == 5);
  CHECK(b.quartile3 == 7.5);
  CHECK(b.low == 0);
  CHECK(b.high == 9);
  CHECK(b.mean == doctest::Approx(145.0 / 11));
  CHECK(box_plot({}).count == 0);
  CHECK(std::isnan(box_plot({}).median));
  CHECK(box_plot({7}).high == 7);
}

TEST_CASE("compare: a density integrates to one and peaks where the values are") {
  const Points d = density(std::vector<double>{0.7, 0.72, 0.74, 0.7, 0.69, 0.1}, -1, 2, 601);
  double area = 0, highest = 0, at = 0;
  for (const auto& [x, y] : d) {
    area += y * 3 / 600;
    if (y > highest) {
      highest = y;
      at = x;
    }
  }
  CHECK(area == doctest::Approx(1).epsilon(0.01));
  CHECK(at == doctest::Approx(0.71).epsilon(0.05));
  CHECK(density(std::vector<double>{}, 0, 1).empty());
}

TEST_CASE("compare: rejection of the largest losses, by hand") {
  LabelMatrix truth(2, 5), observed(2, 5);
  truth.values = {1, 1, 0, 0, 1, 1, 0, 0, 0, 0};
  observed.values = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
  // not observed, highest first: 5 (false negative), 4, 4, 3 (false negative), 0 ...
  const ScoreMatrix logits{2, 5, {9, 5, 4, 0, 3, 9, 4, 0, -1, -1}};
  const std::vector<double> shares = {0, 0.1, 0.2, 0.4, 1};
  const std::vector<Rejection> r = reject(logits, truth, observed, shares);
  CHECK(r[0].rejected == 0);
  CHECK(r[1].precision == 100);
  CHECK(r[1].recall == 50);
  CHECK(r[2].rejected == 3);  // both of the equal ones
  CHECK(r[2].precision == doctest::Approx(100.0 / 3));
  CHECK(r[3].recall == 100);
  CHECK(r[3].precision == 50);
  CHECK(r[4].rejected == 8);  // what is observed is never rejected
  CHECK(rejected_shares().back() == doctest::Approx(0.045));
}

TEST_CASE("compare: text of a page") {
  CHECK(base64("") == "");
  CHECK(base64("M") == "TQ==");
  CHECK(base64("Ma") == "TWE=");
  CHECK(base64("Man\xff") == "TWFu/w==");
  CHECK(escaped("<a & 'b'>") == "&lt;a &amp; &#39;b&#39;&gt;");
  CHECK(compact(1234567) == "1,234,567");
  CHECK(compact(-1000) == "-1,000");
  CHECK(compact(0.5) == "0.5");
  CHECK(compact(72.84) == "72.8");
  CHECK(compact(0.0123) == "0.012");
  CHECK(compact(NAN) == "-");
}

TEST_CASE("chart: marks of an axis reach both of its ends") {
  // -4 ... 104 becomes -20 ... 120 in steps of 20: eight rules, the first and the last at the frame's edges
  const std::string svg = box_chart({"t", "", "y"}, {{"g", {box_plot({-4, 30, 104})}}}, {"#000"});
  for (const char* mark : {">-20<", ">0<", ">120<"}) CHECK(svg.find(mark) != std::string::npos);
  CHECK(svg.find(">140<") == std::string::npos);
}

TEST_CASE("chart: curves and boxes stay inside the picture, one value or none too") {
  const auto highest = [](const std::string& svg) {  // of any coordinate
    double most = 0;
    for (size_t at = svg.find("='"); at != std::string::npos; at = svg.find("='", at + 1))
      if (std::isdigit(svg[at + 2]))
        most = std::max(most, std::stod(svg.substr(at + 2)));
    return most;
  };
  const std::string lines = line_chart({"t", "x", "y"}, {{"a", "#000", {{0, -3}, {1, 1e6}}, true}});
  CHECK(highest(lines) <= 620);
  CHECK(lines.find("nan") == std::string::npos);
  CHECK(line_chart({"t", "x", "y"}, {}).find("nan") == std::string::npos);
  CHECK(line_chart({"t", "x", "y"}, {{"a", "#000", {{2, 2}}}}).find("circle") != std::string::npos);
  const std::string boxes =
      box_chart({"t", "", "y"}, {{"g", {box_plot({1, 2, 3}), box_plot({})}}}, {"#000", "#111"});
  CHECK(highest(boxes) <= 620);
  CHECK(boxes.find("#111") == std::string::npos);
  CHECK(boxes.find("nan") == std::string::npos);
}

struct SmallSet {
  test::Scratch folder;
  std::string root = folder.path("set"), full = folder.path("full/best.safetensors"),
              weak = folder.path("weak/best.safetensors");
  ModelInfo info{
      {.depth = 18, .output_stride = 8, .classes = int(scene_classes().size())}, scene_classes(), 64};

  SmallSet() {
    make_scenes(root, {.count = 8, .size = 64});
    for (const char* name : {"full", "weak"}) make_directories(folder.path(name));
    ResNetCam model(info.options);
    save_model(model, info, full);
    for (const NamedTensor& t : named_tensors(model))  // a map of half the strength
      if (t.name.starts_with("classifier."))
        for (int64_t i = 0; i < t.tensor->count(); ++i) t.tensor->data()[i] *= 0.5f;
    save_model(model, info, weak);
    folder.write("weak/metrics.jsonl",
                 "{\"kind\":\"step\",\"step\":1}\n"
                 "{\"kind\":\"epoch\",\"epoch\":1,\"split\":\"train\",\"corrected\":0,\"corrected_truly_"
                 "positive\":0}\n"
                 "{\"kind\":\"epoch\",\"epoch\":2,\"split\":\"train\",\"corrected\":9,\"corrected_truly_"
                 "positive\":7}\n");
  }
};

TEST_CASE("compare: a model against itself at half strength, and against that boosted by two") {
  const SmallSet set;
  const ProgramResult r = run_lucida({"compare",
                                      "--checkpoint",
                                      set.full,
                                      "--checkpoint",
                                      set.weak,
                                      "--checkpoint",
                                      set.weak,
                                      "--name",
                                      "full",
                                      "--name",
                                      "weak",
                                      "--name",
                                      "weak, boosted",
                                      "--alpha",
                                      "1",
                                      "--alpha",
                                      "1",
                                      "--alpha",
                                      "2",
                                      "--data",
                                      "scenes",
                                      "--root",
                                      set.root,
                                      "--out",
                                      set.folder.path("out"),
                                      "--show",
                                      "3",
                                      "--json"});
  REQUIRE_MESSAGE(r.status == 0, r.err);
  const json j = json::parse(r.out);
  CHECK(j["images"] == 3);
  const json &full = j["models"][0], &weak = j["models"][1], &boosted = j["models"][2];
  CHECK(weak["spearman"]["median"].get<double>() == doctest::Approx(1).epsilon(1e-6));
  CHECK(boosted["spearman"]["median"].get<double>() == doctest::Approx(1).epsilon(1e-6));
  const auto median = [](const json& m, const char* which, const char* end) {
    return m[which][end]["median"].get<double>();
  };
  for (const char* which : {"positives", "negatives"}) {
    CHECK(full[which]["top5"]["count"] == weak[which]["top5"]["count"]);
    CHECK(median(weak, which, "top5") == doctest::Approx(median(full, which, "top5") / 2).epsilon(1e-4));
    CHECK(median(weak, which, "bottom5") ==
          doctest::Approx(median(full, which, "bottom5") / 2).epsilon(1e-4));
  }
  CHECK(weak["rejection"] == full["rejection"]);  // the order of the logits is the same
  CHECK(weak["corrected_by_epoch"][1]["truly_positive"] == 7);
  CHECK(full["corrected_by_epoch"].empty());
  CHECK(j["control"]["count"] == j["positives"]);
  CHECK(json::parse(read_file(set.folder.path("out/compare.json"))) == j);

  const std::string csv = read_file(set.folder.path("out/compare.csv"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 1 + j["positives"].get<int>());
  CHECK(csv.find("\"weak, boosted score\"") != std::string::npos);
  const std::string page = read_file(set.folder.path("out/compare.html"));
  CHECK(page.find("http://www.w3.org/2000/svg") != std::string::npos);
  CHECK(page.find("False negatives rejected in training") != std::string::npos);
  size_t pictures = 0;
  for (size_t at = page.find("data:image/jpeg"); at != std::string::npos;
       at = page.find("data:image/jpeg", at + 1))
    ++pictures;
  CHECK(pictures == 3 * 4);
  for (const char* elsewhere : {"src='http", "href=", "<script"})
    CHECK(page.find(elsewhere) == std::string::npos);
}

TEST_CASE("compare: errors say what to do") {
  const SmallSet set;
  const auto message = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "compare");
    words.insert(words.end(), {"--data", "scenes", "--root", set.root, "--out", set.folder.path("out")});
    const ProgramResult r = run_lucida(words);
    CHECK(r.status == 1);
    return r.err;
  };
  CHECK(test::contains(message({set.full}), "needs two checkpoints or more"));
  CHECK(test::contains(message({set.full, set.weak, "--name", "a"}), "1 names for 2 checkpoints"));
  CHECK(test::contains(message({set.full, set.weak, "--image", "nothing"}),
                       "--image nothing: is none of the images"));
  ModelInfo coarse = set.info;
  coarse.options.output_stride = 32;
  ResNetCam model(coarse.options);
  save_model(model, coarse, set.folder.path("coarse.safetensors"));
  CHECK(test::contains(message({set.full, set.folder.path("coarse.safetensors")}), "only maps of one size"));
}

}  // namespace
}  // namespace lucida
