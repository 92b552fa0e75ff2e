// See ResidualStream.h.
#include "passes/Fold/ResidualStream.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

static Error notPart(const char *what, Operation *op) {
  return badInput(std::string("expected a residual stream that ") + what + ", but " +
                  op->getName().getStringRef().str() + " does");
}

/// The values of the stream, from those that embeddings make on: through residuals and the selection of rows.
static llvm::SetVector<Value> collectValues(func::FuncOp forward) {
  llvm::SetVector<Value> values;
  forward.walk([&](EmbeddingOp embedding) { values.insert(embedding.getResult()); });
  for (size_t i = 0; i < values.size(); ++i)
    for (Operation *user : values[i].getUsers())
      if (isa<ResidualOp, SelectRowsOp>(user))
        values.insert(user->getResult(0));
  return values;
}

Result<ResidualStream> qopt::findResidualStream(func::FuncOp forward) {
  llvm::SetVector<Value> values = collectValues(forward);
  if (values.empty())
    return badInput("expected a model that begins with an embedding, but found none");
  ResidualStream stream;
  stream.channels = cast<RankedTensorType>(values[0].getType()).getDimSize(1);
  llvm::SetVector<Operation *> writers;
  // What a residual adds that is not the stream itself is written to it.
  auto noteOperand = [&](Value operand) -> Status {
    if (values.contains(operand))
      return {};
    auto linear = operand.getDefiningOp<LinearOp>();
    if (!linear || !linear.getResult().hasOneUse()) {
      Operation *producer = operand.getDefiningOp();
      return badInput("expected a residual stream that embeddings and linears alone write to, but " +
                      (producer ? producer->getName().getStringRef().str() : std::string("an argument")) + " does");
    }
    writers.insert(linear);
    return {};
  };
  for (Value value : values) {
    Operation *producer = value.getDefiningOp();
    if (auto embedding = dyn_cast<EmbeddingOp>(producer))
      stream.embeddings.push_back(embedding);
    if (auto residual = dyn_cast<ResidualOp>(producer))
      for (Value operand : residual->getOperands())
        if (Status status = noteOperand(operand); !status)
          return status.takeError();
    for (Operation *user : value.getUsers()) {
      if (auto norm = dyn_cast<RmsNormOp>(user))
        stream.norms.push_back(norm);
      else if (!isa<ResidualOp, SelectRowsOp>(user))
        return notPart("norms that subtract no mean, residuals and the selection of rows alone read", user);
    }
  }
  for (Operation *writer : writers)
    stream.writers.push_back(cast<LinearOp>(writer));
  return stream;
}
