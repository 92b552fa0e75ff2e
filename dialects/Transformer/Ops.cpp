// Verifiers of the transformer dialect. Labels (linear_c1) name the same constraint in the tests.
#include "dialects/Transformer/Dialect.h"

#include "dialects/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

#define GET_OP_CLASSES
#include "dialects/Transformer/Ops.cpp.inc"

LogicalResult ArchiveOp::verify() {
  if (getPath().empty()) // archive_c1
    return emitOpError("expected a path");
  if (static_cast<int64_t>(getSize()) < 0) // archive_c2
    return emitOpError() << "expected a size of at least 0, but got " << static_cast<int64_t>(getSize());
  if (!getHeaderDigest().starts_with("sha256:")) // archive_c3
    return emitOpError() << "expected a header digest of the form sha256:…, but got \"" << getHeaderDigest() << "\"";
  return success();
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

std::optional<unsigned> qopt::transformer::getPackedBits(Encoding encoding) {
  switch (encoding) {
  case Encoding::PackedU2:
    return 2;
  case Encoding::PackedU3:
    return 3;
  case Encoding::PackedU4:
    return 4;
  case Encoding::PackedU5:
    return 5;
  case Encoding::PackedU6:
    return 6;
  default:
    return std::nullopt;
  }
}

LogicalResult ParameterOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (getSource() && !getInitializer().empty()) // parameter_c1
    return emitOpError("expected an archive entry or an initializer, but got both");
  if (!getSource())
    return success();
  Type element = type.getElementType();
  Encoding encoding = getSource()->getEncoding();
  bool fits = false;
  switch (encoding) {
  case Encoding::PackedU2:
  case Encoding::PackedU3:
  case Encoding::PackedU4:
  case Encoding::PackedU5:
  case Encoding::PackedU6: {
    unsigned bits = *getPackedBits(encoding);
    fits = element.isInteger(bits) && type.getRank() > 0 && type.getShape().back() % 8 * bits % 8 == 0;
    break;
  }
  case Encoding::U8:
    fits = element.isInteger() && element.getIntOrFloatBitWidth() <= 8;
    break;
  case Encoding::F16:
    fits = element.isF16() || element.isF32();
    break;
  case Encoding::BF16:
    fits = element.isBF16() || element.isF32();
    break;
  default:
    fits = element.isF32();
  }
  if (!fits) // parameter_c2
    return emitOpError() << "expected a type that encoding " << stringifyEncoding(encoding)
                         << " can be read as, but got " << type;
  return success();
}

LogicalResult ParameterOp::verifyRegions() {
  if (getInitializer().empty())
    return success();
  auto yield = dyn_cast<YieldOp>(getInitializer().front().getTerminator());
  if (!yield) // parameter_c3
    return emitOpError("expected the initializer to end in transformer.yield");
  if (yield.getValue().getType() != getType()) // parameter_c4
    return emitOpError() << "expected the initializer to yield " << getType() << ", but got "
                         << yield.getValue().getType();
  for (Operation &op : getInitializer().front().without_terminator())
    if (!isMemoryEffectFree(&op)) // parameter_c5
      return emitOpError() << "expected an initializer of pure ops, but got " << op.getName();
  return success();
}

LogicalResult ParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (auto source = getSource())
    if (!symbols.lookupNearestSymbolFrom<ArchiveOp>(*this, source->getArchive())) // parameter_c6
      return emitOpError() << "expected " << source->getArchive() << " to name a transformer.archive";
  return success();
}

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // Inside an initializer the parameter itself is a symbol's parent; look up from the module that holds it.
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(*this, getParameterAttr());
  if (!parameter) // get_c1
    return emitOpError() << "expected " << getParameterAttr() << " to name a transformer.parameter";
  if (parameter.getType() != getValue().getType()) // get_c2
    return emitOpError() << "expected the type of " << getParameterAttr() << ", " << parameter.getType() << ", but got "
                         << getValue().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Initializers
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::verify() {
  if (getInputs().empty()) // concat_c1
    return emitOpError("expected at least one input");
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t rows = 0, interleave = static_cast<int64_t>(getInterleave());
  for (Value input : getInputs()) {
    auto type = cast<RankedTensorType>(input.getType());
    if (type.getRank() != result.getRank() || type.getElementType() != result.getElementType() ||
        type.getShape().drop_front() != result.getShape().drop_front()) // concat_c2
      return emitOpError() << "expected inputs that differ from " << result << " in the first axis only, but got "
                           << type;
    if (interleave < 0 || (interleave != 0 && (type.getDimSize(0) != rowsOf(getInputs()[0]) ||
                                               type.getDimSize(0) % interleave != 0))) // concat_c3
      return emitOpError() << "expected inputs of equal length that blocks of " << interleave
                           << " rows divide, but got " << type;
    if (llvm::AddOverflow(rows, type.getDimSize(0), rows)) // concat_c4
      return emitOpError("expected inputs whose rows can be counted in 64 bits");
  }
  return expectEqual(*this, "the result's first axis", rows, result.getDimSize(0)); // concat_c5
}

