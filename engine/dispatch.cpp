#include "engine/dispatch.h"

namespace lucida {

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
