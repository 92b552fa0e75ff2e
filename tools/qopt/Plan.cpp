// qopt plan: what a quantization would give and take, and all that stands in its way, before anything runs.
#include "lib/Import/Import.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/AvailableMemory.h"
#include "lib/Runtime/UsableCpus.h"
#include "passes/Calibrate/PartRunner.h"
#include "passes/Quantize/QuantizationCost.h"
#include "tools/qopt/Options.h"
#include "tools/qopt/PlanProblems.h"
#include "tools/qopt/Subcommands.h"

#include <filesystem>
#include <map>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {
/// What becomes of the parameters.
struct Outcome {
  std::map<std::string, int64_t> schemes; ///< weights in each
  int64_t weights = 0, elements = 0, bytes = 0;
  int64_t kept = 0, keptBytes = 0;
  double bits() const { return elements > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0; }
};

/// A rule that is broken, and everywhere that it is.
struct Problem {
  Error error;
  std::vector<std::string> places;
};
} // namespace

static Outcome outcomeOf(const Ledger &ledger) {
  Outcome outcome;
  for (const LedgerRow &row : ledger.rows) {
    if (row.status != LedgerStatus::Quantized) {
      ++outcome.kept, outcome.keptBytes += row.bytes;
      continue;
    }
    ++outcome.schemes[row.scheme];
    ++outcome.weights, outcome.elements += row.elements, outcome.bytes += row.bytes;
  }
  return outcome;
}

static std::vector<Problem> withoutRepeats(std::vector<Error> errors) {
  std::vector<Problem> problems;
  for (Error &error : errors) {
    auto same = llvm::find_if(problems, [&](const Problem &problem) { return problem.error.rule == error.rule; });
    if (same == problems.end())
      same = problems.insert(problems.end(), {error, {}});
    if (!error.where.empty())
      same->places.push_back(std::move(error.where));
  }
  return problems;
}

/// Places that are named one by one.
static constexpr size_t kNamedPlaces = 3;

/// The five parts of a message, with several places.
static std::string format(const Problem &problem) {
  Error error = problem.error;
  error.where.clear();
  for (size_t i = 0; i < std::min(kNamedPlaces, problem.places.size()); ++i)
    error.where += (i == 0 ? "" : "\n  in: ") + problem.places[i];
  if (problem.places.size() > kNamedPlaces)
    error.where += "\n  in: " + std::to_string(problem.places.size() - kNamedPlaces) + " more (--json names all)";
  return error.format();
}

/// What the machine does not have.
static void checkMachine(const std::vector<StageCost> &stages, std::vector<Error> &problems) {
  uint64_t available = availableMemory();
  std::error_code failure;
  std::filesystem::space_info space = std::filesystem::space(streamFolder(), failure);
  for (const StageCost &stage : stages) {
    uint64_t needed = kBaseMemory + stage.memory;
    if (available > 0 && needed > available)
      problems.push_back(resourceError("expected about " + std::to_string(needed >> 20) +
                                           " MiB of memory that is free, but there are " +
                                           std::to_string(available >> 20),
                                       stage.name)
                             .withNext("take a machine with more memory, or less calibration text at once"));
    if (stage.spilled > 0 && !failure && space.available < stage.spilled)
      problems.push_back(resourceError("expected room for " + std::to_string(stage.spilled >> 20) +
                                           " MiB of temporary files, but there are " +
                                           std::to_string(space.available >> 20),
                                       stage.name)
                             .withNext("name a folder with more room: TMPDIR=/PATH"));
  }
}

static std::string durationText(double seconds) {
  char text[40];
  if (seconds < 1)
    return "< 1 s";
  if (seconds < 120)
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  else if (seconds < 7200)
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  else
    std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  return text;
}

static std::string bytesText(double bytes) {
  char text[40];
  if (bytes >= 1e9)
    std::snprintf(text, sizeof text, "%.2f GB", bytes * 1e-9);
  else if (bytes >= 1e6)
    std::snprintf(text, sizeof text, "%.0f MB", bytes * 1e-6);
  else
    std::snprintf(text, sizeof text, "%.0f kB", bytes * 1e-3);
  return text;
}

static void printPlan(const Outcome &outcome, const std::vector<StageCost> &stages, const WorkRates &rates,
                      const Foreseen &foreseen) {
  std::printf("%lld weights of %.1f M elements, %.3f bits each with scales and zero points\n",
              static_cast<long long>(outcome.weights), static_cast<double>(outcome.elements) * 1e-6, outcome.bits());
  for (const auto &[scheme, weights] : outcome.schemes)
    std::printf("  %-28s %lld\n", scheme.c_str(), static_cast<long long>(weights));
  std::printf("%lld parameters stay as they are, %s\n", static_cast<long long>(outcome.kept),
              bytesText(static_cast<double>(outcome.keptBytes)).c_str());
  std::printf("size: %s, of which %s quantized\n",
              bytesText(static_cast<double>(outcome.bytes + outcome.keptBytes)).c_str(),
              bytesText(static_cast<double>(outcome.bytes)).c_str());
  for (const CancelledScale &pair : foreseen.cancelled)
    std::printf("left out: the scale of the inputs of @%s: %s\n", pair.name.c_str(), pair.reason.c_str());
  std::printf("\n%-16s %12s %12s %12s  %s\n", "stage", "time, about", "memory", "temporary", "");
  Work all;
  uint64_t most = 0;
  for (const StageCost &stage : stages) {
    all += stage.work, most = std::max(most, kBaseMemory + stage.memory);
    std::printf("%-16s %12s %12s %12s  %s\n", stage.name.c_str(), durationText(rates.secondsOf(stage.work)).c_str(),
                bytesText(static_cast<double>(kBaseMemory + stage.memory)).c_str(),
                stage.spilled > 0 ? bytesText(static_cast<double>(stage.spilled)).c_str() : "-", stage.what.c_str());
  }
  std::printf("%-16s %12s %12s\n", "all", durationText(rates.secondsOf(all)).c_str(),
              bytesText(static_cast<double>(most)).c_str());
}

