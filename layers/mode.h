// Training or evaluation: an argument of a layer, never a hidden switch.
#pragma once

namespace lucida {

enum class Mode { train, eval };

}  // namespace lucida
