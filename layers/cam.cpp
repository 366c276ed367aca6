#include "layers/cam.h"

#include "engine/autograd.h"
#include "layers/boostlu.h"
#include "layers/pool.h"

namespace lucida {

CamHead::CamHead(int channels, int classes) : conv(channels, classes, {.bias = true}) {}

CamHead::Output CamHead::operator()(const Tensor& features, float alpha) const {
  const LayerName name("classifier");
  const Tensor raw = conv(features);
  const Tensor maps = alpha == 1 ? raw : boostlu(raw, alpha);
  return {maps, global_average(maps)};
}

}  // namespace lucida
