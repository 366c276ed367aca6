#include "datasets/coco_json.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace lucida {
namespace {

using Json = nlohmann::json;

// Called by the parser. What is open at a time: the file's object (depth 1), a list (2), an entry (3), and
// below it boxes and polygons (4, 5).
class Reader {
 public:
  Reader(const std::string& path, CocoFile& file) : path_(path), file_(file) {}

  bool null() { return true; }
  bool boolean(bool value) { return number(value); }
  bool number_integer(int64_t value) { return number(double(value)); }
  bool number_unsigned(uint64_t value) { return number(double(value)); }
  bool number_float(double value, const std::string&) { return number(value); }
  bool binary(Json::binary_t&) { return true; }
  bool start_array(size_t) { return open(); }
  bool end_array() { return --depth_, true; }
  bool start_object(size_t);
  bool end_object();
  bool key(std::string& name);
  bool string(std::string& text);
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e);

 private:
  enum class List { none, images, annotations, categories };
  bool open() { return ++depth_, true; }
  bool number(double value);
  void set(double value);
  void finish();
  std::string entry() const;
  int64_t whole(double value) const;
  bool field_is(const char* name) const { return field_ == name; }

  const std::string& path_;
  CocoFile& file_;
  int depth_ = 0;
  List list_ = List::none;
  std::string field_;
  int corners_ = 0;  // numbers of `bbox` so far
  CocoImage image_;
  CocoAnnotation annotation_;
  CocoCategory category_;
};

std::string Reader::entry() const {
  const auto name = [](const char* list, size_t i) {
    return std::string(list) + "[" + std::to_string(i) + "]";
  };
  return list_ == List::images        ? name("images", file_.images.size())
         : list_ == List::annotations ? name("annotations", file_.annotations.size())
                                      : name("categories", file_.categories.size());
}

bool Reader::start_object(size_t) {
  if (open() && depth_ == 3) {
    image_ = {};
    annotation_ = {};
    category_ = {};
    corners_ = 0;
  }
  return true;
}

bool Reader::key(std::string& name) {
  if (depth_ == 1)
    list_ = name == "images"        ? List::images
            : name == "annotations" ? List::annotations
            : name == "categories"  ? List::categories
                                    : List::none;
  if (depth_ == 3)
    field_ = name;
  return true;
}

bool Reader::number(double value) {
  if (list_ == List::none)
    return true;
  if (depth_ == 3)
    set(value);
  else if (depth_ == 4 && list_ == List::annotations && field_is("bbox") && corners_ < 4)
    annotation_.box[size_t(corners_++)] = float(value);
  return true;
}

int64_t Reader::whole(double value) const {
  require(value == std::trunc(value) && std::abs(value) < 0x1p53, path_, ": ", entry(), ": ", field_,
          " must be a whole number, got ", value);
  return int64_t(value);
}

void Reader::set(double value) {
  if (list_ == List::images) {
    if (field_is("id"))
      image_.id = whole(value);
    else if (field_is("width"))
      image_.width = int(whole(value));
    else if (field_is("height"))
      image_.height = int(whole(value));
  } else if (list_ == List::annotations) {
    if (field_is("image_id"))
      annotation_.image = whole(value);
    else if (field_is("category_id"))
      annotation_.category = whole(value);
    else if (field_is("iscrowd"))
      annotation_.crowd = value != 0;
    else if (field_is("area"))
      annotation_.area = value;
  } else if (field_is("id")) {
    category_.id = whole(value);
  }
}

bool Reader::string(std::string& text) {
  if (depth_ == 3 && list_ == List::images && field_is("file_name"))
    image_.file = text;
  if (depth_ == 3 && list_ == List::categories && field_is("name"))
    category_.name = text;
  return true;
}

void Reader::finish() {
  const auto need = [&](bool there, const char* what) {
    require(there, path_, ": ", entry(), " has no ", what);
  };
  if (list_ == List::images) {
    need(image_.id >= 0, "id");
    need(!image_.file.empty(), "file_name");
    file_.images.push_back(image_);
  } else if (list_ == List::annotations) {
    need(annotation_.image >= 0, "image_id");
    need(annotation_.category >= 0, "category_id");
    need(corners_ == 4, "bbox of four numbers");
    file_.annotations.push_back(annotation_);
  } else if (list_ == List::categories) {
    need(category_.id >= 0, "id");
    need(!category_.name.empty(), "name");
    file_.categories.push_back(category_);
  }
}

bool Reader::end_object() {
  if (depth_ == 3)
    finish();
  --depth_;
  return true;
}

bool Reader::parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) {
  const std::string text =
      e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 9: ..."
  fail(path_, ": no valid JSON: ", text.substr(std::min(text.find("] ") + 2, text.size())));
}

}  // namespace

CocoFile read_coco(const std::string& path) {
  require(!std::filesystem::is_directory(path), path, ": is a folder, not a file");
  std::vector<char> buffer(size_t{1} << 20);
  std::ifstream in;
  in.rdbuf()->pubsetbuf(buffer.data(), std::streamsize(buffer.size()));
  in.open(path, std::ios::binary);
  require(in.good(), path, ": cannot be opened: ", std::strerror(errno));
  CocoFile file;
  Reader reader(path, file);
  Json::sax_parse(in, &reader);
  require(!file.categories.empty(), path, ": has no categories: is it an instances file of COCO?");
  require(!file.annotations.empty(), path, ": has no annotations");
  return file;
}

}  // namespace lucida
