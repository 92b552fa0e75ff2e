#include "passes/Quantize/Selection.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Numerics/Panel.h"
#include "lib/Parameters/ModelLedger.h"
#include "passes/Quantize/RecipeText.h"
#include "passes/Support/Forward.h"
#include "passes/Support/WantedRows.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// How forward uses one parameter.
struct Uses {
  llvm::SmallVector<Operation *, 2> weightUsers; ///< linears and embeddings whose weight or table it is
  bool isHeadOrEmbedding = false;
  Operation *other = nullptr; ///< an op that uses it in another way
  bool isQuantized = false;   ///< codes, scales or zero points
};
} // namespace

static bool isWeightUse(OpOperand &use) {
  if (auto linear = dyn_cast<LinearOp>(use.getOwner()))
    return use.get() == linear.getWeight() && use.get() != linear.getBias();
  if (auto embedding = dyn_cast<EmbeddingOp>(use.getOwner()))
    return use.get() == embedding.getTable();
  return false;
}

static void noteUse(OpOperand &use, LinearOp head, Uses &uses) {
  Operation *user = use.getOwner();
  if (isWeightUse(use)) {
    uses.weightUsers.push_back(user);
    uses.isHeadOrEmbedding |= isa<EmbeddingOp>(user) || user == head;
    return;
  }
  uses.isQuantized |= isa<lowbit::LinearOp, lowbit::EmbeddingOp>(user) && use.getOperandNumber() > 0 &&
                      !(isa<lowbit::LinearOp>(user) && cast<lowbit::LinearOp>(user).getBias() == use.get());
  uses.other = user;
}

/// "transformer.linear at "blk.0.ffn_up.weight"".
static std::string describeOp(Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << op->getName();
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    stream << " of \"" << escapeForMessage(name.getName().getValue()) << "\"";
  else if (!isa<UnknownLoc>(op->getLoc()))
    stream << " at " << op->getLoc();
  return text;
}

/// The groups of Scheme.h that divide `inputs`, for a message.
static std::string groupsThatDivide(int64_t inputs) {
  std::string text;
  for (int64_t group : {256, 128, 64, 32})
    if (inputs % group == 0)
      text += (text.empty() ? "g" : ", g") + std::to_string(group);
  return text;
}

TargetsByUser qopt::targetsByUser(llvm::MutableArrayRef<QuantizationTarget> targets) {
  TargetsByUser byUser;
  for (QuantizationTarget &target : targets)
    for (Operation *user : target.users)
      byUser[user] = &target;
  return byUser;
}

Status qopt::checkFit(QuantizationTarget &target) {
  int64_t inputs = target.type().getDimSize(1);
  const WeightScheme &weights = target.scheme.weights;
  std::string where = describeOp(target.users.front()) + ": parameter @" + target.parameter.getSymName().str();
  std::string groups = groupsThatDivide(inputs);
  std::string next = groups.empty() ? "use a scheme with one group per channel (:channel)"
                                    : "use a group that divides it (" + groups + ") or :channel";
  next += ", or keep this weight by a rule of the recipe";
  if (weights.group != 0 && inputs % weights.group != 0)
    return badInput("expected a group that divides the " + std::to_string(inputs) + " inputs, but got " +
                        std::to_string(weights.group),
                    where)
        .withNext(next);
  if (target.scheme.activations == qopt::ActivationKind::I8PerGroup && inputs % 32 != 0)
    return badInput("expected activation groups of 32 to divide the inputs, but got " + std::to_string(inputs) +
                        " inputs",
                    where)
        .withNext("use activations per token (a8)");
  // Codes of whole bytes fit any row; of others, rows in an archive are whole bytes and panels whole blocks.
  int64_t depth = PanelLayout::quantized(weights, /*dot=*/1, inputs).blockDepth();
  if (weights.bits < 8 && inputs % depth != 0)
    return badInput("expected a multiple of " + std::to_string(depth) + " inputs for " + std::to_string(weights.bits) +
                        "-bit codes, but got " + std::to_string(inputs),
                    where)
        .withNext("use 8 bits for this weight, or keep it by a rule of the recipe");
  if (Status status = weights.validate(inputs); !status)
    return status.takeError().in(where).withNext(next);
  return {};
}

