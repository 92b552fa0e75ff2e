#include "lib/Parameters/ModelLedger.h"

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
  return row;
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
