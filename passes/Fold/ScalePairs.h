// Where pairs of scales can stand, and putting them there.
//
//   %0 = op …                                       %0 = op …
//   %1 = transformer.linear %0, %w                  %1 = lowbit.scale %0 by %s axis 1 inverse
//                                                   %2 = lowbit.scale %w by %s axis 1
//                                                   %3 = transformer.linear %1, %2
//
// with %s a new parameter from an archive that is written here. The model computes what it did; --fold-scales takes the
// scales into weights.
#ifndef QOPT_PASSES_FOLD_SCALEPAIRS_H
#define QOPT_PASSES_FOLD_SCALEPAIRS_H

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Support/Error.h"
#include "passes/Fold/ScaleKinds.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace qopt {

/// The metadata key of an archive of factors that says, in JSON, how they were found.
inline constexpr std::string_view scalesKey = "qopt.scales";

class OutputSet;

/// A value that linears, and nothing else, read.
struct ScaleSite {
  mlir::Value value; ///< [tokens, channels]
  llvm::SmallVector<transformer::LinearOp, 3> readers;
  /// For attention's result: query heads that share a value head, and so a scale, and the size of a head.
  int64_t times = 1, dim = 0;

  SiteKind kind() const;
  /// The weight of the first reader.
  std::string name() const;
  int64_t channels() const { return mlir::cast<mlir::RankedTensorType>(value.getType()).getDimSize(1); }
  /// The factor that each channel has.
  std::vector<int64_t> factorsOfChannels() const;
  /// Factors that can be chosen: channels / times.
  int64_t factors() const { return channels() / times; }
  /// The factor that channel `channel` has.
  int64_t factorOf(int64_t channel) const {
    return times == 1 ? channel : channel / (dim * times) * dim + channel % dim;
  }
};

/// The sites of a function, in the order of their first reader: values whose readers are linears with weights that
/// transformer.get reads.
std::vector<ScaleSite> findScaleSites(mlir::func::FuncOp function);
/// Those of some kinds; of all but Other if none is named. Error (bad input): there are none.
Result<std::vector<ScaleSite>> findScaleSites(mlir::func::FuncOp function, llvm::ArrayRef<SiteKind> kinds);

/// What a site is scaled by: activations are divided by the factors, the inputs of weights multiplied.
struct SiteScale {
  ScaleSite site;
  std::vector<float> factor; ///< [site.factors()]
};

struct ScalePairOptions {
  std::string overlay;   ///< the archive to write
  std::string directory; ///< that the IR's paths are relative to
  std::string suffix;    ///< of the factors' names: "SITE.suffix", or "SITE.suffix.2" where a weight stands again
  std::string metadata;  ///< how the factors were found, as JSON, for whoever reads the archive
};

/// Writes the factors and inserts the pairs; with `outputs`, the archive is one of that set. Nothing is written if
/// there are no scales. Errors: an overlay that is an archive of the model itself; a name that is taken; the disk.
Status insertScalePairs(mlir::ModuleOp module, llvm::ArrayRef<SiteScale> scales, const ScalePairOptions &options,
                        OutputSet *outputs = nullptr);

} // namespace qopt

#endif // QOPT_PASSES_FOLD_SCALEPAIRS_H
