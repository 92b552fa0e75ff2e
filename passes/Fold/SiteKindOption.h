// Kinds of sites as text: in recipes, and in lists of a pass's options.
//
// MLIR's ListOption does not hand an enum's values on to the parser of its elements, so a list of an enum needs a
// parser that knows its words.
#ifndef QOPT_PASSES_FOLD_SITEKINDOPTION_H
#define QOPT_PASSES_FOLD_SITEKINDOPTION_H

#include "passes/Fold/ScaleKinds.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CommandLine.h"

#include <utility>

namespace qopt {

/// The kinds that can be asked for.
inline constexpr std::pair<llvm::StringRef, SiteKind> siteKindWords[] = {
    {"attention-input", SiteKind::AttentionInput},
    {"attention-output", SiteKind::AttentionOutput},
    {"mlp-input", SiteKind::MlpInput},
    {"mlp-output", SiteKind::MlpOutput}};

inline llvm::raw_ostream &operator<<(llvm::raw_ostream &stream, SiteKind kind) {
  for (const auto &[word, value] : siteKindWords)
    if (value == kind)
      return stream << word;
  return stream << "other";
}

} // namespace qopt

template <> class llvm::cl::parser<qopt::SiteKind> : public llvm::cl::basic_parser<qopt::SiteKind> {
public:
  using basic_parser::basic_parser;

  /// Returns true for an error, as LLVM's parsers do.
  bool parse(Option &option, StringRef, StringRef text, qopt::SiteKind &kind) {
    for (const auto &[word, value] : qopt::siteKindWords)
      if (word == text) {
        kind = value;
        return false;
      }
    return option.error("expected attention-input, attention-output, mlp-input or mlp-output, but got \"" + text +
                        "\"");
  }
  StringRef getValueName() const override { return "site"; }
};

#endif // QOPT_PASSES_FOLD_SITEKINDOPTION_H
