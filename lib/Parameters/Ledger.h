// The ledger: what became of every parameter of a model.
//
// It is written by the pass that quantizes, as JSON in the metadata of its overlay archive ("qopt.ledger"), carries
// over the rows of an earlier one, and goes into the artifact unchanged. docs:
// {"version":4,"cancelled_scales":[{"name":…,"reason":…},…],"rows":[…]}, one object a row with the fields of LedgerRow
// in order, under the names of the JSON column below.
#ifndef QOPT_LIB_PARAMETERS_LEDGER_H
#define QOPT_LIB_PARAMETERS_LEDGER_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// The metadata key of an overlay archive that holds its ledger.
inline constexpr std::string_view ledgerKey = "qopt.ledger";

enum class LedgerStatus {
  Quantized, ///< by the scheme that the rule gave it
  Kept,      ///< as it was: no scheme applies to it (norms, biases), or the head is to be kept
  Waived,    ///< as it was, though a scheme applies: a rule of the recipe says so
};
std::string_view toString(LedgerStatus status);

struct LedgerRow {
  std::string name;                         ///< "name": the parameter, as forward read it before
  LedgerStatus status = LedgerStatus::Kept; ///< "status"
  std::string rule;                         ///< "rule": what decided it
  std::string scheme;                       ///< "scheme": text form (Scheme.h), or the element type if not quantized
  std::string algorithm;                    ///< "algorithm": "round to nearest", "gptq", or empty
  int64_t elements = 0;                     ///< "elements"
  int64_t bytes = 0;        ///< "bytes": codes, scales and zero points as kernels read them, or the elements
  double bitsPerWeight = 0; ///< "bits_per_weight": 8 · bytes / elements
  double relativeError = 0; ///< "relative_mse": ‖w − ŵ‖² / ‖w‖²; 0 if w is 0
  double worstError = 0;    ///< "worst_error": max |w − ŵ| over the root mean square of w
  double outputError = 0;   ///< "output_error": tr(ΔW·H·ΔWᵀ) / tr(W·H·Wᵀ); 0 without statistics
  double damping = 0;       ///< "damping": λ that the Hessian's factor took; 0 without one
  int64_t tokens = 0;       ///< "tokens" that statistics were taken from; 0 without
  int64_t silentInputs = 0; ///< "silent_inputs": those that no token has touched, which GPTQ rounds to nearest
  std::vector<std::string> scaledBy = {}; ///< "scaled_by": factors that were folded into it, by their parameters

  bool operator==(const LedgerRow &) const = default;
};

/// A pair of scales that could not be folded, and was taken out again.
struct CancelledScale {
  std::string name;   ///< the factor's parameter
  std::string reason; ///< why there was no place for it

  bool operator==(const CancelledScale &) const = default;
};

struct Ledger {
  std::vector<CancelledScale> cancelled;
  std::vector<LedgerRow> rows; ///< in the order in which forward first reads them

  /// The text depends on the rows' numbers only in digits, not in length: a header with room for a ledger can be
  /// written before the errors are known.
  std::string toJson() const;
  /// Errors: text that is not a ledger of version 4.
  static Result<Ledger> parse(std::string_view json);
};

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_LEDGER_H
