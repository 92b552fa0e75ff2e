// AWQ's objective as its authors have it: how far what a whole module, attention or MLP, adds to the residual stream is
// from what it was, with the linears at its beginning rounded.
//
// The module is split where those linears end. What they give is computed here, W'·x for each candidate; the rest of
// the module is compiled once, as it is, and run on that. The linear that ends a module needs none of this: its own
// output error, tr(ΔW·H·ΔWᵀ), is the module's.
#ifndef QOPT_PASSES_QUANTIZE_MODULEOBJECTIVE_H
#define QOPT_PASSES_QUANTIZE_MODULEOBJECTIVE_H

#include "lib/Algorithms/Awq.h"
#include "passes/Calibrate/PartRunner.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Fold/ScalePairs.h"

namespace qopt {

/// Where the module that a site begins ends: what its segment adds to the residual stream. Null: one of the site's own
/// linears gives that, or the site is in no segment that ends in such a sum.
mlir::Value moduleEnd(const ScaleSite &site, llvm::ArrayRef<Segment> segments);

class ModuleObjective {
public:
  struct Site {
    const ScaleSite &site;
    mlir::Value end; ///< moduleEnd()
    MatrixView rows; ///< what the linears read : [samples * length, channels], of the runner's samples
  };
  /// Runs the module as it is. `runner` must outlive the objective. Errors: as PartRunner::run.
  static Result<ModuleObjective> create(mlir::ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner,
                                        const Site &site);

  /// Σ (y - y')² over samples, tokens and channels of the module's end, with W' = Q(W·S)·S⁻¹ for S = diag(scale),
  /// ranges all of a group's; infinite where a scale's format cannot hold one. `linears` has one for each reader of the
  /// site; null for one that is kept. `scale` : [channels]. The same bits for any number of threads.
  Result<double> errorOf(llvm::ArrayRef<const AwqLinear *> linears, std::span<const float> scale,
                         const ParallelFor &parallel);

private:
  explicit ModuleObjective(PartRunner &runner) : runner(&runner) {}

  PartRunner *runner;
  std::vector<AlignedVector<float>> columns; ///< of each sample's rows : [channels, length]
  std::vector<SampleStream> exact, changed;  ///< what each reader gives; with weights rounded
  std::optional<SampleStream> wanted;        ///< the end of the module as it is
  std::shared_ptr<const Model> rest;         ///< from the readers' results to the end
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_MODULEOBJECTIVE_H
