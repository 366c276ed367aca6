// The losses that are a sum over entries: loss and derivative of one entry, written once for host and device.
//
// Notation: x the logit, p = 1 / (1 + e^-x), q = 1 - p, y the label: 1, 0 (unobserved), -1 (observed
// negative), s the entry's state (what a loss keeps beside the labels; 0 where it keeps nothing).
//
//     ByLabel     wan, iu, iun, epr     nl(p) | w0 nl(q) | w- nl(q)             nl(z) = -log(z + eps)
//     Smoothed    bce-ls, an-ls         (1-e) nl(p) + e nl(q), mirrored where y is not 1
//     Ranked      pr                    s q | s p | 0
//     Entropy     em, em-apl, em-pl     nl(p) | -a (p nl(p) + q nl(q)), b (t nl(p) + (1-t) nl(q)) | nl(q)
//     Asymmetric  focal, asl, csl       -q^g log p | -m^g log(1 - m),  m = max(p - clip, 0)
//     Hill        hill                  -q'^g log p', x' = x - margin | (lambda - p) p^2
//     SelfPaced   splc                  -q^g log p, of x - margin where y = 1 | -p^g log q
//     Robust      gr                    nl(p) | V (K (1-p^q2)/q2 + (1-K) (1-q^q3)/q3)
//     Estimated   role                  both sides of the classifier and its label estimates
//
// A formula is a struct of its hyper-parameters with one operator. Another loss is another struct here, a
// name in `Formula` below, and a ProvideLoss with its settings: no kernel changes. Everything is a template
// over the arithmetic type: kernels use float, tests compare the derivatives with differences in double.
//
// Read next:  layers/losses/entry_loss.h (sum and gradient), layers/losses/single_positive.cpp (settings)
#pragma once
#include <cmath>
#include <variant>

namespace lucida {

// The loss of an entry with its derivatives by x and by s.
template <class T>
struct Entry {
  T loss, dx, ds = 0;
};
template <class T>
constexpr Entry<T> operator+(Entry<T> a, Entry<T> b) {
  return {a.loss + b.loss, a.dx + b.dx, a.ds + b.ds};
}
template <class T>
constexpr Entry<T> operator*(T factor, Entry<T> e) {
  return {factor * e.loss, factor * e.dx, factor * e.ds};
}

// base^exponent of a base in [0, 1]; 0^0 is 1.
template <class T>
constexpr T power(T base, T exponent) {
  return exponent == 0 ? T(1) : base <= 0 ? T(0) : std::exp(exponent * std::log(base));
}

// p and q, neither a difference of rounded numbers: both are exact to rounding for any x.
template <class T>
struct Sigmoid {
  T x, p, q;

  static constexpr Sigmoid at(T x) {
    const T e = std::exp(x < 0 ? x : -x), larger = 1 / (1 + e), smaller = e / (1 + e);
    return x < 0 ? Sigmoid{x, smaller, larger} : Sigmoid{x, larger, smaller};
  }
  constexpr Sigmoid mirrored() const { return {-x, q, p}; }

  // -log(p + eps). Near p = 1 by log1p, which keeps what a sum with 1 would round away; eps = 0 by the
  // logit, which is exact where p underflows.
  constexpr Entry<T> minus_log_p(T eps) const {
    if (eps == 0)
      return {std::log1p(x > 0 ? q / p : p / q) - (x < 0 ? x : 0), -q};
    return {p > T(0.5) ? -std::log1p(eps - q) : -std::log(p + eps), -p * q / (p + eps)};
  }
  constexpr Entry<T> minus_log_q(T eps) const {
    const Entry<T> e = mirrored().minus_log_p(eps);
    return {e.loss, -e.dx};
  }
  // -q^gamma log p: the focal loss of a positive. Its mirror image is that of a negative.
  constexpr Entry<T> focal_p(T gamma) const {
    const T weight = power(q, gamma), l = minus_log_p(0).loss;
    return {weight * l, -weight * (gamma * p * l + q)};
  }
  constexpr Entry<T> focal_q(T gamma) const {
    const Entry<T> e = mirrored().focal_p(gamma);
    return {e.loss, -e.dx};
  }
};

// Whether a formula reads s: never, where there is one, always, or always and it learns s.
enum class StateUse { none, optional, needed, learned };

struct ByLabel {
  static constexpr StateUse state = StateUse::none;
  float unobserved, negative, eps;  // weights of nl(q) where y = 0 and where y = -1

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T) const {
    const Sigmoid<T> sigmoid = Sigmoid<T>::at(x);
    return y == 1 ? sigmoid.minus_log_p(eps) : T(y == 0 ? unobserved : negative) * sigmoid.minus_log_q(eps);
  }
};

