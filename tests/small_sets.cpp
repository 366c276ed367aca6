#include "tests/small_sets.h"

#include "datasets/formatted.h"
#include "datasets/images.h"
#include "datasets/scenes.h"
#include "engine/error.h"
#include "engine/file.h"

namespace lucida::test {
namespace {

constexpr int train_images = 10, test_images = 2, classes = 3;

bool shows(int image, int label) {  // one class at least, and each in some images
  return image % classes == label || (image + label) % 4 == 0;
}

void write_image(const Scratch& folder, const std::string& file, int number) {
  make_directories(std::filesystem::path(folder.path(file)).parent_path());
  write_jpeg(folder.path(file), draw_scene({.size = 40}, number).image);
}

std::string padded(int number, int digits) {
  const std::string text = std::to_string(number);
  return std::string(size_t(digits) - text.size(), '0') + text;
}

template <class Body>
void for_each_image(Body&& body) {  // (number from 1 on, is it of the train split)
  for (int i = 1; i <= train_images + test_images; ++i) body(i, i <= train_images);
}

void write_coco(const Scratch& s) {
  std::string images[2], annotations[2], categories;  // train, val
  int id = 0;
  for_each_image([&](int i, bool train) {
    const std::string split = train ? "train2014" : "val2014",
                      file = "COCO_" + split + "_" + padded(i, 12) + ".jpg";
    write_image(s, split + "/" + file, i);
    const auto item = [](std::string& list, const std::string& text) {
      list += (list.empty() ? "" : ",") + text;
    };
    item(images[!train],
         "{\"id\":" + std::to_string(i) + ",\"file_name\":\"" + file + "\",\"width\":40,\"height\":40}");
    for (int l = 0; l < classes; ++l)
      if (shows(i, l))
        item(annotations[!train], "{\"id\":" + std::to_string(++id) + ",\"image_id\":" + std::to_string(i) +
                                      ",\"category_id\":" + std::to_string(2 * l + 1) +
                                      ",\"iscrowd\":0,\"area\":100,\"bbox\":[5,5,10,10]}");
  });
  for (int l = 0; l < classes; ++l)
    categories += (l ? ",{\"id\":" : "{\"id\":") + std::to_string(2 * l + 1) + ",\"name\":\"class " +
                  std::to_string(l) + "\"}";
  for (const int part : {0, 1})
    s.write(std::string("annotations/instances_") + (part ? "val2014" : "train2014") + ".json",
            "{\"images\":[" + images[part] + "],\"annotations\":[" + annotations[part] +
                "],\"categories\":[" + categories + "]}");
}

void write_arrays(const Scratch& s) {
  FormattedLabels parts[2];
  for (FormattedLabels& part : parts) part.labels.columns = classes;
  for_each_image([&](int i, bool train) {
    FormattedLabels& part = parts[!train];
    part.images.push_back(std::to_string(i) + ".jpg");
    write_image(s, "Flickr/" + part.images.back(), i);
    for (int l = 0; l < classes; ++l) part.labels.values.push_back(shows(i, l));
    ++part.labels.rows;
  });
  write_formatted(s.path(), "train", parts[0]);
  write_formatted(s.path(), "val", parts[1]);
}

void write_cub(const Scratch& s) {
  std::string images, splits, labels, attributes;
  for_each_image([&](int i, bool train) {
    const std::string number = std::to_string(i), file = "001.Bird/Bird_" + number + ".jpg";
    write_image(s, "CUB_200_2011/images/" + file, i);
    images += number + " " + file + "\n";
    splits += number + (train ? " 1\n" : " 0\n");
    for (int l = 0; l < classes; ++l)
      labels += number + " " + std::to_string(l + 1) + (shows(i, l) ? " 1" : " 0") + " 3 1.5\n";
  });
  for (int l = 1; l <= classes; ++l)
    attributes += std::to_string(l) + " has_colour::" + std::to_string(l) + "\n";
  s.write("attributes.txt", attributes);
  s.write("CUB_200_2011/images.txt", images);
  s.write("CUB_200_2011/train_test_split.txt", splits);
  s.write("CUB_200_2011/attributes/image_attribute_labels.txt", labels);
}

void write_openimages(const Scratch& s) {
  std::string lines[2], mids;
  for_each_image([&](int i, bool train) {
    const std::string id = padded(i, 16);
    write_image(s, (train ? "train/" : "test/") + id + ".jpg", i);
    for (int l = 0; l < classes; ++l)
      if (shows(i, l) || (i + l) % 2)  // some are not annotated
        lines[!train] += id + ",verification,/m/0" + std::to_string(l) + (shows(i, l) ? ",1\n" : ",0\n");
  });
  for (int l = 0; l < classes; ++l) mids += "/m/0" + std::to_string(l) + "\n";
  const std::string header = "ImageID,Source,LabelName,Confidence\n";
  s.write("2017_11/classes-trainable.txt", mids);
  s.write("2017_11/train/annotations-human.csv", header + lines[0]);
  s.write("2017_11/test/annotations-human.csv", header + lines[1]);
}

}  // namespace

std::string write_small_set(const Scratch& folder, const std::string& name) {
  if (name == "voc")
    make_scenes(folder.path(), {.count = train_images + test_images, .size = 40, .train_frac = 0.84});
  else if (name == "coco")
    write_coco(folder);
  else if (name == "nuswide")
    write_arrays(folder);
  else if (name == "cub")
    write_cub(folder);
  else if (name == "openimages")
    write_openimages(folder);
  else
    fail("there is no small ", name);
  return folder.path();
}

}  // namespace lucida::test
