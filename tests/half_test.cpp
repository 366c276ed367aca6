#include "engine/half.h"

#include <limits>

#include "tests/check.h"

namespace lucida {
namespace {

// A 16-bit float by its definition: sign, exponent and fraction, with `fraction_bits` of the latter.
double by_definition(uint16_t h, int fraction_bits) {
  const int exponent_bits = 15 - fraction_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (h >> fraction_bits) & ((1 << exponent_bits) - 1),
            fraction = h & ((1 << fraction_bits) - 1);
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return fraction ? NAN : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0)
    return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

struct Format {
  int fraction_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
  uint16_t infinity;
};
const Format formats[] = {{10, float_from_f16, f16_from_float, 0x7C00},
                          {7, float_from_bf16, bf16_from_float, 0x7F80}};

TEST_CASE("half: all 65536 values widen exactly and come back") {
  for (const Format& f : formats)
    for (uint32_t h = 0; h < 65536; ++h) {
      const double want = by_definition(uint16_t(h), f.fraction_bits);
      const float got = f.widen(uint16_t(h));
      if (std::isnan(want)) {
        REQUIRE(std::isnan(got));
        REQUIRE(std::isnan(f.widen(f.narrow(got))));
      } else {
        REQUIRE(double(got) == want);
        REQUIRE(std::signbit(got) == bool(h & 0x8000));
        REQUIRE(f.narrow(got) == h);
      }
    }
}

TEST_CASE("half: narrowing rounds to nearest, ties to even, at every boundary") {
  for (const Format& f : formats)
    for (uint32_t h = 0; h + 1 < f.infinity; ++h) {  // between each positive value and the next
      const double low = by_definition(uint16_t(h), f.fraction_bits);
      const double high = by_definition(uint16_t(h + 1), f.fraction_bits);
      const float middle = float((low + high) / 2);
      REQUIRE(double(middle) == (low + high) / 2);  // a float holds it
      for (uint32_t sign : {0x0000u, 0x8000u}) {
        const float side = sign ? -1.0f : 1.0f;
        REQUIRE(f.narrow(side * middle) == (sign | (h % 2 ? h + 1 : h)));
        REQUIRE(f.narrow(side * std::nextafter(middle, 0.0f)) == (sign | h));
        REQUIRE(f.narrow(side * std::nextafter(middle, INFINITY)) == (sign | (h + 1)));
      }
    }
}

TEST_CASE("half: overflow, underflow, NaN") {
  CHECK(f16_from_float(65504) == 0x7BFF);
  CHECK(f16_from_float(65519.996f) == 0x7BFF);
  CHECK(f16_from_float(65520) == 0x7C00);
  CHECK(f16_from_float(-1e30f) == 0xFC00);
  CHECK(f16_from_float(1e-30f) == 0);
  CHECK(f16_from_float(-1e-30f) == 0x8000);
  CHECK(bf16_from_float(3.4e38f) == 0x7F80);
  CHECK(bf16_from_float(std::numeric_limits<float>::denorm_min()) == 0);
  CHECK(bf16_from_float(INFINITY) == 0x7F80);
  // A NaN whose payload lies in the lower half must not become an infinity.
  CHECK(std::isnan(float_from_bf16(bf16_from_float(std::bit_cast<float>(0x7F800001u)))));
  CHECK(std::isnan(float_from_f16(f16_from_float(std::bit_cast<float>(0x7F800001u)))));
}

}  // namespace
}  // namespace lucida