struct Smoothed {
  static constexpr StateUse state = StateUse::none;
  float smoothing, eps;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T) const {
    const Sigmoid<T> sigmoid = Sigmoid<T>::at(y == 1 ? x : -x);
    const Entry<T> e = T(1 - smoothing) * sigmoid.minus_log_p(eps) + T(smoothing) * sigmoid.minus_log_q(eps);
    return {e.loss, y == 1 ? e.dx : -e.dx};
  }
};

// The pairwise ranking loss, sum over pairs (positive i, unobserved j) of max(0, 1 - p_i + p_j). The
// argument is never below 0, so the sum over the other side is a count: s is the number of unobserved entries
// of the row where y = 1, of positives where y = 0.
struct Ranked {
  static constexpr StateUse state = StateUse::needed;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T s) const {
    const Sigmoid<T> sigmoid = Sigmoid<T>::at(x);
    const T slope = s * sigmoid.p * sigmoid.q;
    return y == 1   ? Entry<T>{s * sigmoid.q, -slope}
           : y == 0 ? Entry<T>{s * sigmoid.p, slope}
                    : Entry<T>{0, 0};
  }
};

// s > 0 marks a pseudo-label: the soft target t is `target`, or s itself where target is 0.
struct Entropy {
  static constexpr StateUse state = StateUse::optional;
  float alpha, beta, target, eps;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T s) const {
    const Sigmoid<T> sigmoid = Sigmoid<T>::at(x);
    const Entry<T> as_positive = sigmoid.minus_log_p(eps), as_negative = sigmoid.minus_log_q(eps);
    if (y != 0)
      return y == 1 ? as_positive : as_negative;
    const T p = sigmoid.p, q = sigmoid.q, t = target > 0 ? T(target) : s;
    if (s > 0)
      return T(beta) * (t * as_positive + (1 - t) * as_negative);
    const T epsilon = eps, rest = epsilon * (q - p) / ((p + epsilon) * (q + epsilon));
    return {-T(alpha) * (p * as_positive.loss + q * as_negative.loss),
            -T(alpha) * p * q * (as_positive.loss - as_negative.loss + rest)};
  }
};

// s: the share of an unobserved entry's loss that is left out. What is known is never left out, but counts
// more where s is below 0.
struct Asymmetric {
  static constexpr StateUse state = StateUse::optional;
  float gamma_pos, gamma_neg, gamma_unobserved;
  float alpha_pos, alpha_neg, alpha_unobserved;
  float clip;
  float detached;                        // 1: the weight q^g or m^g is a constant for the derivative
  static constexpr float least = 1e-8f;  // logarithms are of max(z, least)

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T s) const {
    const Sigmoid<T> sigmoid = Sigmoid<T>::at(x);
    const Entry<T> e = y == 1   ? positive(sigmoid)
                       : y == 0 ? T(alpha_unobserved) * negative(sigmoid, T(gamma_unobserved))
                                : T(alpha_neg) * negative(sigmoid, T(gamma_neg));
    return (y != 0 && s > 0 ? T(1) : 1 - s) * e;
  }

 private:
  template <class T>
  constexpr Entry<T> positive(const Sigmoid<T>& at) const {
    const bool clamped = at.p < T(least);
    const T l = clamped ? -std::log(T(least)) : at.minus_log_p(0).loss, weight = power(at.q, T(gamma_pos));
    const T dl = clamped ? T(0) : -at.q, dweight = detached > 0 ? T(0) : -T(gamma_pos) * weight * at.p;
    return T(alpha_pos) * Entry<T>{weight * l, weight * dl + dweight * l};
  }
  template <class T>
  constexpr Entry<T> negative(const Sigmoid<T>& at, T gamma) const {
    const T m = at.p > T(clip) ? at.p - T(clip) : T(0), rest = at.q + T(clip);  // 1 - m
    const bool shifted_away = m <= 0, clamped = rest < T(least);
    const T l = shifted_away ? T(0)
                : clamped    ? -std::log(T(least))
                             : (rest > T(0.5) ? -std::log1p(-m) : -std::log(rest));
    const T slope = at.p * at.q, weight = power(m, gamma);
    const T dl = shifted_away || clamped ? T(0) : slope / rest;
    const T dweight = detached > 0 || shifted_away ? T(0) : gamma * weight / m * slope;
    return {weight * l, weight * dl + dweight * l};
  }
};

