// The parameters that a quantized weight is made of. For QuantizationRun's files.
#ifndef QOPT_PASSES_QUANTIZE_QUANTIZEDTYPES_H
#define QOPT_PASSES_QUANTIZE_QUANTIZEDTYPES_H

#include "passes/Quantize/Selection.h"

namespace qopt {

/// The three parameters that a weight becomes.
struct QuantizedTypes {
  mlir::RankedTensorType codes, scales, zeros; ///< zeros: null if symmetric

  static QuantizedTypes of(QuantizationTarget &target);
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_QUANTIZEDTYPES_H
