#include "lib/Parameters/ModelLedger.h"

#include "dialects/LowBit/Dialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

LedgerRow qopt::keptRow(ParameterOp parameter, LedgerStatus status, std::string rule) {
  auto type = cast<RankedTensorType>(parameter.getType());
  LedgerRow row;
  row.name = parameter.getSymName().str();
  row.status = status;
  row.rule = std::move(rule);
  llvm::raw_string_ostream(row.scheme) << type.getElementType();
  row.elements = type.getNumElements();
  row.bitsPerWeight = type.getElementTypeBitWidth();
  row.bytes = row.elements * type.getElementTypeBitWidth() / 8;
  row.scaledBy = foldedScales(parameter);
  return row;
}

std::vector<std::string> qopt::foldedScales(ParameterOp parameter) {
  std::vector<std::string> names;
  parameter.getInitializer().walk([&](lowbit::ScaleOp scale) {
    if (scale.getAlone())
      return;
    Value factor = scale.getFactor();
    if (auto repeat = factor.getDefiningOp<lowbit::RepeatHeadsOp>())
      factor = repeat.getInput();
    if (auto get = factor.getDefiningOp<GetOp>())
      names.push_back(get.getParameter().str());
  });
  return names;
}

std::vector<CancelledScale> qopt::cancelledScales(ModuleOp module) {
  std::vector<CancelledScale> scales;
  if (auto list = module->getAttrOfType<ArrayAttr>(cancelledScalesAttribute))
    for (Attribute entry : list)
      if (auto pair = dyn_cast<ArrayAttr>(entry);
          pair && pair.size() == 2 && isa<StringAttr>(pair[0]) && isa<StringAttr>(pair[1]))
        scales.push_back({cast<StringAttr>(pair[0]).str(), cast<StringAttr>(pair[1]).str()});
  return scales;
}

void qopt::noteCancelledScale(ModuleOp module, const CancelledScale &scale) {
  SmallVector<Attribute> list;
  if (auto before = module->getAttrOfType<ArrayAttr>(cancelledScalesAttribute))
    llvm::append_range(list, before);
  Builder builder(module.getContext());
  list.push_back(builder.getStrArrayAttr({scale.name, scale.reason}));
  module->setAttr(cancelledScalesAttribute, builder.getArrayAttr(list));
}

Result<std::optional<Ledger>> qopt::findLedger(ModuleOp module, const ParameterEvaluator &evaluator) {
  std::optional<Ledger> ledger;
  for (ArchiveOp op : module.getOps<ArchiveOp>()) {
    const Archive *archive = evaluator.archive(op.getSymName());
    std::optional<std::string_view> json = archive ? archive->metadata(ledgerKey) : std::nullopt;
    if (!json)
      continue;
    Result<Ledger> parsed = Ledger::parse(*json);
    if (!parsed)
      return parsed.takeError().in("transformer.archive @" + op.getSymName().str());
    ledger = std::move(*parsed);
  }
  return ledger;
}

Result<Ledger> qopt::readModelLedger(ModuleOp module, const std::string &directory) {
  auto evaluator = ParameterEvaluator::open(module, directory);
  if (!evaluator)
    return evaluator.takeError();
  Result<std::optional<Ledger>> found = findLedger(module, **evaluator);
  if (!found)
    return found.takeError();
  if (*found)
    return std::move(**found);
  Ledger ledger;
  llvm::StringSet<> seen;
  SymbolTable symbols(module);
  if (auto forward = symbols.lookup<func::FuncOp>("forward"))
    forward.walk([&](GetOp get) {
      auto parameter = symbols.lookup<ParameterOp>(get.getParameter());
      if (parameter && seen.insert(get.getParameter()).second)
        ledger.rows.push_back(keptRow(parameter, LedgerStatus::Kept, "never quantized"));
    });
  return ledger;
}