struct Hill {
  static constexpr StateUse state = StateUse::none;
  float lambda, margin, gamma;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T) const {
    if (y == 1)
      return Sigmoid<T>::at(x - T(margin)).focal_p(T(gamma));
    const Sigmoid<T> at = Sigmoid<T>::at(x);
    return {(T(lambda) - at.p) * at.p * at.p, at.p * at.p * at.q * (2 * T(lambda) - 3 * at.p)};
  }
};

struct SelfPaced {
  static constexpr StateUse state = StateUse::none;
  float margin, gamma;
  float threshold;  // a logit: unobserved entries above it are positive; infinite: none is

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T) const {
    const Sigmoid<T> at = Sigmoid<T>::at(y == 1 ? x - T(margin) : x);
    return y == 1 || (y == 0 && x > T(threshold)) ? at.focal_p(T(gamma)) : at.focal_q(T(gamma));
  }
};

// K, how likely the entry is positive, and V, how much it counts, are constants for the derivative.
struct Robust {
  static constexpr StateUse state = StateUse::none;
  float w, b, mu, sigma, q2, q3, eps;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T) const {
    const Sigmoid<T> at = Sigmoid<T>::at(x);
    if (y != 0)
      return y == 1 ? at.minus_log_p(eps) : at.minus_log_q(eps);
    const T k = Sigmoid<T>::at(T(w) * at.p + T(b)).p, off = (at.p - T(mu)) / T(sigma);
    const T v = std::exp(-off * off / 2);
    const T p_power = -T(q2) * at.minus_log_p(0).loss, q_power = -T(q3) * at.minus_log_q(0).loss;
    return {-v * (k * std::expm1(p_power) / T(q2) + (1 - k) * std::expm1(q_power) / T(q3)),
            v * ((1 - k) * std::exp(q_power) * at.p - k * std::exp(p_power) * at.q)};
  }
};

// s is the logit of the estimated label. Each side learns from the other as it stands.
struct Estimated {
  static constexpr StateUse state = StateUse::learned;
  float eps;

  template <class T>
  constexpr Entry<T> operator()(T x, T y, T s) const {
    const Entry<T> classifier = side(Sigmoid<T>::at(x), Sigmoid<T>::at(s), y);
    const Entry<T> estimate = side(Sigmoid<T>::at(s), Sigmoid<T>::at(x), y);
    return {classifier.loss + estimate.loss, classifier.dx, estimate.dx};
  }

 private:
  template <class T>
  constexpr Entry<T> side(const Sigmoid<T>& at, const Sigmoid<T>& target, T y) const {
    const Entry<T> as_positive = at.minus_log_p(eps), as_negative = at.minus_log_q(eps);
    const T weight = target.p + (y == 1 ? T(1) : T(0));
    return T(0.5) * (weight * as_positive + target.q * as_negative);
  }
};

using Formula =
    std::variant<ByLabel, Smoothed, Ranked, Entropy, Asymmetric, Hill, SelfPaced, Robust, Estimated>;

}  // namespace lucida
