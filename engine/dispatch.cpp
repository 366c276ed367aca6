#include "engine/dispatch.h"

namespace lucida {

namespace {
Precision chosen = Precision::f32;
}

Precision precision() {
  return chosen;
}
void set_precision(Precision p) {
  chosen = p;
}

Precision precision_named(const std::string& name) {
  require(name == "f32" || name == "tf32" || name == "bf16", "no precision is called '", name,
          "': there are f32, tf32 and bf16");
  return name == "f32" ? Precision::f32 : name == "tf32" ? Precision::tf32 : Precision::bf16;
}

std::vector<Listed>& all_kernels() {
  static std::vector<Listed> list;
  return list;
}

void force_rung(std::string_view operation, int rung) {
  bool known = false, found = rung < 0;
  std::ostringstream rungs;
  for (const Listed& k : all_kernels()) {
    if (k.operation != operation)
      continue;
    known = true;
    rungs << "; " << Device{k.device} << ' ' << k.rung << ": " << k.idea;
    found = found || k.rung == rung;
  }
  require(known, "no operation is called '", operation, "': `lucida info` lists them");
  require(found, operation, " has no rung ", rung, rungs.str());
  for (const Listed& k : all_kernels())
    if (k.operation == operation)
      *k.forced_rung = rung;
}

}  // namespace lucida
