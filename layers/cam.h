// The CAM head: the classifier as a 1x1 convolution in front of the average, so that the class activation
// maps are part of the forward pass (Zhang et al., "Adversarial complementary learning", CVPR 2018):
//     M[n,i,j,l] = bias[l] + sum over c of w[l,c] * F[n,i,j,c]        one map a class
//     logit[n,l] = mean over i,j of BoostLU(M[n,i,j,l])
// With alpha = 1 the logits equal global average pooling followed by a linear layer.
//
// Read next:  layers/cam.cpp, layers/boostlu.h, layers/conv2d.h, layers/pool.h, tests/cam_test.cpp
#pragma once
#include "layers/conv2d.h"

namespace lucida {

struct CamHead {
  CamHead(int channels, int classes);
  void visit(Visitor& v) { conv.visit(v); }

  struct Output {
    Tensor maps;    // [N,H,W,L], boosted
    Tensor logits;  // [N,L]
  };
  Output operator()(const Tensor& features, float alpha) const;  // features [N,H,W,C]

  Conv2d conv;
};

}  // namespace lucida
