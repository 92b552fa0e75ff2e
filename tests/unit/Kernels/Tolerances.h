// How far compiled code may be from the reference, relative to the largest logit. The reference accumulates in f64 and
// rounds once per op, so each difference is the f32 arithmetic of the kernel's.
#ifndef QOPT_TESTS_UNIT_KERNELS_TOLERANCES_H
#define QOPT_TESTS_UNIT_KERNELS_TOLERANCES_H

#include "tests/unit/Kernels/Graph.h"

namespace qopt::kerneltest {

/// One linear with i8 activations. Codes of activations equal lib/Numerics' and sums of codes are exact integers; what
/// rounds is their conversion to f32 (of sums above 2^24), one multiply-add per group, the token's scale and the bias.
inline constexpr double kIntegerTolerance = 3e-6;

/// One linear whose products are summed in f32: up to 1024 terms in a row, errors of 2^-24 each that partly cancel.
inline constexpr double kFloatTolerance = 2e-5;

/// The same with zero points and pairs of bf16: codes are multiplied as they are and Σ zero·x is taken away after, so
/// that what rounds is up to 2^bits times larger than what stays.
inline constexpr double kShareTolerance4 = 1e-4, kShareTolerance8 = 2e-3;

/// f32 in tiles of bf16: 2^-16 of each product is lost, in either direction.
inline constexpr double kTilesTolerance = 4e-5;

/// Exponentials by polynomials (about 2 ulp), f32 sums over at most some hundred keys or channels.
inline constexpr double kElementwiseTolerance = 1e-5;

/// Whole models without rounding of activations: the errors above through a few layers and their norms.
inline constexpr double kModelTolerance = 1e-4;

/// Whole models with keys and values in f16: an f32 difference of one ulp can move one to its neighbour, 2^-11
/// relative.
inline constexpr double kF16CacheTolerance = 1e-3;

/// Whole models with bf16 activations. An f32 difference of one ulp can move an activation to the neighbouring bf16,
/// 2^-8 relative.
inline constexpr double kBf16ModelTolerance = 2e-2;

/// Whole models with i8 activations: an f32 difference of one ulp can move a code to its neighbour, 1/127 of the
/// largest activation of its group. Single kernels, whose inputs are equal to the bit, are held to kIntegerTolerance.
inline constexpr double kI8ModelTolerance = 4e-2;

/// Random graphs: products of sums of products carry an f32 difference far, and the last norm hides its size. A buffer
/// that is read too late, or a value that is another, is off by about 1.
inline constexpr double kRandomGraphTolerance = 1e-2;

inline double linearTolerance(const LinearKind &kind) {
  if (!kind.scheme)
    return kFloatTolerance;
  if (kind.scheme->activations >= ActivationKind::I8PerToken)
    return kIntegerTolerance;
  if (kind.scheme->activations == ActivationKind::BF16 && !kind.scheme->weights.symmetric)
    return kind.scheme->weights.bits <= 4 ? kShareTolerance4 : kShareTolerance8;
  return kFloatTolerance;
}

} // namespace qopt::kerneltest

#endif // QOPT_TESTS_UNIT_KERNELS_TOLERANCES_H
