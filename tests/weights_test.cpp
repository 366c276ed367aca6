#include "models/weights.h"

#include <algorithm>

#include "engine/file.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace lucida {
namespace {

bool same_weights(ResNetCam& a, ResNetCam& b) {
  const auto x = named_tensors(a), y = named_tensors(b);
  REQUIRE(x.size() == y.size());
  bool same = true;
  for (size_t i = 0; i < x.size(); ++i) same = same && x[i].tensor->to_host() == y[i].tensor->to_host();
  return same;
}

const ResNetOptions small = {
    .depth = 18, .variant = "v1", .output_stride = 16, .classes = 3, .alpha = 2.5f, .width = 8};

TEST_CASE("weights: a checkpoint brings the whole model back, to the bit") {
  const test::Scratch folder;
  const std::string path = folder.path("best.safetensors");
  ResNetCam model(small, 5);
  model.stem.bn.running_mean.data()[3] = 0.25f;  // buffers too
  save_model(model, {small, {"cat", "dog with space", "\xc3\xa9l\xc3\xa9phant"}, 224}, path);

  const Safetensors file = read_safetensors(path);
  const ModelInfo info = read_model_info(file, path);
  CHECK(info.options.depth == 18);
  CHECK(info.options.variant == "v1");
  CHECK(info.options.output_stride == 16);
  CHECK(info.options.classes == 3);
  CHECK(info.options.width == 8);
  CHECK(info.options.alpha == 2.5f);
  CHECK(info.classes == std::vector<std::string>{"cat", "dog with space", "\xc3\xa9l\xc3\xa9phant"});
  CHECK(info.image_size == 224);
  ResNetCam other(info.options, ResNetCam::NoWeights{});
  CHECK_FALSE(same_weights(model, other));
  restore_weights(other, file, path);
  CHECK(same_weights(model, other));
  CHECK(file.at("conv1.weight", path).shape == std::vector<int64_t>{8, 3, 7, 7});  // OIHW in the file
  const float* w = model.stem.conv.weight.data();                                  // OHWI in memory
  CHECK(file.at("conv1.weight", path).floats()[1 * 49 + 2 * 7 + 5] == w[(2 * 7 + 5) * 3 + 1]);
}

TEST_CASE("weights: a narrower first stage narrows all") {
  ResNetCam model({.depth = 50, .classes = 7, .width = 8}, ResNetCam::NoWeights{});
  for (const NamedTensor& t : named_tensors(model)) {
    if (t.name == "layer4.2.conv2.weight")
      CHECK(t.tensor->shape() == Shape{64, 3, 3, 64});
    if (t.name == "classifier.weight")
      CHECK(t.tensor->shape() == Shape{7, 1, 1, 256});
  }
  CHECK(model(Tensor::full({1, 40, 40, 3}, 0), Mode::eval).logits.shape() == Shape{1, 7});
  CHECK_THROWS_AS(ResNetCam({.width = 0}, ResNetCam::NoWeights{}), Error);
}

TEST_CASE("weights: a file that covers a part is loaded as far as it fits, and reported") {
  const test::Scratch folder;
  const std::string path = folder.path("part.safetensors");
  ResNetCam source({.depth = 18, .classes = 4}), model({.depth = 18, .classes = 3}, ResNetCam::NoWeights{});
  Safetensors file;
  store_weights(source, file);
  std::erase_if(file.tensors, [](const auto& t) { return t.first.starts_with("layer4.1."); });
  file.tensors["fc.weight"] = StoredTensor::from({1, 2}, std::vector<float>{1, 2});
  const std::vector<int64_t> tracked = {7};
  file.tensors["bn1.num_batches_tracked"] = StoredTensor::from({1}, tracked);
  file.tensors["bn1.bias"] = StoredTensor::rounded({64}, std::vector<float>(64, 0.5f), "F16");  // widened
  write_safetensors(path, file);

  const LoadReport report = load_weights(model, path);
  CHECK(report.missing.size() == 10);
  for (const std::string& name : report.missing) CHECK(name.starts_with("layer4.1."));
  CHECK(report.unfit == std::vector<std::string>{"classifier.weight", "classifier.bias"});
  CHECK(report.unused == std::vector<std::string>{"fc.weight"});
  CHECK(report.loaded.size() + report.missing.size() + report.unfit.size() == named_tensors(model).size());
  check_same_bits(model.stages[2][0].path[0].conv.weight, source.stages[2][0].path[0].conv.weight);
  CHECK(model.stem.bn.beta.to_host() == std::vector<float>(64, 0.5f));
  CHECK(model.head.conv.weight.to_host() == std::vector<float>(3 * 512, 0.0f));  // as it was
  const std::string text = to_text(report);
  CHECK(text.find("not in the file, left at initialisation (10 tensors): layer4.1\n") != std::string::npos);
  CHECK(text.find("did not fit, left at initialisation (2 tensors): classifier\n") != std::string::npos);
  CHECK(text.find("in the file but not in the model (1 tensors): fc\n") != std::string::npos);
}

TEST_CASE("weights: files that are not for this model are errors") {
  const test::Scratch folder;
  const std::string path = folder.path("a.safetensors");
  ResNetCam model({.depth = 18, .classes = 3}, ResNetCam::NoWeights{});
  Safetensors file;
  file.tensors["alien"] = StoredTensor::from({1}, std::vector<float>{1});
  write_safetensors(path, file);
  CHECK(error_of([&] { load_weights(model, path); }) ==
        path + ": none of its 1 tensors fits this model; names like 'layer1.0.conv1.weight' are expected");
  CHECK(error_of([&] { restore_weights(model, file, path); }) == path + ": has no tensor 'conv1.weight'");
  CHECK(error_of([&] { read_model_info(file, path); }) ==
        path + ": is no checkpoint of this program: its metadata has no 'model'");
  store_weights(model, file);
  file.tensors["bn1.weight"] = StoredTensor::from({2}, std::vector<float>{1, 2});
  CHECK(error_of([&] { restore_weights(model, file, path); }) ==
        path + ": 'bn1.weight' does not have the shape [64]");
  save_model(model, {{.depth = 18, .classes = 3}, {"a", "b", "c"}, 64}, path);
  Safetensors good = read_safetensors(path), old = good;
  old.metadata.erase("width");  // was always 64 once
  CHECK(read_model_info(old, path).options.width == 64);
  for (const auto& [key, bad, message] :
       {std::array<std::string, 3>{"image_size", "64px",
                                   "metadata 'image_size' is '64px', not a whole number"},
        {"width", "wide", "metadata 'width' is 'wide', not a whole number"},
        {"alpha", "much", "metadata 'alpha' is 'much', not a number"},
        {"model", "vgg", "no model is called 'vgg'"},
        {"classes", "", "its metadata names no classes"}}) {
    Safetensors changed = good;
    changed.metadata[key] = bad;
    const std::string said = error_of([&] { read_model_info(changed, path); });
    CHECK(said.find(message) != std::string::npos);
  }
}

TEST_CASE("weights: a torn checkpoint is an error and leaves the model alone") {
  const test::Scratch folder;
  const std::string path = folder.path("a.safetensors");
  const ResNetOptions options = {.depth = 18, .classes = 3};
  ResNetCam model(options), blank(options, ResNetCam::NoWeights{}), same(options, ResNetCam::NoWeights{});
  save_model(model, {{.depth = 18, .classes = 3}, {"a", "b", "c"}, 64}, path);
  const std::string bytes = read_file(path);
  for (size_t size : {size_t{4}, size_t{1000}, bytes.size() / 2, bytes.size() - 1}) {
    const std::string torn = folder.write("torn.safetensors", bytes.substr(0, size));
    CHECK(error_of([&] { load_weights(blank, torn); }).starts_with(torn + ": "));
    CHECK(same_weights(blank, same));
  }
}

}  // namespace
}  // namespace lucida
