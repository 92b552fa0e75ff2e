// The walk over blocks: frames, calls, parameters. What each op computes is in TransformerOps.cpp, Attention.cpp and
// LowBitOps.cpp.
#include "lib/Reference/Evaluator.h"

#include "dialects/Kernel/Dialect.h"
#include "lib/Reference/Ops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

FailureOr<int64_t> reference::checkedRow(Operation *op, StringRef what, int64_t index, int64_t rows) {
  if (index >= 0 && index < rows)
    return index;
  return op->emitOpError() << "expected " << what << " in [0, " << rows << "), but got " << index;
}

LogicalResult reference::sameRows(Operation *op, ArrayRef<const Tensor *> tensors) {
  for (const Tensor *tensor : tensors)
    if (tensor->dim(0) != tensors[0]->dim(0))
      return op->emitOpError() << "expected operands with as many rows as the first, " << tensors[0]->dim(0)
                               << ", but got " << tensor->type;
  return success();
}

/// A value can stand for `type`: dynamic axes may have any size.
static LogicalResult checkType(Operation *op, const Twine &what, Type type, const HostValue &value) {
  Type got;
  bool fits = false;
  if (auto *tensor = std::get_if<TensorRef>(&value)) {
    got = (*tensor)->type;
    auto wanted = dyn_cast<RankedTensorType>(type);
    fits = wanted && wanted.getElementType() == (*tensor)->type.getElementType() &&
           succeeded(verifyCompatibleShape(wanted, (*tensor)->type));
    size_t elements = (*tensor)->isFloat() ? (*tensor)->floats.size() : (*tensor)->integers.size();
    if (fits && static_cast<int64_t>(elements) != (*tensor)->elements())
      return op->emitError() << "expected " << what << " to have " << (*tensor)->elements() << " elements, but got "
                             << elements;
  } else if (auto *cache = std::get_if<Cache>(&value)) {
    got = cache->type();
    fits = got == type;
  } else {
    got = IndexType::get(op->getContext());
    fits = type.isIndex();
  }
  if (fits)
    return success();
  return op->emitError() << "expected " << what << " to be " << type << ", but got " << got;
}

FailureOr<TensorRef> Evaluator::parameter(FlatSymbolRefAttr name, Operation *user) {
  auto parameter = module.lookupSymbol<transformer::ParameterOp>(name.getAttr());
  if (!parameter)
    return user->emitError() << "expected " << name << " to name a transformer.parameter";
  FailureOr<TensorRef> result;
  if (parameter.getInitializer().empty()) {
    result = source(parameter);
  } else {
    if (!active.insert(parameter))
      return user->emitError() << "expected an initializer that does not need itself, but " << name << " does";
    auto values = run(parameter.getInitializer().front(), {}, /*observed=*/false);
    active.remove(parameter);
    if (failed(values))
      return failure();
    result = std::get<TensorRef>(values->front());
  }
  if (failed(result) || failed(checkType(parameter, "the parameter", parameter.getType(), *result)))
    return failure();
  return result;
}

FailureOr<std::vector<HostValue>> Evaluator::call(func::FuncOp function, ArrayRef<HostValue> arguments) {
  if (function.isExternal())
    return function.emitError("expected a function with a body");
  if (arguments.size() != function.getNumArguments())
    return function.emitError() << "expected " << function.getNumArguments() << " arguments, but got "
                                << arguments.size();
  if (!function.getBody().hasOneBlock())
    return function.emitError("expected a function of one block");
  for (auto [index, argument] : llvm::enumerate(arguments))
    if (failed(checkType(function, "argument " + Twine(index), function.getArgumentTypes()[index], argument)))
      return failure();
  // Nothing in the IR chooses between ops, so what calls itself never ends.
  if (!active.insert(function))
    return function.emitError("expected a function that does not call itself");
  auto results = run(function.getBody().front(), arguments, /*observed=*/true);
  active.remove(function);
  return results;
}