/// What needs calibration and does not get it: GPTQ of an embedding or of a weight on several values, GPTQ or static
/// activations of the output head.
static Status checkCalibrated(QuantizationTarget &target, const llvm::DenseSet<Value> &wanted) {
  std::string where = "parameter @" + target.parameter.getSymName().str();
  bool isGptq = target.method == Method::Gptq;
  Value read;
  for (Operation *user : target.users) {
    auto linear = dyn_cast<LinearOp>(user);
    if (isGptq && linear && read && read != linear.getInput())
      return badInput("expected a weight that linears on one value read, because gptq has one Hessian for it, but this "
                      "one is read on several",
                      where)
          .withNext("give each linear its own parameter, or round it to nearest (method: rtn)");
    read = linear ? linear.getInput() : read;
    if (isGptq && !linear)
      return badInput("expected linears to be quantized by gptq, but got an embedding", where)
          .withNext("round embeddings to nearest (method: rtn)");
    if (!linear || !wanted.contains(linear.getInput()))
      continue;
    if (isGptq)
      return badInput("expected linears over tokens to be quantized by gptq, but this one is over the wanted rows",
                      where)
          .withNext("round it to nearest (method: rtn)");
    if (target.scheme.activations == qopt::ActivationKind::I8Static)
      return badInput("expected linears over tokens to have static ranges of activations, but this one is over the "
                      "wanted rows",
                      where)
          .withNext("give it activations per token, as in head: w8a8:channel, or keep it");
  }
  return {};
}

static LedgerRow quantizedRow(QuantizationTarget &target, std::string rule) {
  RankedTensorType type = target.type();
  LedgerRow row;
  row.name = target.parameter.getSymName().str();
  row.status = LedgerStatus::Quantized;
  row.rule = std::move(rule);
  row.scheme = printScheme(target.scheme);
  row.elements = type.getNumElements();
  row.bytes = static_cast<int64_t>(target.scheme.weights.bitsPerRow(type.getDimSize(1)) * type.getDimSize(0) / 8);
  row.bitsPerWeight = 8.0 * static_cast<double>(row.bytes) / static_cast<double>(row.elements);
  row.scaledBy = foldedScales(target.parameter);
  return row;
}

/// The rows of a weight that an earlier pass has quantized: all of them come from its codes.
static std::optional<LedgerRow> previousRow(ParameterOp parameter, const Ledger &previous) {
  StringRef name = parameter.getSymName();
  if (!name.consume_back(".codes"))
    return std::nullopt;
  for (const LedgerRow &row : previous.rows)
    if (row.name == name)
      return row;
  LedgerRow row = keptRow(parameter, LedgerStatus::Quantized, "quantized before, without a ledger");
  row.name = name.str();
  return row;
}

/// What an op's own attribute says of its weight, as the rule that comes before all of the recipe's. Nothing without
/// one. Errors (bad input): a scheme or method that does not parse; a method that the recipe does not have.
static Result<std::optional<RecipeRule>> attributeRule(Operation *op, const Recipe &recipe) {
  auto own = op->getAttrOfType<DictionaryAttr>(lowbit::kQuantizeAttribute);
  if (!own)
    return std::optional<RecipeRule>();
  std::string where = describeOp(op);
  RecipeRule rule{lowbit::kQuantizeAttribute.str(), recipe.body, "", where};
  auto text = [&](StringRef key) {
    auto value = own.getAs<StringAttr>(key);
    return value ? value.str() : std::string();
  };
  if (own.get("keep")) {
    rule.scheme.reset();
  } else if (std::string scheme = text("scheme"); !scheme.empty()) {
    Result<Scheme> parsed = parseSchemeLike(scheme, recipe.body);
    if (!parsed)
      return parsed.takeError().in(where);
    if (parsed->activations == qopt::ActivationKind::I8Static && !recipe.hasStaticActivations())
      return badInput("expected a recipe with static activations, because an op asks for them", where)
          .withNext("say such a scheme in the recipe, for all linears or by a rule for this one");
    rule.scheme = *parsed;
  } else if (!recipe.body) {
    return badInput("expected an op that says a scheme, because the recipe's is keep", where)
        .withNext("say {scheme = \"w4a16:g64\", …}, or keep");
  }
  if (std::string method = text("method"); !method.empty()) {
    Result<Method> parsed = parseMethod(method);
    if (!parsed)
      return parsed.takeError().in(where);
    bool has = *parsed == Method::RoundToNearest || recipe.uses(*parsed);
    if (!has || (*parsed == Method::Plugin && recipe.plugin->name != method))
      return badInput("expected a recipe that uses " + method + ", because an op asks for it", where)
          .withNext("say method: " + method + " in the recipe, for this op or another");
    rule.method = *parsed;
  }
  return std::optional(std::move(rule));
}

