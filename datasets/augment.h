// Random changes of training images beyond the mirror, for the methods whose recipes ask for them.
//
//   read -> random_crop -> resize to the square -> operations -> cutout -> mirror -> normalise
//
//   crop         random resized crop (Szegedy et al., "Going deeper with convolutions", CVPR 2015): a part of
//                the image with `crop` to 1 of its area and 3/4 to 4/3 of its shape
//   operations   RandAugment (Cubuk et al., NeurIPS 2020): so many operations drawn from identity, shear and
//                shift in x and y, rotation, brightness, colour, contrast, posterise, solarise, automatic
//                contrast and equalisation, of strength `magnitude` out of 30, signs at random, scaled as
//                torchvision does. Sharpness is left out; what is uncovered becomes grey
//   cutout       a rectangle of that share of width and height around a random point gets one random colour
//                (DeVries and Taylor, 2017; 0.5 in the recipe of the asymmetric loss)
//
// Every number is a function of (seed, epoch, row of the data set): the same whatever the number of workers,
// and a run that goes on sees what it would have seen.
//
// Read next:  datasets/augment.cpp, loader.h, tests/augment_test.cpp
#pragma once
#include "datasets/images.h"
#include "engine/random.h"

namespace lucida {

struct Augmentation {
  double crop = 1;       // smallest share of the area; 1: the whole image
  int operations = 0;    // of RandAugment
  double magnitude = 9;  // 0 to 30
  double cutout = 0;     // share of the side; 0: none
  bool any() const { return crop < 1 || operations > 0 || cutout > 0; }
};

// The random numbers of one image in one epoch, one after another.
class ImageDraws {
 public:
  ImageDraws(uint64_t seed, int64_t row, int64_t epoch)
      : random_(seed, Stream::augment), row_(uint64_t(row)), epoch_(uint32_t(epoch)) {}
  // Draw 0 is the mirror's (datasets/loader.cpp), by the plain row number.
  double uniform(double low, double high) {
    return low + (high - low) * double(random_.word(row_ | ++drawn_ << 48, epoch_)) * 0x1p-32;
  }
  int below(int n) { return int(uniform(0, n)); }

 private:
  Random random_;
  uint64_t row_, drawn_ = 0;
  uint32_t epoch_;
};

// Before resizing; the image unchanged when crop is 1.
Image random_crop(Image image, const Augmentation& a, ImageDraws& draws);
// After resizing.
void apply_operations(Image& image, const Augmentation& a, ImageDraws& draws);
void apply_cutout(Image& image, const Augmentation& a, ImageDraws& draws);

// The single operations, for tests.
namespace operation {
using Line = std::array<double, 3>;  // source = line[0] * x + line[1] * y + line[2], from the centre
void affine(Image& image, const Line& x, const Line& y);
void brightness(Image& image, double factor);
void colour(Image& image, double factor);
void contrast(Image& image, double factor);
void posterise(Image& image, int bits);
void solarise(Image& image, int threshold);
void automatic_contrast(Image& image);
void equalise(Image& image);
}  // namespace operation

}  // namespace lucida
