#include "train/caption.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace lucida {
namespace {

struct Glyph {
  char letter;
  std::string_view
      strokes;  // polylines of points "xy"; y: 1 top of capitals, 3 of small letters, 7 base line, 9
};

constexpr Glyph glyphs[] = {
    {'a', "4433130406173746 4347"},
    {'b', "0107 0413334446371706"},
    {'c', "4433130406173746"},
    {'d', "4147 4433130406173746"},
    {'e', "05454433130406173746"},
    {'f', "31211217 0333"},
    {'g', "4348391908 4433130406173746"},
    {'h', "0107 0413334447"},
    {'i', "0307 0101"},
    {'j', "131809 1111"},
    {'k', "0107 330537"},
    {'l', "0107"},
    {'m', "0307 0413233437 3443536467"},
    {'n', "0307 0413334447"},
    {'o', "133344463717060413"},
    {'p', "0309 0413334446371706"},
    {'q', "4349 4433130406173746"},
    {'r', "0307 05142333"},
    {'s', "44331304153546371706"},
    {'t', "11162737 0333"},
    {'u', "0306173746 4347"},
    {'v', "032743"},
    {'w', "0317335763"},
    {'x', "0347 4307"},
    {'y', "0327 43271909"},
    {'z', "03430747"},
    {'A', "072147 1535"},
    {'B', "01073746453404 0131424334"},
    {'C', "4231110206173746"},
    {'D', "01072745432101"},
    {'E', "41010747 0434"},
    {'F', "410107 0434"},
    {'G', "42311102061737464424"},
    {'H', "0107 4147 0444"},
    {'I', "0107"},
    {'J', "3136271706"},
    {'K', "0107 410447"},
    {'L', "010747"},
    {'M', "0701244147"},
    {'N', "07014741"},
    {'O', "113142463717060211"},
    {'P', "07013142433404"},
    {'Q', "113142463717060211 2547"},
    {'R', "07013142433404 2447"},
    {'S', "423111020314344546371706"},
    {'T', "0141 2127"},
    {'U', "010617374641"},
    {'V', "012741"},
    {'W', "0117325761"},
    {'X', "0147 4107"},
    {'Y', "012441 2427"},
    {'Z', "01410747"},
    {'0', "113142463717060211"},
    {'1', "022127"},
    {'2', "02113142430747"},
    {'3', "0211314243344546371706 3424"},
    {'4', "37310545"},
    {'5', "410104344546371706"},
    {'6', "423111020617374645341405"},
    {'7', "014117"},
    {'8', "113142433414030211 1405061737464534"},
    {'9', "061737464231110203143443"},
    {'.', "0707"},
    {',', "1708"},
    {'-', "0535"},
    {'_', "0848"},
    {'%', "4107 0202 4646"},
    {'/', "4107"},
    {'(', "11020617"},
    {')', "01121607"},
    {':', "0404 0707"},
    {'\'', "0102"},
    {'+', "2327 0545"},
    {'=', "0444 0646"},
};

constexpr std::string_view unknown_letter = "0141470701";
constexpr float gap = 2.2f, blank_width = 2.4f;  // grid units; a capital is 6 high

std::string_view strokes_of(char letter) {
  const auto at =
      std::find_if(std::begin(glyphs), std::end(glyphs), [&](const Glyph& g) { return g.letter == letter; });
  return at == std::end(glyphs) ? unknown_letter : at->strokes;
}

bool continues_letter(char c) {
  return (uint8_t(c) & 0xC0) == 0x80;  // a later byte of a UTF-8 letter
}

float width_of(std::string_view strokes) {
  int width = 0;
  for (size_t i = 0; i < strokes.size(); i += strokes[i] == ' ' ? 1 : 2)
    if (strokes[i] != ' ')
      width = std::max(width, strokes[i] - '0');
  return float(width);
}

float distance(float px, float py, float x0, float y0, float x1, float y1) {
  const float dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  const float t = length > 0 ? std::clamp(((px - x0) * dx + (py - y0) * dy) / length, 0.0f, 1.0f) : 0;
  return std::hypot(px - x0 - t * dx, py - y0 - t * dy);
}

// One glyph with its grid's origin at (x, y), `unit` pixels a grid step.
void draw_glyph(Image& image, std::string_view strokes, float x, float y, float unit, Colour colour) {
  const float radius = std::max(0.38f * unit, 0.55f);
  const int left = std::max(0, int(x - 2 * unit)), top = std::max(0, int(y - unit));
  const int right = std::min(image.width, int(x + 8 * unit) + 1),
            bottom = std::min(image.height, int(y + 11 * unit));
  for (int py = top; py < bottom; ++py)
    for (int px = left; px < right; ++px) {
      float nearest = 1e9f;
      for (size_t i = 0; i + 3 < strokes.size(); i += strokes[i + 2] == ' ' ? 3 : 2) {
        if (strokes[i + 2] == ' ')
          continue;
        const auto at = [&](size_t k, float origin) { return origin + unit * float(strokes[k] - '0'); };
        nearest = std::min(nearest, distance(float(px) + 0.5f, float(py) + 0.5f, at(i, x), at(i + 1, y),
                                             at(i + 2, x), at(i + 3, y)));
      }
      const float share = std::clamp(radius + 0.5f - nearest, 0.0f, 1.0f);
      uint8_t* pixel = image.at(px, py);
      for (size_t c = 0; share > 0 && c < 3; ++c)
        pixel[c] = uint8_t(std::lround((1 - share) * float(pixel[c]) + share * float(colour[c])));
    }
}

}  // namespace

Image blank(int width, int height, Colour colour) {
  Image image{width, height, std::vector<uint8_t>(3 * size_t(width) * size_t(height))};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

void paste(Image& onto, const Image& image, int x, int y) {
  for (int row = 0; row < image.height; ++row)
    std::copy_n(image.at(0, row), 3 * image.width, onto.at(x, y + row));
}

float text_width(const std::string& text, float size) {
  float units = 0;
  for (const char c : text)
    if (!continues_letter(c))
      units += gap + (c == ' ' ? blank_width : width_of(strokes_of(c)));
  return std::max(0.0f, units - gap) * size / 6;
}

void draw_text(Image& image, float x, float y, const std::string& text, float size, Colour colour) {
  const float unit = size / 6;
  for (const char c : text) {
    if (continues_letter(c))
      continue;
    if (c != ' ')
      draw_glyph(image, strokes_of(c), x, y - unit, unit, colour);
    x += unit * (gap + (c == ' ' ? blank_width : width_of(strokes_of(c))));
  }
}

Image captioned(const Image& image, const std::string& left, const std::string& right) {
  constexpr float size = 11, margin = 9;
  Image out = blank(image.width, image.height + caption_height, dark);
  paste(out, image, 0, 0);
  const float y = float(image.height) + (float(caption_height) - size) / 2;
  const float right_at = float(image.width) - margin - text_width(right, size);
  std::string shown = left;
  const float room = right_at - 2 * margin;
  while (!shown.empty() && text_width(shown == left ? shown : shown + "..", size) > room) shown.pop_back();
  draw_text(out, margin, y, shown == left ? shown : shown + "..", size);
  draw_text(out, right_at, y, right, size, {255, 214, 102});
  return out;
}

}  // namespace lucida
