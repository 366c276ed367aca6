// Text and layout of pictures: a small stroke font (each letter a few straight lines with round ends, drawn
// with soft edges at any size), filled boxes, pasted images.
#pragma once
#include <string>

#include "train/heatmap.h"

namespace lucida {

inline constexpr Colour ink = {236, 238, 242}, dark = {22, 24, 30};

Image blank(int width, int height, Colour);
void paste(Image& onto, const Image&, int x, int y);

// `size`: height of a capital in pixels; (x, y): upper left corner of the capitals. Letters without a drawing
// in the font appear as boxes.
float text_width(const std::string& text, float size);
void draw_text(Image&, float x, float y, const std::string& text, float size, Colour = ink);

inline constexpr int caption_height = 28;
// The image with a dark bar below it: `left` is cut to what `right` leaves.
Image captioned(const Image&, const std::string& left, const std::string& right);

}  // namespace lucida