/// The same of all ops that share a weight, which have to agree.
static Result<std::optional<RecipeRule>> attributeRule(ArrayRef<Operation *> users, const Recipe &recipe) {
  for (Operation *user : users)
    if (user->getAttr(lowbit::kQuantizeAttribute) != users.front()->getAttr(lowbit::kQuantizeAttribute))
      return badInput("expected ops that share a weight to have the same " + lowbit::kQuantizeAttribute.str() +
                          ", but they differ",
                      describeOp(user))
          .withNext("say it of all ops that read the weight, or of none");
  return attributeRule(users.front(), recipe);
}

/// A name for a rule in the ledger: its glob, and the reason if there is one.
static std::string describeRule(const RecipeRule &rule) {
  return rule.match + (rule.reason.empty() ? "" : " (" + rule.reason + ")");
}

static LinearOp findHead(func::FuncOp forward) {
  auto terminator = dyn_cast<func::ReturnOp>(forward.getBody().back().getTerminator());
  return terminator && terminator.getNumOperands() > 0 ? terminator.getOperand(0).getDefiningOp<LinearOp>()
                                                       : LinearOp();
}

/// Every parameter that forward reads, in that order.
static llvm::MapVector<Operation *, Uses> collectUses(ModuleOp module, func::FuncOp forward,
                                                      std::vector<Error> &problems) {
  LinearOp head = findHead(forward);
  SymbolTable symbols(module);
  llvm::MapVector<Operation *, Uses> all;
  forward.walk([&](Operation *op) {
    if (auto get = dyn_cast<GetOp>(op)) {
      Uses &uses = all[symbols.lookup(get.getParameter())];
      for (OpOperand &use : get.getValue().getUses())
        noteUse(use, head, uses);
      return;
    }
    Value weight;
    if (auto linear = dyn_cast<LinearOp>(op))
      weight = linear.getWeight();
    else if (auto embedding = dyn_cast<EmbeddingOp>(op))
      weight = embedding.getTable();
    if (weight && !weight.getDefiningOp<GetOp>())
      problems.push_back(
          badInput("expected a weight that transformer.get reads", describeOp(op))
              .withNext(
                  "fold scales first (--fold-scales), and quantize before passes that outline or compute weights"));
  });
  return all;
}

/// Rules that match nothing, or that others before them have left nothing.
static void checkRules(ModuleOp module, const Recipe &recipe, const std::vector<bool> &matched,
                       const std::vector<bool> &decided, const std::vector<LedgerRow> &rows,
                       std::vector<Error> &problems) {
  for (size_t i = 0; i < recipe.rules.size(); ++i) {
    const RecipeRule &rule = recipe.rules[i];
    std::string quoted = "\"" + escapeForMessage(rule.match) + "\"";
    if (!matched[i] && module.lookupSymbol<ParameterOp>(rule.match))
      problems.push_back(badInput("expected a pattern that matches a weight, but " + quoted +
                                      " is a parameter that is never quantized",
                                  rule.where)
                             .withNext("leave it out"));
    else if (!matched[i])
      problems.push_back(
          badInput("expected a pattern that matches a weight of the model, but " + quoted + " matches none", rule.where)
              .withNext("compare it with the names of the parameters, such as " +
                        (rows.empty() ? std::string("none") : rows[rows.size() / 2].name)));
    else if (!decided[i])
      problems.push_back(badInput("expected each rule to decide a weight, but all that " + quoted +
                                      " matches are decided by rules before it",
                                  rule.where)
                             .withNext("put the rule before the more general ones, or remove it"));
  }
}

