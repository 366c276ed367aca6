#include "train/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <sstream>

namespace lucida {
namespace {

constexpr double width = 620, height = 300, left = 62, right = 16, top = 40, bottom = 52;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double step = 0;  // between marks of the axis
  void include(double v) {
    if (std::isfinite(v)) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
};

// 1, 2 or 5 times a power of ten, four to eight steps in the range.
double step_of(const Range& r) {
  const double rough = (r.high - r.low) / 6, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough)
      return factor * power;
  return 10 * power;
}

// The range to whole steps, never empty.
Range rounded(Range r) {
  if (!(r.high >= r.low))
    r = {0, 1};
  if (r.high - r.low < 1e-9 * std::max(1.0, std::abs(r.high)))
    r = {r.low - 0.5, r.high + 0.5};
  const double step = step_of(r);
  return {std::floor(r.low / step + 1e-9) * step, std::ceil(r.high / step - 1e-9) * step, step};
}

struct Frame {
  Range x, y;
  std::string px(double v) const {
    return pixel(left + (width - left - right) * (v - x.low) / (x.high - x.low));
  }
  std::string py(double v) const {
    return pixel(height - bottom - (height - top - bottom) * (v - y.low) / (y.high - y.low));
  }
  static std::string pixel(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", v);
    return text;
  }
};

std::string text_at(const std::string& x, const std::string& y, const std::string& anchor,
                    const std::string& text, const char* more = "") {
  return "<text x='" + x + "' y='" + y + "' text-anchor='" + anchor + "' " + more + ">" + escaped(text) +
         "</text>";
}

std::string line(const std::string& x1, const std::string& y1, const std::string& x2, const std::string& y2,
                 const std::string& colour, const char* more = "") {
  return "<line x1='" + x1 + "' y1='" + y1 + "' x2='" + x2 + "' y2='" + y2 + "' stroke='" + colour + "' " +
         more + "/>";
}

std::string opening(const Axes& axes) {
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << width << ' ' << height
      << "' font-family='system-ui,Helvetica,Arial,sans-serif' font-size='11' fill='#4a5263' role='img'>"
      << "<rect width='100%' height='100%' rx='8' fill='#f7f8fa'/>"
      << text_at("16", "24", "start", axes.title, "font-size='14' font-weight='600' fill='#1d2433'");
  return svg.str();
}

std::string rules(const Frame& f, const Axes& axes) {
  std::string svg;
  const double step = f.y.step;
  for (double v = f.y.low; v < f.y.high + step / 2; v += step) {
    const double y = std::abs(v) < step / 1e6 ? 0 : v;
    svg += line(f.px(f.x.low), f.py(y), f.px(f.x.high), f.py(y), y == 0 ? "#aab1bf" : "#dfe3ea");
    svg += text_at(Frame::pixel(left - 8), Frame::pixel(std::stod(f.py(y)) + 4), "end", compact(y));
  }
  const std::string middle = Frame::pixel((top + height - bottom) / 2);
  svg += text_at("16", middle, "middle", axes.y_title, ("transform='rotate(-90 16 " + middle + ")'").c_str());
  return svg;
}

std::string x_axis(const Frame& f, const Axes& axes) {
  std::string svg;
  const double step = f.x.step;
  for (double v = std::ceil(f.x.low / step - 1e-9) * step; v < f.x.high + step / 1e6; v += step) {
    const double x = std::abs(v) < step / 1e6 ? 0 : v;
    svg += line(f.px(x), f.py(f.y.low), f.px(x), Frame::pixel(height - bottom + 4), "#aab1bf");
    svg += text_at(f.px(x), Frame::pixel(height - bottom + 17), "middle", compact(x));
  }
  return svg +
         text_at(Frame::pixel((left + width - right) / 2), Frame::pixel(height - 14), "middle", axes.x_title);
}

std::string curve(const Frame& f, const Series& s) {
  std::string points, svg;
  for (const auto& [x, y] : s.points) points += f.px(x) + "," + f.py(y) + " ";
  if (s.filled && !s.points.empty())
    svg += "<polygon fill='" + s.colour + "' fill-opacity='0.13' points='" + f.px(s.points.front().first) +
           "," + f.py(std::max(0.0, f.y.low)) + " " + points + f.px(s.points.back().first) + "," +
           f.py(std::max(0.0, f.y.low)) + "'/>";
  svg += "<polyline fill='none' stroke='" + s.colour + "' stroke-width='2.2' stroke-linejoin='round'" +
         (s.dashed ? " stroke-dasharray='6 4'" : "") + " points='" + points + "'/>";
  if (s.dots || s.points.size() == 1)
    for (const auto& [x, y] : s.points)
      svg += "<circle r='3' fill='" + s.colour + "' cx='" + f.px(x) + "' cy='" + f.py(y) + "'/>";
  return svg;
}

std::string box(const Frame& f, const BoxPlot& b, double centre, double half, const std::string& colour) {
  const std::string x = f.px(centre), x0 = f.px(centre - half), x1 = f.px(centre + half),
                    c0 = f.px(centre - half / 2), c1 = f.px(centre + half / 2);
  std::ostringstream svg;
  svg << line(x, f.py(b.low), x, f.py(b.quartile1), colour, "stroke-width='1.5'")
      << line(x, f.py(b.quartile3), x, f.py(b.high), colour, "stroke-width='1.5'")
      << line(c0, f.py(b.low), c1, f.py(b.low), colour, "stroke-width='1.5'")
      << line(c0, f.py(b.high), c1, f.py(b.high), colour, "stroke-width='1.5'") << "<rect x='" << x0
      << "' y='" << f.py(b.quartile3) << "' width='" << std::stod(x1) - std::stod(x0) << "' height='"
      << std::max(std::stod(f.py(b.quartile1)) - std::stod(f.py(b.quartile3)), 1.0) << "' rx='2' fill='"
      << colour << "' fill-opacity='0.22' stroke='" << colour << "' stroke-width='1.5'/>"
      << line(x0, f.py(b.median), x1, f.py(b.median), colour, "stroke-width='2.6'");
  return svg.str();
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    const char* entity = c == '<'    ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '&'  ? "&amp;"
                         : c == '"'  ? "&quot;"
                         : c == '\'' ? "&#39;"
                                     : nullptr;
    safe += entity ? entity : std::string(1, c);
  }
  return safe;
}

