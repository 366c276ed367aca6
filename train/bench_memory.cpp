// lucida bench step --memory: who holds how much when a step needs most.
//
//   activations   what forward passes wrote and the way back still reads
//   gradients     of activations and of parameters, from their first writer until they are consumed
//   parameters    the weights, BatchNorm's vectors and running statistics
//   optimizer     moments
//   workspaces    what lives for one call of a kernel, and activations that are made again
#include <cstdio>
#include <map>

#include "engine/memory.h"
#include "train/bench.h"

namespace lucida {
namespace {

using Json = nlohmann::ordered_json;

double mib(size_t bytes) {
  return double(bytes) / (1 << 20);
}

std::string line(const char* pattern, const std::string& a, const std::string& b, const std::string& c,
                 double value) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, a.c_str(), b.c_str(), c.c_str(), value);
  return text;
}

}  // namespace

Json memory_at_peak() {
  std::map<Holds, double> uses;
  double total = 0;
  Json holders = Json::array();
  for (const MemoryHolder& h : holders_at_peak()) {
    uses[h.what] += mib(h.bytes);
    total += mib(h.bytes);
    holders.push_back({{"use", text_of(h.what)},
                       {"layer", h.layer.empty() ? "-" : h.layer},
                       {"operation", h.operation},
                       {"mib", mib(h.bytes)}});
  }
  Json by_use = Json::object();
  for (const auto& [what, sum] : uses) by_use[std::string(text_of(what))] = sum;
  return {{"peak_mib", total}, {"by_use", by_use}, {"holders", holders}};
}

std::string memory_table(const Json& memory) {
  std::string text = "\ntensors at the peak, MiB\n";
  for (const auto& [use, sum] : memory["by_use"].items())
    text += line("  %-12s%-12s%-26s %9.2f\n", use, "", "", sum.get<double>());
  text += line("  %-12s%-12s%-26s %9.2f\n\n", "all", "", "", memory["peak_mib"].get<double>());
  double rest = 0;
  for (const Json& h : memory["holders"]) {
    const double held = h["mib"].get<double>();
    if (held < 0.05)
      rest += held;
    else
      text += line("  %-12s%-12s%-26s %9.2f\n", h["use"], h["layer"], h["operation"], held);
  }
  return text + line("  %-12s%-12s%-26s %9.2f\n", "less than", "0.05 MiB", "each, together", rest);
}

}  // namespace lucida
