#include "train/cam_pictures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>

#include "datasets/npy.h"
#include "engine/file.h"
#include "train/caption.h"
#include "train/checkpoint_model.h"

namespace lucida {
namespace {

constexpr int overlay_side = 480, cell_side = 232, margin = 12;  // pixels
constexpr size_t sheet_rows = 12;

struct ShownClass {
  std::string name, score;
  Map map;
};

struct ShownImage {
  std::string name;  // of the files: "2008_000008"
  Image photo;
  std::vector<ShownClass> classes;
};

// Its longer side becomes `side`.
Image fitted(const Image& image, int side) {
  const double scale = double(side) / std::max(image.width, image.height);
  return resize(image, std::max(1, int(std::lround(scale * image.width))),
                std::max(1, int(std::lround(scale * image.height))));
}

std::vector<int> classes_to_show(const ModelInfo& info, const std::vector<float>& logits,
                                 const std::vector<std::string>& wanted) {
  std::vector<int> columns;
  for (const std::string& name : wanted) columns.push_back(class_named(info, name));
  if (!wanted.empty())
    return columns;
  columns.resize(info.classes.size());
  std::iota(columns.begin(), columns.end(), 0);
  std::stable_sort(columns.begin(), columns.end(),
                   [&](int a, int b) { return logits[size_t(a)] > logits[size_t(b)]; });
  size_t count = 1;
  while (count < std::min<size_t>(3, columns.size()) && logits[size_t(columns[count])] >= 0) ++count;
  columns.resize(count);
  return columns;
}

Map map_of(const Shape& s, const std::vector<float>& maps, int column) {  // [1,H,W,L]
  Map map{int(s[1]), int(s[2]), {}};
  for (int64_t i = 0; i < s[1] * s[2]; ++i) map.values.push_back(maps[size_t(i * s[3] + column)]);
  return map;
}

ShownImage look_at(ResNetInference& model, const ModelInfo& info, const std::string& path,
                   const std::vector<std::string>& classes) {
  ShownImage shown{std::filesystem::path(path).stem().string(), read_image(path), {}};
  const ResNetCam::Output seen = model(image_tensor(shown.photo, info.image_size, model.device()));
  const std::vector<float> logits = seen.logits.to_host(), maps = seen.maps.to_host();
  for (const int column : classes_to_show(info, logits, classes)) {
    char score[16];
    std::snprintf(score, sizeof score, "%.2f", score_of(logits[size_t(column)]));
    shown.classes.push_back({info.classes[size_t(column)], score, map_of(seen.maps.shape(), maps, column)});
  }
  shown.photo = fitted(shown.photo, overlay_side);
  return shown;
}

std::string file_name(std::string name) {
  for (char& c : name)
    if (c == '/' || c == ' ' || c == '\\')
      c = '_';
  return name;
}

// In the middle of a square cell.
void place(Image& sheet, const Image& picture, size_t row, size_t column, const std::string& left,
           const std::string& right) {
  Image cell = blank(cell_side, cell_side, {34, 37, 45});
  const Image small = fitted(picture, cell_side);
  paste(cell, small, (cell_side - small.width) / 2, (cell_side - small.height) / 2);
  paste(sheet, captioned(cell, left, right), margin + int(column) * (cell_side + margin),
        margin + int(row) * (cell_side + caption_height + margin));
}

// A row an image: the photo, then its overlays.
Image make_sheet(std::span<const ShownImage> images) {
  size_t columns = 1;
  for (const ShownImage& image : images) columns = std::max(columns, 1 + image.classes.size());
  Image sheet = blank(margin + int(columns) * (cell_side + margin),
                      margin + int(images.size()) * (cell_side + caption_height + margin), dark);
  for (size_t row = 0; row < images.size(); ++row) {
    place(sheet, images[row].photo, row, 0, images[row].name, "");
    for (size_t c = 0; c < images[row].classes.size(); ++c) {
      const ShownClass& shown = images[row].classes[c];
      place(sheet, overlay(images[row].photo, shown.map), row, 1 + c, shown.name, shown.score);
    }
  }
  return sheet;
}

void write_overlays(const ShownImage& image, const std::string& out, bool raw_maps, CamPictures& written) {
  for (const ShownClass& shown : image.classes) {
    const std::string base = out + "/" + file_name(image.name + "_" + shown.name);
    write_png(base + ".png", captioned(overlay(image.photo, shown.map), shown.name, shown.score));
    written.overlays.push_back(base + ".png");
    if (!raw_maps)
      continue;
    write_npy(base + ".npy", {shown.map.height, shown.map.width}, shown.map.values);
    written.maps.push_back(base + ".npy");
  }
}

}  // namespace

CamPictures write_cam_pictures(ResNetInference model, const ModelInfo& info,
                               const std::vector<std::string>& images,
                               const std::vector<std::string>& classes, const std::string& out,
                               bool raw_maps) {
  for (const std::string& name : classes) class_named(info, name);  // before any file is written
  make_directories(out);
  CamPictures written;
  std::map<std::string, int> seen;  // images of the same name from different folders get a number
  std::vector<ShownImage> page;
  const auto finish_page = [&] {
    if (page.empty() || (written.overlays.size() < 2 && written.sheets.empty()))
      return;
    const size_t number = written.sheets.size() + 1;
    const std::string path = out + "/sheet" + (number > 1 ? "_" + std::to_string(number) : "") + ".png";
    write_png(path, make_sheet(page));
    written.sheets.push_back(path);
    page.clear();
  };
  for (const std::string& path : images) {
    ShownImage shown = look_at(model, info, path, classes);
    if (const int times = ++seen[shown.name]; times > 1)
      shown.name += "_" + std::to_string(times);
    write_overlays(shown, out, raw_maps, written);
    page.push_back(std::move(shown));
    if (page.size() == sheet_rows)
      finish_page();
  }
  finish_page();
  return written;
}

}  // namespace lucida