static Json describe(const Outcome &outcome, const std::vector<StageCost> &stages, const WorkRates &rates,
                     const Foreseen &foreseen, const std::vector<Problem> &problems) {
  Json plan{{"weights", outcome.weights},      {"elements", outcome.elements},     {"bits_per_weight", outcome.bits()},
            {"schemes", outcome.schemes},      {"quantized_bytes", outcome.bytes}, {"kept", outcome.kept},
            {"kept_bytes", outcome.keptBytes}, {"threads", rates.threads},         {"stages", Json::array()},
            {"left_out", Json::array()},       {"problems", Json::array()}};
  for (const StageCost &stage : stages)
    plan["stages"].push_back({{"name", stage.name},
                              {"what", stage.what},
                              {"seconds", rates.secondsOf(stage.work)},
                              {"peak_bytes", kBaseMemory + stage.memory},
                              {"temporary_bytes", stage.spilled}});
  for (const CancelledScale &pair : foreseen.cancelled)
    plan["left_out"].push_back({{"inputs_of", pair.name}, {"reason", pair.reason}});
  for (const Problem &problem : problems)
    plan["problems"].push_back({{"rule", problem.error.rule},
                                {"where", problem.places},
                                {"next", problem.error.next},
                                {"exit_code", static_cast<int>(problem.error.errorClass)}});
  return plan;
}

/// IR, or a checkpoint.
static Result<mlir::OwningOpRef<mlir::ModuleOp>> readSource(Session &session, const std::string &source,
                                                            std::string &directory) {
  Result<FileKind> kind = classifyFile(source);
  directory = ".";
  if (source != "-" && kind && *kind != FileKind::Ir) {
    auto module = importModel(session.context(), source, {});
    if (!module)
      return module;
    if (Status status = session.compiler().runExtraPasses(**module); !status)
      return status.takeError();
    return module;
  }
  directory = directoryOf(source);
  return readModule(session, source);
}

static Status plan(const CompilerArguments &compiler, const QuantizeArguments &arguments, const std::string &source,
                   bool json) {
  if (Status status = checkArguments(arguments); !status)
    return status;
  Result<Recipe> recipe = judgedRecipeOf(arguments);
  if (!recipe)
    return recipe.takeError();
  Session session(compiler);
  std::string directory;
  auto module = readSource(session, source, directory);
  if (!module)
    return module.takeError();
  Foreseen foreseen = foresee(session, **module, *recipe, arguments, directory);
  CostInputs inputs;
  inputs.samples = foreseen.samples, inputs.length = foreseen.length, inputs.heldOut = foreseen.heldOut.value_or(0);
  inputs.calibrates = recipe->needsStatistics() && arguments.statistics.empty();
  inputs.threads = usableCpus();
  std::vector<StageCost> stages = costOfStages(*foreseen.module, *recipe, foreseen.survey.selection, inputs);
  checkMachine(stages, foreseen.problems);
  std::vector<Problem> problems = withoutRepeats(std::move(foreseen.problems));
  Outcome outcome = outcomeOf(foreseen.survey.selection.ledger);
  WorkRates rates = WorkRates::measure(inputs.threads);
  if (json)
    std::printf("%s\n", describe(outcome, stages, rates, foreseen, problems).dump(1).c_str());
  else
    printPlan(outcome, stages, rates, foreseen);
  if (Status status = writeStandardOutput({}); !status || problems.empty())
    return status;
  for (const Problem &problem : problems)
    std::fputs(format(problem).c_str(), stderr);
  std::fprintf(stderr, "%zu problem%s: this would not be quantized\n", problems.size(),
               problems.size() == 1 ? "" : "s");
  return Error{problems.front().error.errorClass, {}, {}, {}, {}};
}

int qopt::planMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Says what quantizing a model would give and take: bits, size, memory and time of each stage, and all\n"
               "that the recipe cannot do with it. Nothing is quantized, and nothing is written.",
               "qopt plan");
  app.footer(std::string(schemeHelp()) + compiler.help() +
             "\nExample:\n  qopt plan SmolLM2-135M-Instruct.Q4_1.gguf --recipe builtin:w4-g64 --text manual.txt");
  QuantizeArguments arguments;
  std::string source;
  bool json = false;
  app.add_option("SOURCE", source, "an IR file, a .gguf file, or a directory that Hugging Face transformers saved")
      ->required();
  addRecipeOptions(app, arguments);
  app.add_flag("--json", json, "print JSON (docs/schemas/plan.json)");
  return runCommand(app, compiler, argc, argv, "qopt plan", "nothing was written",
                    [&] { return plan(compiler, arguments, source, json); });
}
