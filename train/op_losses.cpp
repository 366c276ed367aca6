// The losses as `lucida op loss` knows them: one operation, the kind is a setting.
#include "layers/losses/loss.h"
#include "train/op.h"

namespace lucida {
namespace {

Tensor as_float(const Tensor& bytes) {
  const std::vector<uint8_t> values = bytes.bytes_on_host();
  return Tensor::from(bytes.shape(), std::vector<float>(values.begin(), values.end()));
}

NamedOutputs run_loss(const OpArguments& a) {
  const LossOptions options{.epoch = a.whole("epoch"), .delta_rel = a.number("delta_rel")};
  const Tensor logits = a.input("logits"), labels = a.input("labels");
  const LossResult result = partial_label_loss(loss_named(a.text("kind")), logits, labels, options);
  NamedOutputs outputs = {{"loss", result.loss}};
  if (result.selected.defined())
    outputs.emplace_back("selected", as_float(result.selected));
  return outputs;
}

}  // namespace

std::vector<Operation> loss_operations() {
  std::string kinds;
  for (const LossKind& kind : all_losses()) kinds += (kinds.empty() ? "" : " ") + std::string(kind.name);
  return {{"loss",
           {{"logits", "N,L"}, {"labels", "N,L: 1, 0 (unobserved) or -1 (observed negative)", false, false}},
           {{"kind", "an", kinds},
            {"epoch", "1", "counts from 1"},
            {"delta_rel", "-1", "share rejected more each epoch, 0.005 = 0.5 % (-1: the loss's own)"}},
           {"loss", "selected"},
           {"bce", "large_loss"},
           run_loss,
           true}};
}

}  // namespace lucida