LogicalResult UnpermuteRotaryOp::verify() {
  int64_t heads = static_cast<int64_t>(getHeads()), rows = rowsOf(getResult());
  if (heads <= 0 || rows % heads != 0 || (rows / heads) % 2 != 0) // unpermute_rotary_c1
    return emitOpError() << "expected heads of an even number of rows, but got " << heads << " heads in " << rows
                         << " rows";
  return success();
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  if (failed(expectEqual(*this, "the result's channels", width(getTable()), width(getResult())))) // embedding_c1
    return failure();
  return expectSameTokens(*this, {getTokens(), getResult()});
}

static LogicalResult verifyNorm(Operation *op, Value input, Value weight, double epsilon, Value result) {
  if (failed(expectEqual(op, "the weight's length", width(input), width(weight))) || // norm_c1
      failed(expectEqual(op, "the result's channels", width(input), width(result)))) // norm_c2
    return failure();
  if (!(epsilon >= 0.0) || !std::isfinite(epsilon)) // norm_c3
    return op->emitOpError() << "expected a finite epsilon of at least 0, but got " << epsilon;
  return expectSameTokens(op, {input, result});
}

LogicalResult RmsNormOp::verify() {
  return verifyNorm(*this, getInput(), getWeight(), getEpsilon().convertToDouble(), getResult());
}

LogicalResult LayerNormOp::verify() {
  if (getBias() &&
      failed(expectEqual(*this, "the bias's length", width(getInput()), width(getBias())))) // layer_norm_c1
    return failure();
  return verifyNorm(*this, getInput(), getWeight(), getEpsilon().convertToDouble(), getResult());
}

LogicalResult LinearOp::verify() {
  if (failed(expectEqual(*this, "the weight's inputs", width(getInput()), width(getWeight()))) ||   // linear_c1
      failed(expectEqual(*this, "the result's channels", rowsOf(getWeight()), width(getResult())))) // linear_c2
    return failure();
  if (getBias() && failed(expectEqual(*this, "the bias's length", rowsOf(getWeight()), width(getBias())))) // linear_c3
    return failure();
  return expectSameTokens(*this, {getInput(), getResult()});
}

LogicalResult SliceOp::verify() {
  int64_t offset = static_cast<int64_t>(getOffset());
  if (offset < 0 || offset > width(getInput()) || width(getResult()) > width(getInput()) - offset) // slice_c1
    return emitOpError() << "expected a range within " << width(getInput()) << " channels, but got "
                         << width(getResult()) << " channels at " << offset;
  return expectSameTokens(*this, {getInput(), getResult()});
}

LogicalResult RotaryOp::verify() {
  if (width(getInput()) % getRotary().getDim() != 0) // rotary_op_c1
    return emitOpError() << "expected channels that heads of " << getRotary().getDim() << " divide, but got "
                         << width(getInput());
  return expectSameTokens(*this, {getInput(), getPositions()});
}

LogicalResult RotaryTableOp::verify() {
  if (failed(expectEqual(*this, "the table's width", getRotary().getDim(), width(getResult())))) // rotary_table_c1
    return failure();
  return expectSameTokens(*this, {getPositions(), getResult()});
}

LogicalResult RotateOp::verify() {
  if (width(getTable()) % 2 != 0 || width(getInput()) % width(getTable()) != 0) // rotate_c1
    return emitOpError() << "expected channels that a table of even width divides, but got " << width(getInput())
                         << " and " << width(getTable());
  return expectSameTokens(*this, {getInput(), getTable()});
}

LogicalResult CacheUpdateOp::verify() {
  CacheType cache = getCache().getType();
  if (failed(expectEqual(*this, "the keys' channels", cache.getHeads() * cache.getDim(),
                         width(getKey())))) // cache_update_c1
    return failure();
  return expectSameTokens(*this, {getKey(), getPositions(), getSequences()});
}

LogicalResult AttentionOp::verify() {
  CacheType cache = getCache().getType();
  if (width(getQuery()) % (cache.getHeads() * cache.getDim()) != 0) // attention_c1
    return emitOpError() << "expected query channels that " << cache.getHeads() << " cache heads of " << cache.getDim()
                         << " divide, but got " << width(getQuery());
  if (static_cast<int64_t>(getWindow()) < 0) // attention_c2
    return emitOpError() << "expected a window of at least 0, but got " << static_cast<int64_t>(getWindow());
  if (!std::isfinite(getScale().convertToDouble())) // attention_c3
    return emitOpError() << "expected a finite scale, but got " << getScale().convertToDouble();
  return expectSameTokens(*this, {getQuery(), getPositions(), getSequences()});
}

LogicalResult InterleavedGatedProductOp::verify() {
  int64_t block = static_cast<int64_t>(getBlock());
  if (width(getInput()) % 2 != 0 || width(getInput()) / 2 != width(getResult())) // interleaved_c1
    return emitOpError() << "expected twice as many channels as the result has, " << width(getResult()) << ", but got "
                         << width(getInput());
  if (block <= 0 || width(getResult()) % block != 0) // interleaved_c2
    return emitOpError() << "expected a block that divides " << width(getResult()) << " channels, but got " << block;
  return expectSameTokens(*this, {getInput(), getResult()});
}

LogicalResult SelectRowsOp::verify() {
  if (failed(expectEqual(*this, "the result's channels", width(getInput()), width(getResult())))) // select_rows_c1
    return failure();
  return expectSameTokens(*this, {getRows(), getResult()});
}
