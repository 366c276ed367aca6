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
  LossOptions options{.epoch = a.whole("epoch"), .epochs = a.whole("epochs")};
  for (const SharedSetting& s : all_loss_settings())
    if (a.text(s.name) != "auto")
      options.values[s.name] = a.number(s.name);
  const Tensor logits = a.input("logits"), labels = a.input("labels"), state = a.input("state");
  const LossResult result = partial_label_loss(loss_named(a.text("kind")), logits, labels, options, state);
  NamedOutputs outputs = {{"loss", result.loss}};
  if (result.selected.defined())
    outputs.emplace_back("selected", as_float(result.selected));
  return outputs;
}

}  // namespace

std::vector<Operation> loss_operations() {
  std::string kinds;
  for (const LossKind& kind : all_losses()) kinds += (kinds.empty() ? "" : " ") + std::string(kind.name);
  std::vector<OpSetting> settings = {
      {"kind", "an", kinds}, {"epoch", "1", "counts from 1"}, {"epochs", "10", "of the whole run"}};
  for (const SharedSetting& s : all_loss_settings())
    settings.push_back({s.name, "auto", s.meaning + "; auto: the loss's own"});
  return {{"loss",
           {{"logits", "N,L"},
            {"labels", "N,L: 1, 0 (unobserved) or -1 (observed negative)", false, false},
            {"state",
             "N,L: logits of estimated labels (role), pseudo-labels (em-apl, em-pl), 1 where a class is "
             "left out (csl)",
             true}},
           settings,
           {"loss", "selected"},
           {"bce", "large_loss", "entry_loss", "row_weights", "expected_positives"},
           run_loss,
           true}};
}

}  // namespace lucida
