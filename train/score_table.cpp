#include "train/score_table.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "datasets/formatted.h"
#include "datasets/npy.h"
#include "engine/error.h"
#include "engine/file.h"

namespace lucida {
namespace {

bool is_csv(const std::string& path) {
  return std::filesystem::path(path).extension() == ".csv";
}

// Fields of a line; a quote inside quotes is doubled.
std::vector<std::string> fields_of(const std::string& line, const std::string& where) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      fields.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else if (c != '\r')
      fields.back() += c;
  }
  require(!quoted, where, ": a quote is not closed");
  return fields;
}

bool read_number(const std::string& field, double& value) {
  const size_t begin = field.find_first_not_of(" \t+"), end = field.find_last_not_of(" \t");
  if (begin == std::string::npos)
    return false;
  const char* last = field.data() + end + 1;
  const auto result = std::from_chars(field.data() + begin, last, value);
  return result.ec == std::errc() && result.ptr == last;
}

bool names_columns(const std::vector<std::string>& fields) {
  double ignored;
  for (const std::string& field : fields)
    if (!read_number(field, ignored))
      return true;
  return false;
}

void append_row(ScoreTable& table, const std::vector<std::string>& fields, bool named,
                const std::string& where) {
  const int64_t columns = int64_t(fields.size()) - named;
  if (table.scores.rows == 0 && table.classes.empty())
    table.scores.columns = columns;
  require(columns == table.scores.columns, where, ": ", columns, " numbers, but ", table.scores.columns,
          " columns before");
  if (named)
    table.images.push_back(fields.front());
  for (size_t i = named; i < fields.size(); ++i) {
    double value = 0;
    require(read_number(fields[i], value), where, ": field ", i + 1, " is not a number: '", fields[i], "'");
    table.scores.values.push_back(value);
  }
  ++table.scores.rows;
}

ScoreTable read_csv(const std::string& path) {
  std::istringstream lines(read_file(path));
  ScoreTable table;
  bool named = false;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    const std::string where = path + ":" + std::to_string(number);
    std::vector<std::string> fields = fields_of(line, where);
    if (table.scores.rows == 0 && table.classes.empty() && names_columns(fields)) {
      named = fields.front() == "image";
      fields.erase(fields.begin(), fields.begin() + named);
      table.classes = std::move(fields);
      table.scores.columns = int64_t(table.classes.size());
      continue;
    }
    append_row(table, fields, named, where);
  }
  return table;
}

}  // namespace

ScoreTable read_score_table(const std::string& path) {
  if (is_csv(path))
    return read_csv(path);
  const NpyArray array = read_npy(path);
  require(array.shape.size() == 2, path, ": scores have two dimensions (images, classes), this array has ",
          array.shape.size());
  return {{array.shape[0], array.shape[1], array.as<double>()}, {}, {}};
}

LabelMatrix read_label_table(const std::string& path) {
  if (!is_csv(path))
    return read_label_matrix(path);
  const ScoreMatrix read = read_csv(path).scores;
  LabelMatrix labels(read.rows, read.columns);
  for (size_t i = 0; i < read.values.size(); ++i) {
    const double v = read.values[i];
    require(v == -1 || v == 0 || v == 1, path, ": labels are -1, 0 or 1, row ", int64_t(i) / read.columns,
            " column ", int64_t(i) % read.columns, " holds ", v);
    labels.values[i] = int8_t(v);
  }
  return labels;
}

std::vector<int64_t> read_class_numbers(const std::string& path) {
  if (!is_csv(path))
    return read_npy(path).as<int64_t>();
  const ScoreMatrix read = read_csv(path).scores;
  require(read.rows == 1 || read.columns == 1, path, ": one number a class is expected, this table has ",
          read.rows, " x ", read.columns);
  std::vector<int64_t> numbers;
  for (const double v : read.values) {
    require(v == std::floor(v) && std::abs(v) < 9e15, path, ": ", v, " is not a whole number");
    numbers.push_back(int64_t(v));
  }
  return numbers;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos)
    return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void write_score_table(const std::string& path, const ScoreTable& table) {
  const ScoreMatrix& s = table.scores;
  if (!is_csv(path)) {
    write_npy(path, {s.rows, s.columns}, s.values);
    return;
  }
  std::string text = "image";
  for (const std::string& name : table.classes) text += "," + csv_field(name);
  text += "\n";
  char number[32];
  for (int64_t i = 0; i < s.rows; ++i) {
    text += csv_field(table.images[size_t(i)]);
    for (int64_t l = 0; l < s.columns; ++l) {
      std::snprintf(number, sizeof number, ",%.9g", s.row(i)[l]);  // 9 digits: every float comes back
      text += number;
    }
    text += "\n";
  }
  write_file_atomically(path, text);
}

}  // namespace lucida
