// The words of a recipe, for reading and for writing it. Internal to passes/Quantize.
#ifndef QOPT_PASSES_QUANTIZE_RECIPEWORDS_H
#define QOPT_PASSES_QUANTIZE_RECIPEWORDS_H

#include "passes/Fold/SiteKindOption.h"
#include "passes/Quantize/Recipe.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace qopt {

template <typename Value> using Word = std::pair<llvm::StringRef, Value>;

inline constexpr llvm::StringLiteral kSearch = "search"; ///< in the place of a number that shall be found

inline constexpr Word<bool> booleanWords[] = {{"true", true}, {"false", false}};
inline constexpr Word<RangeRule> rangeWords[] = {{"minmax", RangeRule::MinMax},     {"squared", RangeRule::Squared},
                                                 {"diagonal", RangeRule::Diagonal}, {"power", RangeRule::Power},
                                                 {"hessian", RangeRule::Hessian},   {"signed", RangeRule::Signed},
                                                 {"clip", RangeRule::Clip},         {"clip-all", RangeRule::ClipAll}};
inline constexpr Word<ActivationRangeRule> activationRangeWords[] = {{"max", ActivationRangeRule::Max},
                                                                     {"percentile", ActivationRangeRule::Percentile},
                                                                     {"error", ActivationRangeRule::Error}};
inline constexpr Word<bool> orderWords[] = {{"activation", true}, {"stored", false}}; ///< whether by activation
inline constexpr Word<HessianInputs> inputWords[] = {{"quantized", HessianInputs::Quantized},
                                                     {"statistics", HessianInputs::Statistics}};
inline constexpr Word<AwqError> objectiveWords[] = {{"output", AwqError::Output}, {"module", AwqError::Module}};
inline constexpr Word<GptqOptions::Scales> scaleWords[] = {{"static", GptqOptions::Scales::Static},
                                                           {"live", GptqOptions::Scales::Live}};
inline constexpr Word<lowbit::RotationKind> rotationWords[] = {{"hadamard", lowbit::RotationKind::Hadamard},
                                                               {"orthogonal", lowbit::RotationKind::Orthogonal}};
inline constexpr Word<Unfoldable> unfoldableWords[] = {{"refuse", Unfoldable::Refuse}, {"cancel", Unfoldable::Cancel}};

/// The word of a value, which has one.
template <typename Value, size_t count> std::string wordFor(const Word<Value> (&words)[count], Value value) {
  for (const auto &[word, of] : words)
    if (of == value)
      return word.str();
  llvm_unreachable("a value without a word");
}

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_RECIPEWORDS_H
