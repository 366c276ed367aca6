#include "datasets/formatted.h"

#include <filesystem>

#include "datasets/npy.h"
#include "engine/error.h"
#include "engine/file.h"

namespace lucida {
namespace {

std::string file_of(const std::string& folder, const std::string& part, const char* what) {
  require(part == "train" || part == "val", "formatted label files: part must be train or val, got ", part);
  return folder + "/formatted_" + part + "_" + what + ".npy";
}

}  // namespace

LabelMatrix read_label_matrix(const std::string& path) {
  const NpyArray array = read_npy(path);
  require(array.shape.size() == 2, path,
          ": a label matrix has two dimensions (images, classes), this array has ", array.shape.size());
  LabelMatrix labels(array.shape[0], array.shape[1]);
  labels.values = array.as<int8_t>();
  for (size_t i = 0; i < labels.values.size(); ++i)
    require(labels.values[i] >= -1 && labels.values[i] <= 1, path, ": row ", int64_t(i) / labels.columns,
            " column ", int64_t(i) % labels.columns, " is ", +labels.values[i], ", expected -1, 0 or 1");
  return labels;
}

void write_label_matrix(const std::string& path, const LabelMatrix& labels) {
  if (!labels.sparse())
    return write_npy(path, {labels.rows, labels.columns}, labels.values);
  require(labels.rows * labels.columns < int64_t{1} << 32, path, ": ", labels.rows, " x ", labels.columns,
          " labels are too many for one array; the sparse labels of this set stay with the set");
  std::vector<int8_t> dense(size_t(labels.rows) * size_t(labels.columns));
  for (int64_t i = 0; i < labels.rows; ++i) labels.copy_row(i, dense.data() + i * labels.columns);
  write_npy(path, {labels.rows, labels.columns}, dense);
}

FormattedLabels read_formatted(const std::string& folder, const std::string& part) {
  FormattedLabels out;
  const std::string images = file_of(folder, part, "images"), labels = file_of(folder, part, "labels"),
                    observed = file_of(folder, part, "labels_obs");
  out.images = read_npy(images).strings();
  out.labels = read_label_matrix(labels);
  require(out.labels.rows == int64_t(out.images.size()), labels, ": ", out.labels.rows, " rows for the ",
          out.images.size(), " images of ", images);
  if (std::filesystem::exists(observed)) {
    out.observed = read_label_matrix(observed);
    require(out.observed.rows == out.labels.rows && out.observed.columns == out.labels.columns, observed,
            ": ", out.observed.rows, " x ", out.observed.columns, ", but ", labels, " is ", out.labels.rows,
            " x ", out.labels.columns);
  }
  return out;
}

void write_formatted(const std::string& folder, const std::string& part, const FormattedLabels& f) {
  require(f.labels.rows == int64_t(f.images.size()), "write_formatted: ", f.labels.rows, " label rows for ",
          f.images.size(), " images");
  make_directories(folder);
  write_npy(file_of(folder, part, "images"), f.images);
  write_label_matrix(file_of(folder, part, "labels"), f.labels);
  if (!f.observed.empty())
    write_label_matrix(file_of(folder, part, "labels_obs"), f.observed);
}

}  // namespace lucida
