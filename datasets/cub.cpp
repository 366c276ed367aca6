// CUB-200-2011 (Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", CNS-TR-2011-001): birds with 312
// binary attributes an image, which are the labels here (the species is not).
//   attributes.txt                       "1 has_bill_shape::curved_(up_or_down)": beside CUB_200_2011/ in the
//                                        archive; inside it, or in its attributes/, it is found too
//   CUB_200_2011/images.txt              "1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"
//   CUB_200_2011/train_test_split.txt    "1 0": 1 train, 0 test
//   CUB_200_2011/attributes/image_attribute_labels.txt
//                                        "1 1 0 3 27.7080": image, attribute, present, certainty, seconds;
//                                        312 lines an image, in the order of images.txt: 3,677,856 in all
//   CUB_200_2011/images/...
// As in the literature: certainty is ignored, and 'not visible' is absent. Some lines of the published file
// have fields too many; the first three are what counts, and how many there were is noted. A missing or
// misplaced line is an error: it would shift every label after it.
// Rows are in the order of images.txt; val is test.
//
// Read next:  datasets/lines.h, tests/cub_test.cpp
#include <filesystem>

#include "datasets/dataset.h"
#include "datasets/lines.h"

namespace lucida {
namespace {

namespace fs = std::filesystem;

fs::path find_layout(const DatasetOptions& o) {
  for (const fs::path& folder : {fs::path(o.root), fs::path(o.root) / "CUB_200_2011"})
    if (fs::exists(folder / "images.txt"))
      return folder;
  fail("data set cub: no images.txt in ", o.root,
       " nor in CUB_200_2011 under it; --root must name the folder ", "of the unpacked CUB_200_2011.tgz");
}

std::vector<std::string> read_attributes(const fs::path& root) {
  for (const fs::path& folder : {root.parent_path(), root, root / "attributes"}) {
    const fs::path path = folder / "attributes.txt";
    if (!fs::exists(path))
      continue;
    std::vector<std::string> names;
    LineReader in(path.string());
    while (in.next()) {
      Words words(in.line());
      if (const auto id = words.next(); !id.empty()) {
        in.check(in.whole(id, "an attribute's number") == int64_t(names.size()) + 1, "expected attribute ",
                 names.size() + 1, ", got '", in.line(), "'");
        in.check(!words.rest().empty(), "attribute ", id, " has no name");
        names.emplace_back(words.rest());
      }
    }
    return names;
  }
  fail("data set cub: no attributes.txt beside or in ", root.string(),
       "; the archive CUB_200_2011.tgz has it at its top, beside the folder");
}

struct Picture {
  int64_t id;
  std::string path;
  bool train;
};

std::vector<Picture> read_pictures(const fs::path& root) {
  std::vector<Picture> pictures;
  LineReader images((root / "images.txt").string()), split((root / "train_test_split.txt").string());
  while (images.next()) {
    Words words(images.line());
    const std::string_view id = words.next(), path = words.rest();
    if (id.empty())
      continue;
    images.check(!path.empty(), "expected an image's number and path, got '", images.line(), "'");
    pictures.push_back({images.whole(id, "an image's number"), "images/" + std::string(path), false});
    require(split.next(), split.path(), ": ends after ", split.number(), " lines, before image ", id, " of ",
            images.path());
    Words pair(split.line());
    split.check(pair.next() == id, "expected image ", id, " as in ", images.path(), ", got '", split.line(),
                "'");
    const std::string_view part = pair.next();
    split.check(part == "0" || part == "1", "expected 1 (train) or 0 (test), got '", split.line(), "'");
    pictures.back().train = part == "1";
  }
  require(!pictures.empty(), images.path(), ": lists no image");
  return pictures;
}

// Reads the labels of all pictures and keeps those of `train` or of the others.
void read_labels(Dataset& data, const fs::path& root, const std::vector<Picture>& pictures, bool train) {
  LineReader in((root / "attributes" / "image_attribute_labels.txt").string());
  const auto attributes = int64_t(data.classes.size());
  int64_t row = 0, with_more = 0;
  for (const Picture& p : pictures) {
    for (int64_t a = 0; a < attributes; ++a) {
      require(in.next(), in.path(), ": ends after ", in.number(), " lines, at attribute ", a + 1,
              " of image ", p.id, ": ", pictures.size(), " images have ", attributes, " lines each");
      Words words(in.line());
      const int64_t image = in.whole(words.next(), "an image's number"),
                    attribute = in.whole(words.next(), "an attribute's number");
      in.check(image == p.id && attribute == a + 1, "expected attribute ", a + 1, " of image ", p.id,
               ", got '", in.line(), "'");
      const std::string_view present = words.next();
      in.check(present == "0" || present == "1", "expected 1 (present) or 0, got '", in.line(), "'");
      words.next();  // certainty
      words.next();  // seconds
      with_more += !words.rest().empty();
      if (p.train == train)
        data.labels.at(row, a) = present == "1";
    }
    row += p.train == train;
  }
  in.check(!in.next() || in.line().empty(), "more lines than ", attributes, " for each of ", pictures.size(),
           " images");
  data.counts = {{"lines of attribute labels", attributes * int64_t(pictures.size())}};
  if (with_more > 0)
    data.notes.push_back(in.path() + ": " + std::to_string(with_more) +
                         " lines have fields too many; their first three were read");
}

}  // namespace

Dataset load_cub(const DatasetOptions& options) {
  const fs::path root = fs::absolute(find_layout(options)).lexically_normal();
  const bool train = train_or_test(options.split) == "train";
  Dataset data;
  data.name = options.name;
  data.split = options.split;
  data.root = root.string();
  data.classes = read_attributes(root);
  const std::vector<Picture> pictures = read_pictures(root);
  for (const Picture& p : pictures)
    if (p.train == train)
      data.images.push_back(p.path);
  require(!data.images.empty(), (root / "train_test_split.txt").string(), ": no image of split ",
          options.split);
  data.labels = LabelMatrix(data.size(), int64_t(data.classes.size()));
  read_labels(data, root, pictures, train);
  return data;
}

}  // namespace lucida
