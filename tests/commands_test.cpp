// The smaller sub-commands as programs: files in, files and JSON out.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/device.h"
#include "models/weights.h"
#include "tests/program.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

using nlohmann::json;

std::string output_of(const std::vector<std::string>& words) {
  const ProgramResult r = run_lucida(words);
  CHECK_MESSAGE(r.status == 0, r.err);
  return r.out;
}

TEST_CASE("commands: data split equals numpy's") {
  const test::Scratch folder;
  output_of(
      {"data", "split", "--count", "5717", "--val-frac", "0.2", "--seed", "1200", "--out", folder.path()});
  const NpyArray array = read_npy(folder.path("val.npy"));
  CHECK(array.item_bytes == 8);
  const std::vector<int64_t> val = array.as<int64_t>();
  REQUIRE(val.size() == 1143);
  CHECK(std::vector<int64_t>(val.begin(), val.begin() + 6) == std::vector<int64_t>{5, 6, 11, 15, 22, 23});
  CHECK(std::accumulate(val.begin(), val.end(), int64_t{0}) == 3242061);
  CHECK(read_npy(folder.path("train.npy")).shape == std::vector<int64_t>{4574});
}

TEST_CASE("commands: data observe keeps what numpy's generator keeps") {
  const test::Scratch folder;
  const std::vector<int8_t> labels = {1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1};
  write_npy(folder.path("labels.npy"), {4, 5}, labels);
  output_of({"data", "observe", "--labels", folder.path("labels.npy"), "--pos", "2", "--neg", "1", "--out",
             folder.path("observed.npy")});
  CHECK(read_label_matrix(folder.path("observed.npy")).values ==
        std::vector<int8_t>{1, 0, 0, 1, -1, -1, 1, 0, 0, 0, 0, 0, 1, 1, -1, -1, 0, 0, 1, 1});
}

TEST_CASE("commands: data make-scenes, stats, dump and export agree") {
  const test::Scratch folder;
  const std::string root = folder.path("set");
  output_of({"data", "make-scenes", "--out", root, "--count", "10", "--image-size", "40", "--seed", "2"});
  const json stats =
      json::parse(output_of({"data", "stats", "--data", "scenes", "--root", root, "--json"}))["splits"];
  CHECK(stats["train"]["images"] == 6);
  CHECK(stats["test"]["images"] == 4);
  output_of({"data", "dump", "--data", "scenes", "--root", root, "--split", "train", "--count", "5",
             "--image-size", "32", "--batch", "2", "--out", folder.path("x.npy"), "--labels-out",
             folder.path("y.npy")});
  CHECK(read_npy(folder.path("x.npy")).shape == std::vector<int64_t>{5, 3, 32, 32});
  output_of({"data", "export", "--data", "scenes", "--root", root, "--out", folder.path("formatted")});
  const FormattedLabels train = read_formatted(folder.path("formatted"), "train");
  const LabelMatrix dumped = read_label_matrix(folder.path("y.npy"));
  CHECK(std::equal(dumped.values.begin(), dumped.values.end(), train.labels.values.begin()));
  int64_t labels = 0, observed = 0;
  for (const int8_t v : train.labels.values) labels += v == 1;
  for (const int8_t v : train.observed.values) observed += v == 1;
  CHECK(stats["train"]["labels"] == labels);
  CHECK(observed == 6);
}

TEST_CASE("commands: op reads and writes N,C,H,W") {
  const test::Scratch folder;
  write_npy(folder.path("x.npy"), {1, 2, 1, 2}, std::vector<float>{-1, 2, 3, -4});
  write_npy(folder.path("dy.npy"), {1, 2, 1, 2}, std::vector<float>{5, 6, 7, 8});
  const json j = json::parse(
      output_of({"op", "relu", "--input", "x=" + folder.path("x.npy"), "--grad", "y=" + folder.path("dy.npy"),
                 "--rung", "0", "--out", folder.path("out"), "--json"}));
  CHECK(j["outputs"]["y"]["shape"] == json{1, 2, 1, 2});
  CHECK(read_npy(folder.path("out/y.npy")).as<float>() == std::vector<float>{0, 2, 3, 0});
  CHECK(read_npy(folder.path("out/dx.npy")).as<float>() == std::vector<float>{0, 6, 7, 0});
  CHECK(run_lucida({"op", "relu", "--out", folder.path("out")}).status == 1);
}

TEST_CASE("commands: op runs CUDA kernels emulated, in bf16 too") {
  const test::Scratch folder;
  write_npy(folder.path("x.npy"), {1, 2, 1, 2}, std::vector<float>{-1, 2.01f, 3, -4});
  for (const char* precision : {"f32", "bf16"}) {
    const json j =
        json::parse(output_of({"op", "relu", "--device", "emulated", "--precision", precision, "--input",
                               "x=" + folder.path("x.npy"), "--out", folder.path("out"), "--json"}));
    CHECK(j["device"] == "emulated");
    CHECK(j["precision"] == precision);
    const float two = precision[0] == 'b' ? 2.015625f : 2.01f;
    CHECK(read_npy(folder.path("out/y.npy")).as<float>() == std::vector<float>{0, two, 3, 0});
  }
}

