// A method of recipes that is a pass of its own: what a plugin derives from (docs/WritingAPass.md).
//
// The method turns one weight after another into codes. What surrounds it is here: the options that every such pass
// has, the recipe, statistics, the overlay, the ledger, weights that an earlier process has finished, and what is
// rounded to nearest beside it.
#ifndef QOPT_PASSES_QUANTIZE_METHODPASS_H
#define QOPT_PASSES_QUANTIZE_METHODPASS_H

#include "passes/Quantize/ModelStatistics.h"
#include "passes/Quantize/PassSettings.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/QuantizationRun.h"
#include "passes/Support/PassCounts.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// The pass quantize-NAME is `method: quantize-NAME` of recipes, and `quantize-NAME: {option: value}` its settings. In
/// a pipeline it takes `scheme`, `head` and `keep`, or `recipe`, as --quantize-gptq does. Weights of its method go to
/// quantize(); those with `method: rtn`, and the embedding and the head that no rule names, are rounded to nearest.
class MethodPass : public mlir::OperationPass<mlir::ModuleOp>, public ReportsCounts {
public:
  /// What the options say, and what a driver has besides.
  struct Inputs {
    std::string scheme, head, recipe, statistics, overlay, directory;
    std::vector<std::string> keep, absorb;
    QuantizeContext context;
  };
  void take(Inputs inputs);

  /// Sets one of the method's own options. Errors (usage): there is none of that name, with the nearest; a value that
  /// it does not take.
  Status set(const std::string &option, const std::string &value);

  /// The method's own options with their values.
  std::vector<std::pair<std::string, std::string>> settings() { return settingsOf(*this); }

  /// Whether quantize() looks at statistics of the model.
  virtual bool needsStatistics() const { return false; }
  /// Refuses settings that the method cannot work with, before anything is read.
  virtual Status checkSettings() const { return {}; }

  llvm::SmallVector<Count> counts() const override;
  void getDependentDialects(mlir::DialectRegistry &registry) const override;
  void runOnOperation() final;

protected:
  explicit MethodPass(mlir::TypeID id) : OperationPass(id) {}
  /// For clonePass(), which copies the options' values itself.
  MethodPass(const MethodPass &other)
      : OperationPass(other), context(other.context), tookSettings(other.tookSettings) {}

  /// Chooses the codes of a weight by run.quantize(target, …, {}). What it adds to run.row(target) but errors and
  /// damping has to be there before: in prepare().
  virtual Status quantize(QuantizationRun &run, QuantizationTarget &target) = 0;
  /// Called for each weight of the method before the first is quantized: the place to refuse a scheme.
  virtual Status prepare(QuantizationRun &run, QuantizationTarget &target) { return {}; }

  /// Null unless the recipe needs statistics.
  const ModelStatistics *modelStatistics() const { return model ? &*model : nullptr; }

private:
  Result<Recipe> getRecipe();
  Status quantizeModel();

  Option<std::string> scheme{*this, "scheme", llvm::cl::desc("scheme of all linears, such as w4a16:g64:asym, or keep"),
                             llvm::cl::init("")};
  Option<std::string> head{
      *this, "head",
      llvm::cl::desc("scheme of the embedding and the output head (round to nearest); they are kept without one"),
      llvm::cl::init("")};
  ListOption<std::string> keep{*this, "keep", llvm::cl::desc("globs of weights to keep as they are")};
  Option<std::string> recipe{*this, "recipe", llvm::cl::desc("a recipe in YAML, in place of scheme, head and keep"),
                             llvm::cl::init("")};
  Option<std::string> statistics{*this, "statistics", llvm::cl::desc("the archive that 'qopt calibrate' wrote"),
                                 llvm::cl::init("")};
  Option<std::string> overlay{*this, "overlay", llvm::cl::desc("the archive to write; must be said")};
  Option<std::string> directory{*this, "directory",
                                llvm::cl::desc("the directory that the IR's archive paths are relative to"),
                                llvm::cl::init(".")};
  ListOption<std::string> absorb{
      *this, "absorb",
      llvm::cl::desc("files of archives whose tensors the overlay takes over, so that they need not be kept")};

  QuantizeContext context;
  bool tookSettings = false; ///< of the recipe
  std::optional<ModelStatistics> model;
  int64_t quantized = 0, nearest = 0, rewritten = 0, erased = 0;
};

/// Makes a method known to recipes, by its pass's argument. The first of a name stays.
void registerMethod(const std::function<std::unique_ptr<MethodPass>()> &create);

/// Makes PassT known by its argument: to pipelines as a pass, and to recipes as a method. For the callback of a plugin.
template <typename PassT> struct MethodRegistration {
  MethodRegistration() {
    mlir::PassRegistration<PassT>();
    registerMethod([] { return std::make_unique<PassT>(); });
  }
};

/// The names of the methods that are registered, in alphabetical order.
std::vector<std::string> registeredMethods();

/// The pass of a registered method; null if there is none of that name.
std::unique_ptr<MethodPass> createMethodPass(const std::string &name);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_METHODPASS_H
