// What SmoothQuant and AWQ have in common: which sites they scale, what calibration knows of these, where scales go.
#ifndef QOPT_PASSES_QUANTIZE_SCALESTAGE_H
#define QOPT_PASSES_QUANTIZE_SCALESTAGE_H

#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Parameters/ResumeFolder.h"
#include "passes/Fold/ScalePairs.h"
#include "passes/Quantize/ModelStatistics.h"
#include "passes/Quantize/QuantizeContext.h"
#include "passes/Quantize/Selection.h"

#include <nlohmann/json.hpp>

namespace qopt {

/// The sites of some kinds (of all but Other if none is named) that `algorithm` scales, in the order of their first
/// reader; not those whose readers are all kept, which `targets` has none of. Errors: a kind that is named twice,
/// nothing but such sites (usage); no @forward, no site of those kinds (bad input).
Result<std::vector<ScaleSite>> sitesToScale(mlir::ModuleOp module, std::string_view algorithm,
                                            llvm::ArrayRef<SiteKind> kinds, const TargetsByUser *targets);

class ScaleStage {
public:
  struct Options {
    std::string algorithm; ///< "awq"; also the suffix of the factors' names
    std::string statistics, overlay, directory;
    llvm::ArrayRef<SiteKind> kinds;         ///< of the sites to scale; empty: all but Other
    const TargetsByUser *targets = nullptr; ///< the linears to be quantized; null: all
    bool needsGram = true;                  ///< whether Calibrated::hessian is wanted
    QuantizeContext context = {};
  };

  /// Errors: as sitesToScale, ModelStatistics::open, ParameterEvaluator::open and checkArchiveToWrite.
  static Result<ScaleStage> begin(mlir::ModuleOp module, const Options &options);

  /// Those of sitesToScale.
  const std::vector<ScaleSite> &sites() const { return found; }

  const StatisticsArchive &archive() const { return statistics.archive(); }

  /// What linears of a site read, and what they do with it.
  struct Calibrated {
    ModelStatistics::Hessian hessian;             ///< of the activations as they are now, as are the others
    std::vector<double> meanAbs;                  ///< [channels]
    std::vector<float> greatest;                  ///< [channels]
    std::vector<FloatView> weights;               ///< of each reader : [rows, channels]
    std::vector<transformer::ParameterOp> owners; ///< the weights' parameters
    int64_t rows(size_t reader) { return mlir::cast<mlir::RankedTensorType>(owners[reader].getType()).getDimSize(0); }
  };
  /// Errors (bad input): no statistics for the site, weights that cannot be read.
  Result<Calibrated> calibrated(const ScaleSite &site);

  /// Adds a scale, which pairs will be made of; `found` says how it was found.
  Status add(const ScaleSite &site, std::vector<float> factor, nlohmann::ordered_json found);
  /// Notes a site that is better left as it is.
  Status leave(const ScaleSite &site, nlohmann::ordered_json found);

  /// Takes what an earlier process has found for a site (add() or leave() again), or calls `find`, and says that the
  /// site is done.
  Status visit(const ScaleSite &site, llvm::function_ref<Status()> find);

  int64_t scaledSites() const { return static_cast<int64_t>(scales.size()); }
  int64_t leftSites() const { return static_cast<int64_t>(record.size() - scales.size()); }

  /// Writes the factors and inserts the pairs.
  Status finish();

private:
  ScaleStage(mlir::ModuleOp module, Options options, ModelStatistics statistics)
      : module(module), options(std::move(options)), statistics(std::move(statistics)) {}

  Status takeFinished(const ScaleSite &site);
  /// What was found for a site; `factor` is empty for one that is left.
  void note(const ScaleSite &site, std::vector<float> factor, nlohmann::ordered_json found);
  Status keepFound(const ScaleSite &site, std::span<const float> factor, const nlohmann::ordered_json &found);

  mlir::ModuleOp module;
  Options options;
  ModelStatistics statistics;
  std::unique_ptr<ParameterEvaluator> parameters;
  std::vector<ScaleSite> found;
  std::vector<SiteScale> scales;
  int64_t visited = 0;
  const Site *reading = nullptr; ///< whose statistics calibrated() has looked at
  nlohmann::ordered_json record = nlohmann::ordered_json::array();
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SCALESTAGE_H
