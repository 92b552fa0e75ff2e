#include "lib/Parameters/Diagnostics.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

InFlightDiagnostic qopt::emitError(Location loc, const Error &error) {
  InFlightDiagnostic diagnostic = mlir::emitError(loc) << error.rule;
  if (!error.where.empty())
    diagnostic.attachNote() << "in: " << error.where;
  if (!error.outcome.empty())
    diagnostic.attachNote() << "result: " << error.outcome;
  if (!error.next.empty())
    diagnostic.attachNote() << "next: " << error.next;
  diagnostic.getUnderlyingDiagnostic()->getMetadata().push_back(
      DiagnosticArgument(static_cast<int64_t>(error.errorClass)));
  return diagnostic;
}

LogicalResult qopt::emitFailure(Location loc, Status status, const std::string &outcome) {
  if (status)
    return success();
  Error error = status.takeError();
  if (error.outcome.empty())
    error.outcome = outcome;
  return qopt::emitError(loc, error);
}

/// "model.mlir:3:5" or "\"blk.0.attn_q.weight\""; empty for an unknown location.
static std::string describe(Location loc) {
  if (isa<UnknownLoc>(loc))
    return {};
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << loc;
  StringRef inner = text;
  if (inner.consume_front("loc("))
    inner.consume_back(")");
  return inner.str();
}

Error qopt::toError(Diagnostic &diagnostic) {
  Error error = badInput(diagnostic.str(), describe(diagnostic.getLocation()));
  for (const DiagnosticArgument &argument : diagnostic.getMetadata())
    if (argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::Integer)
      error.errorClass = static_cast<ErrorClass>(argument.getAsInteger());
  for (Diagnostic &note : diagnostic.getNotes()) {
    std::string owned = note.str();
    StringRef text = owned;
    if (text.consume_front("in: "))
      error.where += (error.where.empty() ? "" : ": ") + text.str();
    else if (text.consume_front("result: "))
      error.outcome = text.str();
    else if (text.consume_front("next: "))
      error.next = text.str();
    else
      error.rule += "\n  note: " + text.str();
  }
  return error;
}
