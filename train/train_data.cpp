// What a run trains on: the splits of the data set and the labels it may see.
#include "datasets/formatted.h"
#include "train/training.h"

namespace lucida {

TrainData::TrainData(const TrainOptions& o)
    : train(o.data.load("train", Observation::parse(o.observe).needs_boxes())),
      test(o.data.load("test")),
      val_is_test(o.val_frac == 0) {
  require(train.classes == test.classes, "the train and test splits of ", o.data.root,
          " have different classes");
  const bool full = loss_named(o.loss).full_labels;
  observed = full               ? train.labels
             : o.labels.empty() ? observe(train, Observation::parse(o.observe))
                                : read_label_matrix(o.labels);
  require(observed.rows == train.labels.rows && observed.columns == train.labels.columns, o.labels, ": has ",
          observed.rows, " x ", observed.columns, " labels, the train split ", train.labels.rows, " x ",
          train.labels.columns);
  const Split split = split_train_val(train.size(), o.val_frac, o.split_seed);
  train_rows = split.train;
  val_rows = split.val;
  if (val_is_test) {
    val_rows.resize(size_t(test.size()));
    for (size_t i = 0; i < val_rows.size(); ++i) val_rows[i] = int64_t(i);
  }
  require(!train_rows.empty() && !val_rows.empty(), "--val-frac ", o.val_frac, " leaves ", train_rows.size(),
          " images to train on and ", val_rows.size(), " to validate on");
}

}  // namespace lucida
