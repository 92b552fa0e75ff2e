// qopt search: the best mix of bits within a budget, as a recipe.
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Quantize/BitSearch.h"
#include "passes/Quantize/Sensitivity.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Options.h"
#include "tools/qopt/Subcommands.h"

#include <filesystem>
#include <nlohmann/json.hpp>

using namespace qopt;

namespace {
struct SearchArguments {
  std::string model, output, report, sensitivity = "kl";
  std::vector<std::string> forms;
  double bits = 0;
};
} // namespace

/// What a weight may become unless it is said: the recipe's scheme with 2 to 6 bits, 4 bits in groups of 32, and 8 bits
/// by channel, which need no groups.
static std::vector<WeightScheme> defaultForms(const WeightScheme &scheme) {
  std::vector<WeightScheme> forms;
  for (int bits : {2, 3, 4, 5, 6})
    forms.push_back({bits, scheme.symmetric, scheme.group, scheme.scale});
  if (scheme.group != 32)
    forms.push_back({4, scheme.symmetric, 32, scheme.scale});
  forms.push_back({8, /*symmetric=*/true, /*group=*/0, scheme.scale});
  return forms;
}

/// "w3:g64:asym", as recipes have it.
static Result<std::vector<WeightScheme>> parseForms(const std::vector<std::string> &texts, const Scheme &body) {
  std::vector<WeightScheme> forms = texts.empty() ? defaultForms(body.weights) : std::vector<WeightScheme>();
  for (const std::string &text : texts) {
    std::string_view rest = text;
    if (!rest.starts_with('w'))
      return usageError("expected forms of weights, but got \"" + escapeForMessage(text) + "\"", "--forms")
          .withNext("say for example --forms w3:g64:asym,w4:g64:asym");
    // Activations are the recipe's.
    size_t end = rest.find_first_not_of("0123456789", 1);
    std::string whole = std::string(rest.substr(0, end)) + std::string(activationName(body.activations)) +
                        (end == std::string_view::npos ? "" : std::string(rest.substr(end)));
    Result<Scheme> form = parseScheme(whole);
    if (!form)
      return form.takeError().in("--forms").withNext("say for example --forms w3:g64:asym,w4:g64:asym");
    if (std::ranges::find(forms, form->weights) == forms.end())
      forms.push_back(form->weights);
  }
  return forms;
}

static std::string formText(Scheme scheme, const WeightScheme &form) {
  scheme.weights = form;
  return printScheme(scheme);
}

/// KL of each weight in its probe, over windows of the texts.
static Result<std::vector<double>> measure(mlir::ModuleOp module, const std::string &directory, BitSearch &search,
                                           ParameterEvaluator &parameters, const CalibrateArguments &texts) {
  Result<CalibrationText> text = readCalibrationText(module, directory, texts);
  if (!text)
    return text.takeError();
  Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(text->samples.tokens, text->samples.length);
  if (!runner)
    return runner.takeError();
  std::vector<SensitivityProbe> probes;
  for (SearchedWeight &weight : search.weights())
    probes.push_back({weight.name(), search.forms()[search.probeOf(weight)]});
  Progress progress("search", "weights", 1);
  return measureSensitivities(
      module, parameters, **runner, probes,
      {.progress = [&](int64_t done, int64_t total, const std::string &name) { progress.update(done, total, name); }});
}

/// What is known of each weight, for who wants to choose otherwise.
static nlohmann::ordered_json describe(BitSearch &search, const Scheme &body, std::span<const double> sensitivities) {
  nlohmann::ordered_json weights = nlohmann::ordered_json::array();
  for (auto [i, weight] : llvm::enumerate(search.weights())) {
    nlohmann::ordered_json errors = nlohmann::ordered_json::object();
    for (auto [form, error] : llvm::zip_equal(search.forms(), weight.errors))
      if (error)
        errors[formText(body, form)] = weight.power > 0 ? *error / weight.power : 0;
    nlohmann::ordered_json one = {{"name", weight.name()},
                                  {"elements", weight.elements()},
                                  {"scheme", formText(body, search.forms()[*weight.form])},
                                  {"output_errors", std::move(errors)}};
    if (!sensitivities.empty()) {
      one["probe"] = formText(body, search.forms()[search.probeOf(weight)]);
      one["kl"] = sensitivities[i];
    }
    weights.push_back(std::move(one));
  }
  return {{"bits_per_weight", search.bitsPerWeight()}, {"cost", search.cost()}, {"weights", std::move(weights)}};
}

/// Gates name texts relative to the recipe: from where that lies to where the new one will.
static void rebaseGates(Recipe &recipe, const std::string &from, const std::string &to) {
  namespace fs = std::filesystem;
  for (Gate &gate : recipe.gates) {
    fs::path text(gate.text);
    if (gate.text.empty() || text.is_absolute())
      continue;
    fs::path file = fs::path(from).parent_path() / text;
    std::error_code code;
    gate.text = to == "-" ? fs::absolute(file, code).lexically_normal().string()
                          : fs::proximate(file, directoryOf(to), code).string();
  }
}

static void printResult(BitSearch &search, const Scheme &body, const Recipe &mixed) {
  std::fprintf(stderr, "%zu weights, %.3f bits per weight with scales and zero points\n", search.weights().size(),
               search.bitsPerWeight());
  for (size_t form = 0; form < search.forms().size(); ++form) {
    int64_t weights = 0;
    for (SearchedWeight &weight : search.weights())
      weights += weight.form == form;
    std::optional<double> same = search.costOf(form);
    std::fprintf(stderr, "  %-24s %4lld weights; all of them would take %.3f bits",
                 formText(body, search.forms()[form]).c_str(), static_cast<long long>(weights),
                 search.bitsPerWeight(form));
    if (same)
      std::fprintf(stderr, " and cost %.4g", *same);
    std::fprintf(stderr, "\n");
  }
  std::fprintf(stderr, "  the mix costs %.4g; %zu rules\n", search.cost(), mixed.rules.size());
}

