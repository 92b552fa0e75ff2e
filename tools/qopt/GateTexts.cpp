// See GateTexts.h; and what of gates is known before hours of work (Steps.h).
#include "tools/qopt/GateTexts.h"

#include "lib/Archive/MappedFile.h"
#include "lib/Archive/Sha256.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Compile/Sources.h"
#include "lib/Runtime/Text/Tokenizer.h"

#include <filesystem>
#include <map>

using namespace qopt;

std::string qopt::gateTextPath(const Gate &gate, const std::string &recipePath) {
  std::filesystem::path path(gate.text);
  if (path.is_relative() && !recipePath.empty())
    path = std::filesystem::path(recipePath).parent_path() / path;
  return path.string();
}

/// Opens the text of a gate.
static Result<MappedFile> openText(const Gate &gate, const std::string &recipePath) {
  Result<MappedFile> file = MappedFile::open(gateTextPath(gate, recipePath));
  if (file)
    return file;
  Error error = file.takeError().in(gate.where);
  error.outcome = "nothing was quantized";
  error.next =
      std::string("name a file of plain text") + (gate.where == kFarText ? "" : ", relative to the recipe's file");
  return error;
}

static Result<std::vector<int32_t>> tokensOf(const Gate &gate, const std::string &recipePath,
                                             const Tokenizer &tokenizer) {
  Result<MappedFile> file = openText(gate, recipePath);
  if (!file)
    return file.takeError();
  std::string_view text(reinterpret_cast<const char *>(file->bytes().data()), file->size());
  Result<Encoding> encoding = tokenizer.encode(text, {.recognizeSpecial = false, .addSpecial = false});
  if (!encoding)
    return encoding.takeError();
  return std::move(encoding->ids);
}

static Status checkText(const Gate &gate, const std::string &recipePath, const Tokenizer &tokenizer, int64_t context) {
  Result<std::vector<int32_t>> tokens = tokensOf(gate, recipePath, tokenizer);
  if (!tokens)
    return tokens.takeError();
  int64_t length = gate.lengthFor(context);
  if (context > 0 && length > context)
    return badInput("expected a gate's windows to have at most " + std::to_string(context) +
                        " tokens, the model's context, but got " + std::to_string(length),
                    gate.where)
        .withNext("say length: " + std::to_string(context) + ", or less");
  int64_t wanted = gate.windows.value_or(1), has = static_cast<int64_t>(tokens->size()) / length;
  if (has < wanted)
    return badInput("expected a gate's text to have at least " + std::to_string(wanted) + " window" +
                        (wanted == 1 ? "" : "s") + " of " + std::to_string(length) + " tokens, but got " +
                        std::to_string(tokens->size()) + " tokens",
                    escapeForMessage(gate.text, 1000) + " (gate of " + gate.where + ")")
        .withNext(has > 0 ? "name a longer text, or say windows: " + std::to_string(has)
                          : "name a longer text, or say a smaller length");
  return {};
}

Status qopt::checkHeldOut(const Recipe &recipe, std::optional<int64_t> heldOut) {
  for (const Gate &gate : recipe.gates) {
    if (!gate.heldOut || !heldOut)
      continue;
    if (*heldOut == 0 && !gate.isDefault)
      return badInput("expected statistics with windows that were held out, but there are none", gate.where)
          .withNext("calibrate on longer texts, or leave the gate out");
    if (gate.windows.value_or(0) > *heldOut)
      return badInput("expected " + std::to_string(*gate.windows) + " windows that were held out, but there are " +
                          std::to_string(*heldOut),
                      gate.where)
          .withNext("calibrate with a greater --held-out, or say windows: " + std::to_string(*heldOut));
  }
  return {};
}

std::vector<Error> qopt::gateProblems(const Recipe &recipe, const std::string &recipePath, mlir::ModuleOp module,
                                      const std::string &directory, std::optional<int64_t> heldOut) {
  std::vector<Error> problems;
  if (std::ranges::none_of(recipe.gates, &Gate::isOnText))
    return problems;
  CompileOptions options;
  Status described = describeSources(module, directory, options);
  Result<Tokenizer> tokenizer = described ? openTokenizer(options) : Result<Tokenizer>(described.takeError());
  if (!tokenizer) {
    problems.push_back(tokenizer.takeError().in("gates"));
    return problems;
  }
  for (const Gate &gate : recipe.gates) {
    if (gate.heldOut && !recipe.needsStatistics())
      problems.push_back(usageError(
          "expected a recipe that is calibrated, because a gate is on what calibration has held out", gate.where));
    if (!gate.text.empty())
      if (Status status = checkText(gate, recipePath, *tokenizer, contextOf(module)); !status)
        problems.push_back(status.takeError());
  }
  if (Status status = recipe.needsStatistics() ? checkHeldOut(recipe, heldOut) : Status(); !status)
    problems.push_back(status.takeError());
  for (Error &error : problems)
    error.outcome = "nothing was quantized";
  return problems;
}

Result<nlohmann::ordered_json> qopt::describeGateTexts(const Recipe &recipe, const std::string &recipePath) {
  nlohmann::ordered_json texts;
  for (const Gate &gate : recipe.gates) {
    if (gate.text.empty())
      continue;
    Result<MappedFile> file = openText(gate, recipePath);
    if (!file)
      return file.takeError();
    texts.push_back(
        {{"name", std::filesystem::path(gate.text).filename().string()}, {"digest", toString(sha256(file->bytes()))}});
  }
  return texts;
}

Result<std::vector<GateText>> qopt::gatherTexts(const GateInputs &inputs, const Tokenizer &tokenizer) {
  std::vector<GateText> texts;
  for (const Gate &gate : inputs.recipe.gates) {
    if (!gate.text.empty()) {
      Result<std::vector<int32_t>> tokens = tokensOf(gate, inputs.recipePath, tokenizer);
      if (!tokens)
        return tokens.takeError();
      bool isFar = gate.where == kFarText;
      texts.push_back({&gate, isFar ? std::filesystem::path(gate.text).filename().string() + " (far)" : gate.text,
                       std::move(*tokens), gate.lengthFor(contextOf(inputs.original))});
    }
    if (!gate.heldOut)
      continue;
    Result<StatisticsArchive> archive = StatisticsArchive::open(inputs.statistics);
    if (!archive)
      return archive.takeError();
    std::vector<int32_t> tokens = archive->heldOut();
    std::span<const int32_t> sources = archive->heldOutSource();
    int64_t length = archive->header().length;
    std::map<int32_t, GateText> bySource;
    for (size_t window = 0; window < sources.size(); ++window) {
      GateText &text = bySource[sources[window]];
      text.tokens.insert(text.tokens.end(), tokens.begin() + static_cast<int64_t>(window) * length,
                         tokens.begin() + static_cast<int64_t>(window + 1) * length);
    }
    if (Status status = checkHeldOut(inputs.recipe, static_cast<int64_t>(sources.size())); !status)
      return status.takeError();
    for (auto &[source, text] : bySource) {
      bool isNamed = source >= 0 && static_cast<size_t>(source) < archive->header().sources.size();
      std::string name = isNamed ? archive->header().sources[source].value("name", "") : std::to_string(source);
      texts.push_back({&gate, "held out of " + name + " (near)", std::move(text.tokens), length});
    }
  }
  return texts;
}
