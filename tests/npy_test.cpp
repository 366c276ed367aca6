// .npy files as numpy writes them, our own read back, and damaged ones.
#include "datasets/npy.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "datasets/formatted.h"
#include "engine/error.h"
#include "engine/file.h"
#include "tests/scratch.h"

using namespace lucida;
using namespace lucida::test;

namespace {
const std::string fixtures = "tests/fixtures/images/";
}

TEST_CASE("npy: arrays that numpy wrote") {
  const NpyArray f4 = read_npy(fixtures + "numpy_f4.npy");
  CHECK(f4.shape == std::vector<int64_t>{2, 3});
  CHECK(f4.as<float>() == std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1.25f});
  CHECK(f4.as<double>()[5] == 1.25);
  const auto f8 = read_npy(fixtures + "numpy_f8_fortran.npy");
  CHECK(f8.shape == std::vector<int64_t>{2, 3, 4});
  const auto values = f8.as<int64_t>();
  for (int64_t i = 0; i < 24; ++i) CHECK(values[size_t(i)] == i);
  CHECK(read_npy(fixtures + "numpy_bool.npy").as<int8_t>() == std::vector<int8_t>{1, 0, 1});
  const auto scalar = read_npy(fixtures + "numpy_i8_scalar.npy");
  CHECK(scalar.shape.empty());
  CHECK(scalar.as<int32_t>() == std::vector<int32_t>{-5});
  CHECK(read_npy(fixtures + "numpy_v2.npy").as<uint8_t>() == std::vector<uint8_t>{0, 1, 2, 3});
  CHECK(read_npy(fixtures + "numpy_unicode.npy").strings() ==
        std::vector<std::string>{"JPEGImages/2008_000008.jpg", "", "Straße/猫😀.png"});
}

TEST_CASE_TEMPLATE("npy: what is written is read back", T, float, double, int8_t, uint8_t, int32_t, int64_t) {
  const Scratch scratch;
  const std::vector<T> values = {T(1), T(0), T(3), T(100), T(7), T(5)};
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{6}, {2, 3}, {1, 3, 2, 1}}) {
    write_npy(scratch.path("x.npy"), shape, values);
    const NpyArray back = read_npy(scratch.path("x.npy"));
    CHECK(back.shape == shape);
    CHECK(back.as<T>() == values);
    const std::string bytes = read_file(scratch.path("x.npy"));
    CHECK((bytes.size() - values.size() * sizeof(T)) % 64 == 0);
  }
  write_npy(scratch.path("none.npy"), {0, 4}, std::vector<T>{});
  CHECK(read_npy(scratch.path("none.npy")).shape == std::vector<int64_t>{0, 4});
  CHECK_THROWS_AS(write_npy(scratch.path("x.npy"), {7}, values), Error);
}

TEST_CASE("npy: bytes equal numpy's") {
  const Scratch scratch;
  write_npy(scratch.path("x.npy"), {2, 3}, std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1.25f});
  CHECK(read_file(scratch.path("x.npy")) == read_file(fixtures + "numpy_f4.npy"));
  const auto strings = read_npy(fixtures + "numpy_unicode.npy").strings();
  write_npy(scratch.path("u.npy"), strings);
  CHECK(read_file(scratch.path("u.npy")) == read_file(fixtures + "numpy_unicode.npy"));
}