static Status search(const CompilerArguments &compiler, const SearchArguments &arguments,
                     const QuantizeArguments &quantize) {
  if (Status status = checkArguments(quantize); !status)
    return status;
  if (!(arguments.bits > 0 && arguments.bits <= 32))
    return usageError("expected --bits above 0 and at most 32, the budget per weight");
  if (quantize.statistics.empty())
    return usageError("expected --statistics")
        .withNext("make them: qopt calibrate MODEL --text FILE -o stats.safetensors");
  bool byDivergence = arguments.sensitivity == "kl", hasTexts = quantize.calibration.hasTexts();
  if (byDivergence != hasTexts)
    return usageError(byDivergence ? "expected --text or --jsonl to measure the divergence on"
                                   : "expected no --text or --jsonl with --sensitivity hessian, which reads none");
  if (Status status = checkTextOptions(quantize.calibration); !status)
    return status;
  Result<Recipe> recipe = recipeOf(quantize);
  if (!recipe)
    return recipe.takeError();
  if (!recipe->body)
    return usageError("expected a scheme for the linears, which the forms take the place of, but it is keep")
        .withNext("say for example --scheme w4a16:g64:asym");
  Scheme body = *recipe->body;
  Result<std::vector<WeightScheme>> forms = parseForms(arguments.forms, body);
  if (!forms)
    return forms.takeError();
  Session session(compiler);
  auto module = readModule(session, arguments.model);
  if (!module)
    return module.takeError();
  std::string directory = directoryOf(arguments.model);
  FileUses files;
  files.reads(arguments.model);
  files.reads(**module, directory);
  files.reads(quantize);
  files.writes(arguments.output, "the output");
  files.writes(arguments.report, "--report");
  if (Status status = files.check(); !status)
    return status;
  if (recipe->rotate)
    if (Status status = rotateModule(session, **module, *recipe->rotate); !status)
      return status;
  Result<ModelStatistics> statistics = ModelStatistics::open(**module, quantize.statistics, directory);
  if (!statistics)
    return statistics.takeError();
  auto parameters = ParameterEvaluator::open(**module, directory);
  if (!parameters)
    return parameters.takeError();
  Result<BitSearch> found = BitSearch::begin(**module, *recipe, std::move(*forms), *statistics, **parameters);
  if (!found)
    return found.takeError();
  std::vector<double> sensitivities;
  if (byDivergence) {
    auto measured = measure(**module, directory, *found, **parameters, quantize.calibration);
    if (!measured)
      return measured.takeError();
    sensitivities = std::move(*measured);
  }
  if (Status status = found->choose(arguments.bits, sensitivities); !status)
    return status;
  Recipe mixed = found->result();
  rebaseGates(mixed, quantize.recipe, arguments.output);
  if (!arguments.report.empty())
    if (Status status = writeOutput(arguments.report, describe(*found, body, sensitivities).dump(1) + "\n"); !status)
      return status;
  if (Status status = writeOutput(arguments.output, printRecipe(mixed)); !status)
    return status;
  printResult(*found, body, mixed);
  return {};
}

int qopt::searchMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app(
      "Looks for the best mix of bits: measures how much each linear's rounding changes what the model predicts,\n"
      "and writes a recipe that gives each linear the form that is worth its bits.",
      "qopt search");
  app.footer(
      std::string(schemeHelp()) + compiler.help() +
      "\nExample:\n  qopt search model.mlir --statistics stats.safetensors --text manual.txt --scheme w4a16:g64:asym "
      "--bits 4.5 -o mixed.yaml");
  SearchArguments arguments;
  QuantizeArguments quantize;
  SampleOptions &samples = quantize.calibration.samples;
  samples.samples = 8, samples.length = 128, samples.heldOut = 0;
  app.add_option("MODEL", arguments.model, "an IR file, not quantized")->required();
  app.add_option("-o,--output", arguments.output, "the recipe to write; - is the standard output")->required();
  app.add_option(
         "--bits", arguments.bits,
         "most bits per weight of the linears that are quantized, scales, zero points and what rules decide counted")
      ->required();
  app.add_option("--forms", arguments.forms,
                 "what a weight may become, such as w3:g64:asym,w8:g32 (default: the scheme with 2 to 6 bits,\n"
                 "4 bits in groups of 32, and 8 bits by channel)")
      ->delimiter(',');
  app.add_option("--sensitivity", arguments.sensitivity,
                 "kl: the divergence with one linear alone rounded, on --text; hessian: its relative output error")
      ->check(CLI::IsMember({"kl", "hessian"}))
      ->capture_default_str();
  app.add_option("--report", arguments.report, "a file for what was found of each linear, in JSON");
  app.add_option("--scheme", quantize.scheme, "scheme of all linears, whose weights' form is looked for");
  app.add_option("--head", quantize.head, "scheme of the embedding and the output head, or keep");
  app.add_option("--keep", quantize.keep, "keep the weights that this glob matches (may be given again)")
      ->allow_extra_args(false);
  app.add_option("--method", quantize.method, "rtn or gptq");
  app.add_option("--scales", quantize.scales, "awq or smooth-quant");
  app.add_option("--recipe", quantize.recipe,
                 "a recipe, in place of these; weights that its rules match are left to them");
  app.add_option("--statistics,--stats", quantize.statistics, "the archive that 'qopt calibrate' wrote for this model");
  addTextOptions(app, quantize.calibration);
  return runCommand(app, compiler, argc, argv, "qopt search", "nothing was written",
                    [&] { return search(compiler, arguments, quantize); });
}