Survey qopt::surveyTargets(ModuleOp module, const Recipe &recipe, const Ledger &previous) {
  Survey survey;
  Selection &selection = survey.selection;
  Result<func::FuncOp> forward = forwardOf(module);
  if (!forward) {
    survey.problems.push_back(forward.takeError());
    return survey;
  }
  auto uses = collectUses(module, *forward, survey.problems);
  llvm::DenseSet<Value> wanted = wantedRows(*forward);
  selection.ledger.cancelled = cancelledScales(module);
  std::vector<LedgerRow> &rows = selection.ledger.rows;
  std::vector<bool> matched(recipe.rules.size()), decided(recipe.rules.size());
  for (auto &[op, use] : uses) {
    auto parameter = cast<ParameterOp>(op);
    if (use.weightUsers.empty()) {
      if (!use.isQuantized)
        rows.push_back(keptRow(parameter, LedgerStatus::Kept, "not the weight of a linear or an embedding"));
      else if (auto row = previousRow(parameter, previous))
        rows.push_back(std::move(*row));
      continue;
    }
    Result<std::optional<RecipeRule>> own = attributeRule(use.weightUsers, recipe);
    if (!own) {
      survey.problems.push_back(own.takeError());
      continue;
    }
    const RecipeRule *rule = *own ? &**own : nullptr;
    for (size_t i = 0; i < recipe.rules.size(); ++i) {
      if (!recipe.rules[i].matches(parameter.getSymName()))
        continue;
      matched[i] = true;
      if (!rule)
        rule = &recipe.rules[i], decided[i] = true;
    }
    std::optional<Scheme> scheme = rule ? rule->scheme : use.isHeadOrEmbedding ? recipe.head : recipe.body;
    std::string reason = rule ? describeRule(*rule) : use.isHeadOrEmbedding ? "head" : "scheme";
    if (!scheme) {
      rows.push_back(keptRow(parameter, rule ? LedgerStatus::Waived : LedgerStatus::Kept, reason));
      continue;
    }
    if (use.other)
      survey.problems.push_back(badInput("expected a weight that only linears and embeddings use, but " +
                                             describeOp(use.other) + " uses it too",
                                         "parameter @" + parameter.getSymName().str())
                                    .withNext("keep this weight by a rule of the recipe"));
    // The embedding and the head are rounded to nearest unless a rule says otherwise.
    Method method = use.isHeadOrEmbedding ? Method::RoundToNearest : recipe.method;
    if (rule && rule->method)
      method = *rule->method;
    QuantizationTarget target{parameter,       *scheme, use.weightUsers, rows.size(), method, use.isHeadOrEmbedding,
                              own->has_value()};
    for (Status status : {checkFit(target), checkCalibrated(target, wanted)})
      if (!status)
        survey.problems.push_back(status.takeError());
    rows.push_back(quantizedRow(target, reason));
    selection.targets.push_back(std::move(target));
  }
  checkRules(module, recipe, matched, decided, rows, survey.problems);
  if (selection.targets.empty())
    survey.problems.push_back(badInput("expected weights to quantize, but found none")
                                  .withNext("the model is quantized already, or all of it is kept: remove the step, "
                                            "or the rules"));
  return survey;
}

Result<Selection> qopt::selectTargets(ModuleOp module, const Recipe &recipe, const Ledger &previous) {
  Survey survey = surveyTargets(module, recipe, previous);
  if (!survey.problems.empty())
    return std::move(survey.problems.front());
  return std::move(survey.selection);
}
