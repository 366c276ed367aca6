// An own data set: images in a folder and their labels in CSV files.
//   file,labels,split            a header is optional; without one the columns are in this order
//   pictures/a.jpg,cat;dog,train
//   "pictures/b, c.jpg",,val     quoted as in RFC 4180, within one line; no label at all is fine
// Either train.csv, val.csv and test.csv, or one labels.csv whose split column says where a row belongs
// (without that column every row is train). 'test' is val where nothing is marked test. Classes and their
// order come from classes.txt (one a line), or else are all labels of all CSV files, sorted.
//
// Read next:  datasets/dataset.h, tests/folder_test.cpp
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "datasets/dataset.h"
#include "datasets/lines.h"
#include "engine/error.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string file;
  std::vector<std::string> labels;
  std::string split;
  std::string where;  // "path:line", for messages
};

struct Columns {
  size_t file = 0, labels = 1, split = 2;
};

// Recognises a header by the name of one of its columns.
bool read_header(std::vector<std::string> fields, Columns& columns, const std::string& where) {
  const std::map<std::string, size_t Columns::*> known = {
      {"file", &Columns::file},      {"image", &Columns::file},    {"filename", &Columns::file},
      {"path", &Columns::file},      {"labels", &Columns::labels}, {"label", &Columns::labels},
      {"classes", &Columns::labels}, {"split", &Columns::split}};
  constexpr size_t none = size_t(-1);
  Columns found{none, none, none};
  for (size_t i = 0; i < fields.size(); ++i) {
    std::transform(fields[i].begin(), fields[i].end(), fields[i].begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (const auto k = known.find(fields[i]); k != known.end())
      found.*(k->second) = i;
  }
  if (found.file == none)
    return false;
  require(found.labels != none, where, ": the header has a column of files but none named 'labels'");
  columns = found;
  return true;
}

Row make_row(const std::vector<std::string>& fields, const Columns& columns, const std::string& where) {
  require(fields.size() > columns.file && fields.size() > columns.labels, where,
          ": expected file,labels, got ", fields.size(), " column(s)");
  Row row{fields[columns.file], {}, columns.split < fields.size() ? fields[columns.split] : "", where};
  require(!row.file.empty(), where, ": the name of the image is empty");
  std::istringstream names(fields[columns.labels]);
  for (std::string name; std::getline(names, name, ';');)
    if (!trimmed(name).empty())
      row.labels.emplace_back(trimmed(name));
  return row;
}

std::vector<Row> read_csv(const std::string& path) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  LineReader in(path);
  std::vector<Row> rows;
  std::map<std::string, std::string> seen;
  Columns columns;
  bool first = true;
  while (in.next()) {
    std::string_view line = in.line();
    if (in.number() == 1 && line.starts_with(byte_order_mark))
      line.remove_prefix(byte_order_mark.size());
    if (trimmed(line).empty())
      continue;
    const auto fields = split_csv(line, in.where());
    if (std::exchange(first, false) && read_header(fields, columns, in.where()))
      continue;
    rows.push_back(make_row(fields, columns, in.where()));
    const auto [earlier, is_new] = seen.emplace(rows.back().file, in.where());
    require(is_new, in.where(), ": ", rows.back().file, " was listed before, at ", earlier->second);
  }
  return rows;
}

// Every row of the set, its split filled in.
std::vector<Row> read_rows(const fs::path& root) {
  std::vector<Row> rows;
  for (const char* split : {"train", "val", "test"})
    if (const fs::path path = root / (std::string(split) + ".csv"); fs::exists(path))
      for (Row& row : read_csv(path.string())) {
        row.split = split;
        rows.push_back(std::move(row));
      }
  if (!rows.empty())
    return rows;
  const fs::path path = root / "labels.csv";
  require(fs::exists(path), "data set folder: neither train.csv nor labels.csv in ", root.string(),
          "; write one line 'file,label;label' an image");
  rows = read_csv(path.string());
  for (Row& row : rows) {
    row.split = row.split.empty() ? "train" : row.split;
    require(row.split == "train" || row.split == "val" || row.split == "test", row.where, ": split '",
            row.split, "' is none of train, val and test");
  }
  return rows;
}

std::vector<std::string> find_classes(const fs::path& root, const std::vector<Row>& rows) {
  if (const fs::path path = root / "classes.txt"; fs::exists(path)) {
    std::vector<std::string> classes = read_lines(path.string());
    std::set<std::string> distinct(classes.begin(), classes.end());
    require(distinct.size() == classes.size(), path.string(), ": a class is listed twice");
    return classes;
  }
  std::set<std::string> names;
  for (const Row& row : rows) names.insert(row.labels.begin(), row.labels.end());
  return {names.begin(), names.end()};
}

}  // namespace

Dataset load_folder(const DatasetOptions& options) {
  const fs::path root = options.root;
  const auto rows = read_rows(root);
  Dataset data;
  data.name = options.name;
  data.split = options.split;
  data.root = options.root;
  data.classes = find_classes(root, rows);
  std::map<std::string, int64_t> column;
  for (const std::string& name : data.classes) column.emplace(name, int64_t(column.size()));

  const auto has = [&](const char* s) {
    return std::any_of(rows.begin(), rows.end(), [&](auto& r) { return r.split == s; });
  };
  const std::string split = options.split == "test" && !has("test") ? "val" : options.split;
  std::vector<const Row*> chosen;
  for (const Row& row : rows)
    if (row.split == split || (split == "trainval" && row.split != "test"))
      chosen.push_back(&row);
  require(!chosen.empty(), "data set folder: no image of split '", options.split, "' in the CSV files of ",
          options.root);
  data.labels = LabelMatrix(int64_t(chosen.size()), int64_t(data.classes.size()));
  for (const Row* row : chosen) {
    for (const std::string& name : row->labels) {
      const auto found = column.find(name);
      require(found != column.end(), row->where, ": label '", name, "' is not in classes.txt");
      data.labels.at(data.size(), found->second) = 1;
    }
    data.images.push_back(row->file);
  }
  return data;
}

}  // namespace lucida