std::string compact(double value) {
  if (!std::isfinite(value))
    return "-";
  char text[40];
  const double size = std::abs(value);
  if (size >= 1000 || value == std::floor(value)) {
    std::snprintf(text, sizeof text, "%.0f", value);
    std::string digits = text;
    for (auto at = std::ptrdiff_t(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
      digits.insert(size_t(at), ",");
    return digits;
  }
  std::snprintf(text, sizeof text,
                size >= 100  ? "%.0f"
                : size >= 10 ? "%.1f"
                : size >= 1  ? "%.2f"
                             : "%.3f",
                value);
  std::string digits = text;
  while (digits.find('.') != std::string::npos && (digits.back() == '0' || digits.back() == '.')) {
    const bool point = digits.back() == '.';
    digits.pop_back();
    if (point)
      break;
  }
  return digits;
}

std::string series_colour(size_t index) {
  static const char* const colours[] = {"#2456a6", "#d1601c", "#16835a", "#9b4fb5", "#b08900", "#c03a5b"};
  return colours[index % std::size(colours)];
}

std::string line_chart(const Axes& axes, const std::vector<Series>& series) {
  Frame f;
  for (const Series& s : series)
    for (const auto& [x, y] : s.points) {
      f.x.include(x);
      f.y.include(y);
    }
  if (axes.y_from_zero)
    f.y.include(0);
  f.y = rounded(f.y);
  f.x = f.x.high > f.x.low ? Range{f.x.low, f.x.high, step_of(f.x)} : rounded(f.x);
  if (axes.whole_x)
    f.x.step = std::max(f.x.step, 1.0);
  std::string svg = opening(axes) + rules(f, axes) + x_axis(f, axes);
  for (const Series& s : series) svg += curve(f, s);
  return svg + "</svg>";
}

std::string box_chart(const Axes& axes, const std::vector<BoxGroup>& groups,
                      const std::vector<std::string>& colours) {
  Frame f{{0, double(groups.size())}, {}};
  for (const BoxGroup& g : groups)
    for (const BoxPlot& b : g.boxes) {
      f.y.include(b.low);
      f.y.include(b.high);
    }
  f.y.include(0);
  f.y = rounded(f.y);
  std::string svg = opening(axes) + rules(f, axes);
  for (size_t g = 0; g < groups.size(); ++g) {
    const double slot = 0.84 / double(std::max<size_t>(groups[g].boxes.size(), 1));
    for (size_t i = 0; i < groups[g].boxes.size(); ++i)
      if (groups[g].boxes[i].count > 0)
        svg += box(f, groups[g].boxes[i], double(g) + 0.08 + slot * (double(i) + 0.5),
                   std::min(slot * 0.34, 0.14), colours[i]);
    svg += text_at(f.px(double(g) + 0.5), Frame::pixel(height - bottom + 20), "middle", groups[g].name,
                   "font-size='12'");
  }
  return svg + "</svg>";
}

}  // namespace lucida