TEST_CASE("npy: refused files are named, with the reason") {
  const Scratch scratch;
  CHECK(contains(error_of([&] { read_npy(scratch.path("none.npy")); }), "none.npy"));
  CHECK(contains(error_of([&] { read_npy(scratch.write("a.npy", "hello, world")); }),
                 "a.npy: not a .npy file"));
  CHECK(contains(error_of([&] { read_npy(scratch.write("b.npy", "")); }), "b.npy"));
  CHECK(contains(error_of([&] { read_npy(fixtures + "numpy_big_endian.npy"); }), "'>f4'"));
  CHECK(contains(error_of([&] { read_npy(fixtures + "numpy_object.npy"); }), "'|O'"));
  CHECK(contains(error_of([&] { read_npy(fixtures + "numpy_f4.npy").strings(); }), "holds numbers"));
  CHECK(contains(error_of([&] { read_npy(fixtures + "numpy_unicode.npy").as<float>(); }), "holds text"));
  CHECK(contains(error_of([&] { read_npy(fixtures + "numpy_f4.npy").as<int8_t>(); }), "element 1 is 0.25"));
  write_npy(scratch.path("big.npy"), {2}, std::vector<int64_t>{1, 300});
  CHECK(contains(error_of([&] { read_npy(scratch.path("big.npy")).as<int8_t>(); }), "element 1 is 300"));
  CHECK(contains(error_of([&] { read_npy(scratch.path("big.npy")).as<uint8_t>(); }), "element 1 is 300"));
}

TEST_CASE("npy: a file cut off anywhere or changed anywhere is an error or an array, never a crash") {
  for (const char* name : {"numpy_f4.npy", "numpy_unicode.npy", "numpy_v2.npy", "numpy_f8_fortran.npy"}) {
    const std::string bytes = read_file(fixtures + name);
    for (size_t n = 0; n < bytes.size(); ++n)
      CHECK_THROWS_AS(parse_npy(std::string_view(bytes).substr(0, n), name), Error);
    for (size_t at = 0; at < std::min<size_t>(bytes.size(), 128); ++at)
      for (const char replacement : {'\0', '9', '\xff', ' ', '\''}) {
        std::string changed = bytes;
        changed[at] = replacement;
        const auto message = error_of([&] { parse_npy(changed, name).count(); });
        CHECK((message.empty() || message.starts_with(name)));
      }
  }
}

TEST_CASE("npy: a shape that does not fit into memory is refused before anything is allocated") {
  const Scratch scratch;
  write_npy(scratch.path("x.npy"), {4}, std::vector<int8_t>(4));
  std::string bytes = read_file(scratch.path("x.npy"));
  for (const char* shape :
       {"(4294967296, 4294967296), }", "(99999999999999999,), }", "(9223372036854775807,), }", "(-4,), }"}) {
    std::string changed = bytes;
    const size_t at = changed.find("(4,)");
    changed.replace(at, std::string(shape).size(), shape);
    CHECK(contains(error_of([&] { parse_npy(changed, "x.npy"); }), "x.npy"));
  }
}

TEST_CASE("npy: the label files that partial-label projects share") {
  const Scratch scratch;
  FormattedLabels f;
  f.images = {"a.jpg", "b.jpg", "c.jpg"};
  f.labels = LabelMatrix(3, 2);
  f.labels.at(1, 1) = 1;
  write_formatted(scratch.path("voc"), "train", f);
  CHECK(read_formatted(scratch.path("voc"), "train").observed.empty());
  f.observed = observe(f.labels, 1, 1, 3);
  write_formatted(scratch.path("voc"), "train", f);
  const FormattedLabels back = read_formatted(scratch.path("voc"), "train");
  CHECK(back.images == f.images);
  CHECK(back.labels == f.labels);
  CHECK(back.observed == f.observed);

  CHECK(contains(error_of([&] { read_formatted(scratch.path("voc"), "val"); }), "formatted_val_images.npy"));
  CHECK_THROWS_AS(read_formatted(scratch.path("voc"), "test"), Error);
  write_npy(scratch.path("voc/formatted_train_labels.npy"), {3, 2}, std::vector<double>{0, 1, 0, 0, 0, 5});
  CHECK(contains(error_of([&] { read_formatted(scratch.path("voc"), "train"); }), "row 2 column 1 is 5"));
  write_npy(scratch.path("voc/formatted_train_labels.npy"), {2, 2}, std::vector<double>{0, 1, 0, 0});
  CHECK(contains(error_of([&] { read_formatted(scratch.path("voc"), "train"); }), "2 rows for the 3 images"));
}