/// Constants: indices and dense tensors.
static Results evaluateConstant(arith::ConstantOp op) {
  if (auto integer = dyn_cast<IntegerAttr>(op.getValue()); integer && integer.getType().isIndex())
    return std::vector<HostValue>{integer.getInt()};
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense || !isa<RankedTensorType>(dense.getType()) || !isa<FloatType, IntegerType>(dense.getElementType()))
    return op.emitOpError("expected an index or a dense tensor of floats or integers");
  if (isa<IntegerType>(dense.getElementType()))
    for (const APInt &value : dense.getValues<APInt>())
      if (!value.isSignedIntN(32) && value.getBitWidth() != 1)
        return op.emitOpError("expected integers that 32 bits hold");
  return single(Tensor::fromAttribute(dense));
}

FailureOr<std::vector<HostValue>> Evaluator::run(Block &block, ArrayRef<HostValue> arguments, bool observed) {
  Frame frame;
  // Uses that are still to come in this block, so that a weight is let go after its last one.
  llvm::DenseMap<mlir::Value, int64_t> uses;
  for (auto [name, value] : llvm::zip_equal(block.getArguments(), arguments))
    frame.set(name, value);
  auto operandsOf = [&](ValueRange names) {
    std::vector<HostValue> values;
    for (mlir::Value name : names)
      values.push_back(frame.get(name));
    return values;
  };

  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      if (isa<func::ReturnOp, kernel::YieldOp, transformer::YieldOp>(op))
        return operandsOf(op.getOperands());
      return op.emitOpError("is no terminator that the reference evaluator knows");
    }
    Results results = failure();
    if (auto get = dyn_cast<transformer::GetOp>(op)) {
      FailureOr<TensorRef> value = parameter(get.getParameterAttr(), get);
      if (succeeded(value))
        results = std::vector<HostValue>{*value};
    } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      results = evaluateConstant(constant);
    } else if (auto call = dyn_cast<func::CallOp>(op)) {
      auto callee = module.lookupSymbol<func::FuncOp>(call.getCalleeAttr().getAttr());
      if (!callee)
        return call.emitOpError() << "expected " << call.getCalleeAttr() << " to name a function";
      results = this->call(callee, operandsOf(call.getOperands()));
    } else if (auto dispatch = dyn_cast<kernel::DispatchOp>(op)) {
      results = run(dispatch.getBody().front(), operandsOf(dispatch.getBindings()), observed);
    } else if (auto repeat = dyn_cast<kernel::RepeatOp>(op)) {
      auto callee = module.lookupSymbol<func::FuncOp>(repeat.getCalleeAttr().getAttr());
      if (!callee)
        return repeat.emitOpError() << "expected " << repeat.getCalleeAttr() << " to name a function";
      std::vector<HostValue> carried = operandsOf(repeat.getCarried()), invariant = operandsOf(repeat.getInvariant());
      for (auto [row, names] : llvm::enumerate(repeat.getTable().getAsRange<ArrayAttr>())) {
        std::vector<HostValue> inputs{static_cast<int64_t>(repeat.getFirst()) + static_cast<int64_t>(row)};
        llvm::append_range(inputs, carried);
        llvm::append_range(inputs, invariant);
        for (auto name : names.getAsRange<FlatSymbolRefAttr>()) {
          FailureOr<TensorRef> value = parameter(name, repeat);
          if (failed(value))
            return failure();
          inputs.push_back(*value);
        }
        Results outputs = this->call(callee, inputs);
        if (failed(outputs))
          return failure();
        carried = std::move(*outputs);
      }
      results = std::move(carried);
    } else if (std::optional<Results> known = evaluateTransformerOp(&op, frame)) {
      results = std::move(*known);
    } else if (std::optional<Results> known = evaluateLowBitOp(&op, frame)) {
      results = std::move(*known);
    } else {
      return op.emitOpError("is not evaluated by the reference");
    }
    if (failed(results))
      return failure();
    for (auto [index, value] : llvm::enumerate(*results)) {
      mlir::Value name = op.getResult(index);
      if (failed(checkType(&op, "result " + Twine(index), name.getType(), value)))
        return failure();
      frame.set(name, value);
      uses[name] = std::distance(name.use_begin(), name.use_end());
    }
    if (observed && observer)
      observer(&op, *results);
    for (mlir::Value operand : op.getOperands())
      if (auto left = uses.find(operand); left != uses.end() && --left->second == 0)
        frame.forget(operand);
  }
  return block.getParentOp()->emitError("expected a block that ends in a terminator");
}
