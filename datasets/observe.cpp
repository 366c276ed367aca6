#include "datasets/observe.h"

#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

#include "engine/error.h"

namespace lucida {
namespace {

template <class Number>
Number number_of(const std::string& text, const std::string& key) {
  Number value{};
  const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(wrong == std::errc() && stop == text.data() + text.size(), "--observe ", key, ": '", text,
          "' is not a number that fits");
  return value;
}

void set(Observation& o, const std::string& key, const std::string& value) {
  if (key == "pos")
    o.pos = number_of<int64_t>(value, key);
  else if (key == "neg")
    o.neg = number_of<int64_t>(value, key);
  else if (key == "seed")
    o.seed = number_of<uint32_t>(value, key);
  else if (key == "p")
    o.p = number_of<double>(value, key);
  else if (key == "bias")
    o.bias = value == "uniform" ? "" : value;
  else
    fail("--observe knows pos, neg, seed, p, bias and the word full, not '", key, "'");
}

// Weight of each class in an image: what its objects cover, or how near they are to the centre.
void weigh(const Dataset& data, int64_t i, bool by_size, std::vector<double>& weights) {
  std::fill(weights.begin(), weights.end(), 0.0);
  const ImageSize size = by_size ? ImageSize{} : data.sizes[size_t(i)];
  for (const Box& b : data.boxes[size_t(i)]) {
    if (data.labels.at(i, b.label) != 1)
      continue;  // a class of which only difficult objects are there is no label
    const double width = double(b.xmax) - b.xmin, height = double(b.ymax) - b.ymin;
    const double area = b.area > 0 ? b.area : width * height;
    const double distance =
        std::hypot(b.xmin + width / 2 - 0.5 * size.width, b.ymin + height / 2 - 0.5 * size.height);
    weights[size_t(b.label)] += by_size ? area : 1 / (distance == 0 ? 0.0005 : distance);
  }
}

// random.choices(range(L), weights)[0] of Python.
int64_t draw(NumpyRandom& random, const std::vector<double>& weights, std::vector<double>& sums) {
  std::partial_sum(weights.begin(), weights.end(), sums.begin());
  const double x = random.uniform() * sums.back();
  return std::upper_bound(sums.begin(), sums.end() - 1, x) - sums.begin();
}

LabelMatrix observe_biased(const Dataset& data, const Observation& rule) {
  const bool by_size = rule.bias == "size";
  require(data.boxes.size() == data.images.size() && (by_size || data.sizes.size() == data.images.size()),
          "--observe bias=", rule.bias, " needs boxes", by_size ? "" : " and the images' sizes",
          ", which data set ", data.name, " does not have");
  NumpyRandom random = NumpyRandom::as_python(rule.seed);
  std::vector<double> weights(data.classes.size()), sums(weights.size());
  LabelMatrix observed(data.size(), int64_t(data.classes.size()));
  for (int64_t i = 0; i < data.size(); ++i) {
    require(by_size || data.sizes[size_t(i)].width > 0, "--observe bias=location: the size of ",
            data.images[size_t(i)], " is not in its annotation");
    weigh(data, i, by_size, weights);
    for (int64_t k = 0; rule.pos < 0 || k < rule.pos; ++k) {
      if (std::accumulate(weights.begin(), weights.end(), 0.0) <= 0)
        break;  // all are chosen, or none has a box
      const int64_t column = draw(random, weights, sums);
      observed.at(i, column) = 1;
      weights[size_t(column)] = 0;
    }
  }
  return observed;
}

}  // namespace

Observation Observation::parse(const std::string& text) {
  Observation o;
  bool counts = false, chance = false;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find('=');
    if (part == "full") {
      o.pos = o.neg = -1;
      continue;
    }
    const std::string key = part.substr(0, equals);
    require(equals != std::string::npos, "--observe needs pos=1,neg=0,seed=1200, got '", part, "'");
    set(o, key, part.substr(equals + 1));
    counts |= key == "pos" || key == "neg";
    chance |= key == "p";
  }
  require(o.pos >= -1 && o.neg >= -1, "--observe: pos and neg are counts, or -1 for all of them");
  require(!chance || (o.p >= 0 && o.p <= 1), "--observe: p is a probability, got ", o.p);
  require(o.bias.empty() || o.bias == "size" || o.bias == "location",
          "--observe knows bias=size, bias=location and bias=uniform, not '", o.bias, "'");
  require(o.p < 0 || (!counts && o.bias.empty()), "--observe: p observes each entry on its own; leave out ",
          "pos, neg and bias");
  require(o.bias.empty() || o.neg == 0, "--observe: bias is of the positive; leave out neg");
  return o;
}

LabelMatrix observe(const LabelMatrix& labels, const Observation& rule) {
  require(!rule.needs_boxes(), "--observe bias=", rule.bias,
          " needs the boxes of a data set (--data, --root)");
  return rule.p >= 0 ? observe_entries(labels, rule.p, rule.seed)
                     : observe(labels, rule.pos, rule.neg, rule.seed);
}

LabelMatrix observe(const Dataset& data, const Observation& rule) {
  return rule.needs_boxes() ? observe_biased(data, rule) : observe(data.labels, rule);
}

}  // namespace lucida
