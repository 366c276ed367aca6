#include "models/weights.h"

#include <charconv>
#include <map>
#include <set>

#include "engine/layout.h"
#include "engine/memory.h"

namespace lucida {
namespace {

std::vector<int64_t> dims(const Shape& s) {
  std::vector<int64_t> d;
  for (int i = 0; i < s.rank(); ++i) d.push_back(s[i]);
  return d;
}

void copy_into(const Tensor& parameter, const StoredTensor& stored) {
  const Tensor value = from_file_order(stored.shape, stored.floats());
  copy_memory(parameter.data(), parameter.device(), value.data(), Device{},
              size_t(value.count()) * sizeof(float));
}

bool fits(const Tensor& parameter, const StoredTensor& stored) {
  return stored.dtype != "I64" && stored.shape == dims(file_shape(parameter.shape()));
}

// "conv1.weight" -> "conv1", "layer4.1.bn2.weight" -> "layer4.1"
std::string layer_of(const std::string& name) {
  const size_t dot = name.find('.');
  return name.starts_with("layer") ? name.substr(0, name.find('.', dot + 1)) : name.substr(0, dot);
}

void list(std::ostringstream& text, const std::string& title, const std::vector<std::string>& names) {
  if (names.empty())
    return;
  std::map<std::string, int> layers;
  for (const std::string& name : names) ++layers[layer_of(name)];
  text << "  " << title << " (" << names.size() << " tensors):";
  for (const auto& [layer, count] : layers) text << ' ' << layer;
  text << '\n';
}

int integer(const Safetensors& file, const std::string& path, const std::string& key) {
  const auto it = file.metadata.find(key);
  require(it != file.metadata.end(), path, ": is no checkpoint of this program: its metadata has no '", key,
          "'");
  int value = 0;
  const std::string& text = it->second;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  require(end.ec == std::errc() && end.ptr == text.data() + text.size(), path, ": metadata '", key, "' is '",
          text, "', not a whole number");
  return value;
}

}  // namespace

LoadReport load_weights(ResNetCam& model, const std::string& path) {
  const Safetensors file = read_safetensors(path);
  LoadReport report;
  std::set<std::string> known;
  for (const NamedTensor& t : named_tensors(model)) {
    known.insert(t.name);
    const auto stored = file.tensors.find(t.name);
    if (stored == file.tensors.end()) {
      report.missing.push_back(t.name);
    } else if (!fits(*t.tensor, stored->second)) {
      report.unfit.push_back(t.name);
    } else {
      copy_into(*t.tensor, stored->second);
      report.loaded.push_back(t.name);
    }
  }
  for (const auto& [name, stored] : file.tensors)
    if (!known.contains(name) && !name.ends_with("num_batches_tracked"))
      report.unused.push_back(name);
  require(!report.loaded.empty(), path, ": none of its ", file.tensors.size(),
          " tensors fits this model; names like 'layer1.0.conv1.weight' are expected");
  return report;
}

std::string to_text(const LoadReport& report) {
  std::ostringstream text;
  list(text, "loaded", report.loaded);
  list(text, "not in the file, left at initialisation", report.missing);
  list(text, "did not fit, left at initialisation", report.unfit);
  list(text, "in the file but not in the model", report.unused);
  return text.str();
}

void store_weights(ResNetCam& model, Safetensors& file) {
  for (const NamedTensor& t : named_tensors(model))
    file.tensors[t.name] = StoredTensor::from(dims(file_shape(t.tensor->shape())), to_file_order(*t.tensor));
}

void restore_weights(ResNetCam& model, const Safetensors& file, const std::string& path) {
  for (const NamedTensor& t : named_tensors(model)) {
    const StoredTensor& stored = file.at(t.name, path);
    require(fits(*t.tensor, stored), path, ": '", t.name, "' does not have the shape ",
            file_shape(t.tensor->shape()));
    copy_into(*t.tensor, stored);
  }
}

void save_model(ResNetCam& model, const ModelInfo& info, const std::string& path) {
  Safetensors file;
  store_weights(model, file);
  std::string classes;
  for (const std::string& name : info.classes) classes += (classes.empty() ? "" : "\n") + name;
  std::ostringstream alpha;
  alpha << info.options.alpha;
  file.metadata = {{"format", "lucida"},
                   {"model", "resnet" + std::to_string(info.options.depth)},
                   {"variant", info.options.variant},
                   {"output_stride", std::to_string(info.options.output_stride)},
                   {"width", std::to_string(info.options.width)},
                   {"classes", classes},
                   {"alpha", alpha.str()},
                   {"image_size", std::to_string(info.image_size)}};
  write_safetensors(path, file);
}

ModelInfo read_model_info(const Safetensors& file, const std::string& path) {
  for (const char* key : {"model", "variant", "classes", "alpha"})
    require(file.metadata.contains(key), path, ": is no checkpoint of this program: its metadata has no '",
            key, "'");
  ModelInfo info;
  info.options.depth = resnet_depth(file.metadata.at("model"));
  info.options.variant = file.metadata.at("variant");
  info.options.output_stride = integer(file, path, "output_stride");
  info.image_size = integer(file, path, "image_size");
  if (file.metadata.contains("width"))  // older checkpoints have 64
    info.options.width = integer(file, path, "width");
  try {
    info.options.alpha = std::stof(file.metadata.at("alpha"));
  } catch (const std::exception&) {
    fail(path, ": metadata 'alpha' is '", file.metadata.at("alpha"), "', not a number");
  }
  std::istringstream classes(file.metadata.at("classes"));
  for (std::string name; std::getline(classes, name);) info.classes.push_back(name);
  info.options.classes = int(info.classes.size());
  require(!info.classes.empty(), path, ": its metadata names no classes");
  return info;
}

}  // namespace lucida
