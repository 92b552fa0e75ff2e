// The steps from a checkpoint to an artifact, each the body of a subcommand; `qopt build` runs them one after another.
// An Error without a rule was printed where it was found, as MLIR's diagnostics are.
#ifndef QOPT_TOOLS_QOPT_STEPS_H
#define QOPT_TOOLS_QOPT_STEPS_H

#include "lib/Archive/OutputFile.h"
#include "lib/Calibration/Samples.h"
#include "lib/Compile/Compile.h"
#include "lib/Parameters/ResumeFolder.h"
#include "passes/Quantize/Recipe.h"
#include "tools/qopt/CompilerArguments.h"
#include "tools/qopt/RunReport.h"
#include "tools/qopt/Session.h"

#include <string>
#include <vector>

namespace qopt {

struct CalibrateArguments {
  std::string field = "text", match = "*", shard;
  std::vector<std::string> texts, lines;
  std::vector<std::string> weights; ///< whose inputs are looked at; empty: all of those that match
  SampleOptions samples;
  int64_t memoryMegabytes = 4096;
  int threads = 0;
  bool histogram = false, noGram = false;
  bool samplesAlone = false; ///< no statistics: the model is not run

  std::vector<std::string> saidOfTexts; ///< options that were given and say something of texts or their samples
  bool hasTexts() const { return !texts.empty() || !lines.empty(); }
};
/// Refuses (usage) what is said of texts where there are none, and of JSON lines where there are none.
Status checkTextOptions(const CalibrateArguments &arguments);

/// Runs `module`, whose archives are named relative to `directory`, over text, and writes the statistics to `output`;
/// what was seen goes to stderr.
Status calibrateModule(Session &session, mlir::ModuleOp module, const CalibrateArguments &arguments,
                       const std::string &directory, const std::string &output);

struct QuantizeArguments {
  std::string scheme, head, method, scales, recipe, statistics, resume, report;
  std::string farText; ///< a gate's text that is unlike those of calibration
  bool noGates = false;
  std::vector<std::string> keep;
  int64_t maxFallback = 0;
  CalibrateArguments calibration; ///< of what needs statistics, if texts are given in place of them
  /// Whether nothing is said of how to quantize.
  bool empty() const { return recipe.empty() && !saysMoreThanRecipe(); }
  /// Whether texts are given to take statistics from.
  bool calibrates() const { return calibration.hasTexts(); }
  /// Whether something is said that a recipe says too.
  bool saysMoreThanRecipe() const {
    return !(scheme.empty() && head.empty() && method.empty() && scales.empty() && keep.empty());
  }
};
/// Refuses a recipe beside what it says itself.
Status checkArguments(const QuantizeArguments &arguments);
/// Refuses what a recipe does not need (statistics, texts, fallbacks of gptq), statistics beside texts, and neither
/// where it needs them.
Status checkArgumentsFor(const Recipe &recipe, const QuantizeArguments &arguments);

/// The folder of --resume, which stays until it is removed; null without one. `module` is what will be quantized, whose
/// archives are named relative to `directory`. Errors: as ResumeFolder::open; a file that is named and cannot be read.
Result<std::unique_ptr<ResumeFolder>> openResumeFolder(Session &session, mlir::ModuleOp module,
                                                       const QuantizeArguments &arguments,
                                                       const std::string &directory);

/// Quantizes `module`, whose archives are named relative to `directory`, and writes the overlay; with `outputs`, as one
/// of that set. `resume`: what openResumeFolder has given, or null. What stages take goes to `report`.
Status quantizeModule(Session &session, mlir::ModuleOp module, const QuantizeArguments &arguments,
                      const std::string &directory, const std::string &overlay, OutputSet *outputs,
                      ResumeFolder *resume, RunReport &report);

/// Rotates `module` as a recipe says.
Status rotateModule(Session &session, mlir::ModuleOp module, const RotateSettings &settings);

/// What the arguments say, as a recipe.
Result<Recipe> recipeOf(const QuantizeArguments &arguments);

/// Where a gate comes from that is on the text of that option.
inline constexpr const char *kFarText = "--far-text";

/// The same with the gates that the result is judged by: the recipe's or those by default, and one on --far-text; none
/// with --no-gates. Error (usage): --far-text beside --no-gates.
Result<Recipe> judgedRecipeOf(const QuantizeArguments &arguments);

/// The texts that a model is to be calibrated on.
Result<std::vector<TextSource>> readSources(const CalibrateArguments &arguments);

/// The longest window that a model has room for, in tokens; 0 where it does not say.
int64_t contextOf(mlir::ModuleOp module);

/// What a model is run over: the texts' samples.
struct CalibrationText {
  std::vector<TextSource> sources;
  SampleSet samples;
  nlohmann::ordered_json provenance; ///< of the model, as describeSources has it
};
/// Of `module`, whose archives are named relative to `directory`. Errors: samples longer than the model's context; as
/// describeSources, readSources, openTokenizer and chooseSamples.
Result<CalibrationText> readCalibrationText(mlir::ModuleOp module, const std::string &directory,
                                            const CalibrateArguments &arguments);

/// The tokenizer that was imported with `module`. Error (bad input): there is none.
Result<Tokenizer> openTokenizer(const CompileOptions &options);

/// All that gates ask for and would not find, known before hours of work: texts that cannot be read or are shorter than
/// a window, windows longer than the model's context, a tokenizer, windows that are held out. `module`, whose archives
/// are named relative to `directory`, is what will be quantized; `heldOut`: windows of all sources, where that is
/// known.
std::vector<Error> gateProblems(const Recipe &recipe, const std::string &recipePath, mlir::ModuleOp module,
                                const std::string &directory, std::optional<int64_t> heldOut);

/// Error (bad input): a gate is on windows that were held out, and `heldOut` of them are none.
Status checkHeldOut(const Recipe &recipe, std::optional<int64_t> heldOut);

/// The texts of a recipe's gates, for the provenance: name and digest of each. They can be read, as gateProblems has
/// made sure.
Result<nlohmann::ordered_json> describeGateTexts(const Recipe &recipe, const std::string &recipePath);

/// What a recipe's gates are judged by. Archives of both modules are named relative to `directory`, and can be opened.
struct GateInputs {
  mlir::ModuleOp original, quantized; ///< which stay as they are
  const Recipe &recipe;
  std::string recipePath; ///< texts are relative to its folder; may be empty
  std::string statistics; ///< the archive that the recipe was calibrated with, or empty
  std::string directory;
};
/// Evaluates the quantized model on each gate's text, prints what was found to stderr and notes it in `report`, and
/// refuses one that does not keep to the gates (Gate). Without gates it does nothing.
Status checkGates(const GateInputs &inputs, RunReport &report);

/// Compiles `module`, whose archives are named relative to `directory`, to an artifact.
Status compileArtifact(Session &session, mlir::ModuleOp module, const std::string &directory,
                       const std::string &targets, const std::string &output);

/// Reads an IR file and runs --pass-pipeline on it.
Result<mlir::OwningOpRef<mlir::ModuleOp>> readModule(Session &session, const std::string &path);

/// Compiles an IR file: what `run`, `eval` and `bench` do with a FILE that is no artifact. Errors: a
/// file of another kind, by its name.
Status compileForRunning(const CompilerArguments &compiler, const std::string &file, const std::string &target,
                         const std::string &output);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_STEPS_H