TEST_CASE("commands: info lists devices, and kernels with their type and when they are used") {
  const json j = json::parse(output_of({"info", "--json"}));
  CHECK(j["devices"][0]["device"] == "cpu");
  CHECK(j["devices"][1]["device"].get<std::string>().starts_with("cuda"));
  CHECK(j["devices"][1].contains("missing") == !has_device(Device::cuda));
  CHECK(j["devices"].back()["device"] == "emulated");
  std::set<std::string> types, devices;
  for (const json& k : j["kernels"]) {
    types.insert(k["dtype"]);
    devices.insert(k["device"]);
    CHECK((k["use"] == "" || k["use"] == "--precision tf32" || k["use"] == "on request"));
  }
  CHECK(types.contains("f32"));
  CHECK(types.contains("bf16"));
  CHECK(devices.contains("emulated"));
  const std::string text = output_of({"info"});
  if (!runtime_of(Device::cuda))
    CHECK(text.find("cuda       none: this build has no device kernels") != std::string::npos);
  CHECK(text.find("for tests and `lucida op`") != std::string::npos);
}

TEST_CASE("commands: metrics prints one JSON object") {
  const json j = json::parse(output_of({"metrics", "--scores", "tests/fixtures/metrics/scores.npy",
                                        "--labels", "tests/fixtures/metrics/labels.npy", "--json"}));
  CHECK(j["ap"].size() == 12);
  CHECK(j["ap"][5] == 100);
}

TEST_CASE("commands: bench step says who holds what at the peak, and recompute needs less") {
  const auto memory = [](const std::string& option) {
    const json j = json::parse(
        output_of({"bench", "step", "--model", "resnet18", "--batch", "8", "--image-size", "96", "--repeats",
                   "1", "--quiet", "0", "--device", "cpu", "--memory", option, "--json"}))["memory"];
    double sum = 0, uses = 0;
    std::set<std::string> layers;
    for (const json& h : j["holders"]) {
      sum += h["mib"].get<double>();
      layers.insert(h["layer"]);
    }
    for (const json& use : j["by_use"]) uses += use.get<double>();
    CHECK(sum == doctest::Approx(j["peak_mib"].get<double>()));
    CHECK(uses == doctest::Approx(sum));
    CHECK(layers.contains("layer1.0"));
    CHECK(j["by_use"]["optimizer"].get<double>() == doctest::Approx(j["by_use"]["parameters"]).epsilon(0.01));
    return j["peak_mib"].get<double>();
  };
  CHECK(memory("--recompute") < memory("--repeats=1"));
  const ProgramResult text =
      run_lucida({"bench", "step", "--model", "resnet18", "--batch", "2", "--image-size", "64", "--repeats",
                  "1", "--quiet", "0", "--device", "cpu", "--memory"});
  CHECK(text.out.find("tensors at the peak, MiB") != std::string::npos);
  CHECK(text.out.find("optimizer moments") != std::string::npos);
}

TEST_CASE("commands: bench infer, folded and not") {
  for (const std::string option : {"--fold", "--no-fold"}) {
    const json j =
        json::parse(output_of({"bench", "infer", "--model", "resnet18", "--batch", "2", "--image-size", "64",
                               "--repeats", "1", "--quiet", "0", "--device", "cpu", option, "--json"}));
    CHECK(j["folded"] == (option == "--fold"));
    CHECK(j["images_per_s"] > 0);
    CHECK(j["batch1_ms"] > 0);
  }
}

TEST_CASE("commands: predict and info read a checkpoint; alpha changes the scores") {
  const test::Scratch folder;
  const ModelInfo info{{.depth = 18, .classes = 3}, {"a", "b", "c"}, 64};
  ResNetCam model(info.options);
  save_model(model, info, folder.path("model.safetensors"));
  output_of({"data", "make-scenes", "--out", folder.path("set"), "--count", "2", "--image-size", "40"});
  std::string image;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path("set")))
    if (entry.path().extension() == ".jpg")
      image = entry.path();
  const auto predict = [&](const std::string& alpha) {
    return json::parse(
        output_of({"predict", "--checkpoint", folder.path("model.safetensors"), "--image", image, "--top",
                   "2", "--alpha", alpha, "--json"}))["images"][0]["predictions"];
  };
  CHECK(predict("1").size() == 2);
  const json plain = json::parse(output_of({"predict", "--checkpoint", folder.path("model.safetensors"),
                                            "--image", image, "--alpha", "1", "--no-fold", "--json"}));
  CHECK(predict("1")[0]["logit"].get<float>() ==
        doctest::Approx(plain["images"][0]["predictions"][0]["logit"].get<float>()).epsilon(1e-5));
  CHECK(predict("5")[0]["logit"] > predict("1")[0]["logit"]);
  const json j = json::parse(output_of({"info", "--checkpoint", folder.path("model.safetensors"), "--json"}));
  CHECK(j["tensors"].size() == named_tensors(model).size());
  CHECK(json::parse(output_of({"info", "--model", "resnet50", "--classes", "1000", "--image-size", "224",
                               "--json"}))["parameters"] == 25557032);  // torchvision's count
}

}  // namespace
}  // namespace lucida
