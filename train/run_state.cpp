#include "train/run_state.h"

#include <bit>
#include <map>
#include <sstream>

#include "engine/error.h"

namespace lucida {
namespace {

// Doubles are kept by their bits: text would round them.
std::vector<int64_t> packed(const RunPosition& p) {
  return {p.epoch,      p.batch,     p.step,        std::bit_cast<int64_t>(p.loss_sum),
          p.images,     p.corrected, p.truly_false, std::bit_cast<int64_t>(p.best_map),
          p.best_epoch, p.log_bytes};
}

RunPosition unpacked(const std::vector<int64_t>& v, const std::string& path) {
  require(v.size() == 10, path, ": 'position' has ", v.size(), " values instead of 10");
  return {v[0], v[1], v[2], std::bit_cast<double>(v[3]), v[4], v[5], v[6], std::bit_cast<double>(v[7]),
          v[8], v[9]};
}

// Options that may differ between the interrupted run and the one that goes on: they do not change what a
// step computes. The number of epochs does where the learning rate follows the length of the run.
bool may_differ(const std::string& line, const std::string& config) {
  const std::string name = line.substr(0, line.find(' '));
  if (name == "epochs")
    return config.find("\"cosine\"") + config.find("\"one-cycle\"") == 2 * std::string::npos;
  for (const char* free : {"threads", "workers", "memory-limit", "check-finite", "out", "checkpoint-every",
                           "cams", "max-steps", "skip-bad", "graph", "recompute", "packed"})
    if (name == free)
      return true;
  return false;
}

std::map<std::string, std::string> lines_by_name(const std::string& config) {
  std::map<std::string, std::string> lines;
  std::istringstream text(config);
  for (std::string line; std::getline(text, line);) lines[line.substr(0, line.find(' '))] = line;
  return lines;
}

void require_same_options(const std::string& path, const std::string& then, const std::string& now) {
  auto before = lines_by_name(then), after = lines_by_name(now);
  for (const auto& lines : {before, after})
    for (const auto& [name, line] : lines)
      require(before[name] == after[name] || may_differ(line, now), path, ": the run was started with `",
              before[name], "`, now it is `", after[name], "`: give the same options, or another --out");
}

// A sparse matrix is three lists: values, their columns, and where each row begins.
template <class T>
StoredTensor list_of(const std::vector<T>& values) {
  return StoredTensor::from({int64_t(values.size())}, std::vector<int64_t>(values.begin(), values.end()));
}

void store_labels(LabelMatrix& labels, Safetensors& file) {
  if (!labels.sparse()) {
    const std::vector<int64_t> values(labels.values.begin(), labels.values.end());
    file.tensors["labels.observed"] = StoredTensor::from({labels.rows, labels.columns}, values);
    return;
  }
  labels.settle();
  file.tensors["labels.observed"] = list_of(labels.values);
  file.tensors["labels.columns"] = list_of(labels.listed);
  file.tensors["labels.starts"] = list_of(labels.starts);
}

void restore_labels(LabelMatrix& labels, const Safetensors& file, const std::string& path) {
  const StoredTensor& stored = file.at("labels.observed", path);
  const std::vector<int64_t> values = stored.integers();
  const std::string wrong = ": its observed labels are of another data set";
  if (!labels.sparse()) {
    require(stored.shape == std::vector<int64_t>{labels.rows, labels.columns}, path, wrong);
  } else {
    const std::vector<int64_t> listed = file.at("labels.columns", path).integers();
    labels.starts = file.at("labels.starts", path).integers();
    require(int64_t(labels.starts.size()) == labels.rows + 1 && listed.size() == values.size(), path, wrong);
    labels.listed.assign(listed.begin(), listed.end());
    labels.set.clear();
  }
  labels.values.assign(values.begin(), values.end());
}

}  // namespace

void save_run_state(const std::string& path, const RunParts& run, const RunPosition& position) {
  Safetensors file;
  store_weights(run.model, file);
  run.optimizer.save(file);
  if (run.average)
    run.average->save(file);
  store_labels(run.observed, file);
  const std::vector<int64_t> numbers = packed(position);
  file.tensors["position"] = StoredTensor::from({int64_t(numbers.size())}, numbers);
  file.metadata["config"] = run.config;
  write_safetensors(path, file);
}

RunPosition load_run_state(const std::string& path, RunParts run) {
  const Safetensors file = read_safetensors(path);
  const auto config = file.metadata.find("config");
  require(config != file.metadata.end(), path, ": is no run state: it has no 'config'");
  require_same_options(path, config->second, run.config);
  restore_weights(run.model, file, path);
  run.optimizer.load(file, path);
  if (run.average)
    run.average->load(file, path);
  restore_labels(run.observed, file, path);
  return unpacked(file.at("position", path).integers(), path);
}

}  // namespace lucida
