// Lowers the kernel graph to one SPMD function and a private function for each dispatch.
//
// Every worker runs @qopt_forward. For each dispatch it claims ranges of the grid from a counter until none is left,
// and then waits at the barrier that the caller provides. A kernel.repeat becomes a loop over its table of offsets,
// with the callee's dispatches inside. Which worker computes what changes from run to run; what is computed does not.
#include "dialects/Transformer/Entry.h"
#include "passes/Lower/Emit/CallArguments.h"
#include "passes/Lower/Emit/MatmulTiles.h"
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/SymbolTable.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERDISPATCHES
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;

namespace {

/// Claims that a worker would make if all were equally fast: more balance better, fewer read longer streams.
constexpr int64_t kClaimsPerWorker = 4;
/// The same where a claim begins by splitting activations (MatmulTiles.h): fewer, so that there is less of that.
constexpr int64_t kClaimsPerWorkerOfTiles = 2;
/// A claim of this many bytes of weights is long enough for the memory to stream.
constexpr int64_t kBytesPerClaim = 1 << 20;
/// From so many tokens on it is arithmetic that takes the time of a matmul, not memory.
constexpr int64_t kPromptTokens = 64;

struct LowerDispatches : qopt::impl::LowerDispatchesBase<LowerDispatches>, qopt::ReportsCounts {
  using LowerDispatchesBase::LowerDispatchesBase;
  SmallVector<Count> counts() const override { return {{"kernels", kernelCount}}; }

  void runOnOperation() override {
    module = getOperation();
    SymbolTable table(module);
    symbols = &table;
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    auto arenaPlan = module->getAttrOfType<DenseI64ArrayAttr>("kernel.arena");
    if (!forward || !arenaPlan) {
      mlir::emitError(module.getLoc(), "expected a function @forward whose memory is planned; run --plan-memory first");
      return signalPassFailure();
    }
    perToken = arenaPlan[1];
    nextCounter = kernelCount = 0;
    if (failed(lowerForward(forward)))
      return signalPassFailure();
    module->setAttr("kernel.counters", Builder(&getContext()).getI64IntegerAttr(nextCounter));
    SmallVector<func::FuncOp> graph{forward};
    for (auto function : module.getOps<func::FuncOp>())
      if (callees.contains(function.getSymNameAttr()))
        graph.push_back(function);
    for (func::FuncOp function : graph)
      function.erase();
  }

  LogicalResult lowerForward(func::FuncOp forward) {
    KernelBuilder b(forward.getLoc(), &getContext());
    b.setInsertionPoint(forward);
    Type pointer = LLVM::LLVMPointerType::get(&getContext()), i64 = b.getI64Type();
    auto entry = func::FuncOp::create(b, "qopt_forward", b.getFunctionType({pointer, i64, i64}, {b.getI32Type()}));
    b.setInsertionPointToStart(entry.addEntryBlock());
    Environment env = readArguments(b, entry);
    if (forward.getNumArguments() < transformer::kModelArguments)
      return forward.emitOpError() << "expected the six arguments of a model's entry (tokens, positions, sequences, "
                                      "block tables, rows, cache) and then inputs, but got "
                                   << forward.getNumArguments();
    llvm::DenseMap<Value, Value> values = inputBuffers(b, env, forward);
    if (failed(lowerBlock(b, env, forward.getBody().front(), values)))
      return failure();
    func::ReturnOp::create(b, ValueRange{memref::LoadOp::create(b, env.stopped, ValueRange{})});
    return success();
  }

  /// Emits the ops of a graph function; `values` maps graph values to buffers.
  LogicalResult lowerBlock(KernelBuilder &b, Environment &env, Block &block, llvm::DenseMap<Value, Value> &values) {
    for (Operation &op : block.without_terminator()) {
      b.setLoc(op.getLoc());
      if (auto get = dyn_cast<transformer::GetOp>(op)) {
        FailureOr<int64_t> offset = offsetOf(&op, get.getParameterAttr());
        if (failed(offset))
          return failure();
        values[get.getValue()] = view(b, env.weights, b.index(*offset), {}, bufferType(get.getValue().getType()));
      } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        values[constant.getResult()] = b.clone(op)->getResult(0);
      } else if (auto dispatch = dyn_cast<kernel::DispatchOp>(op)) {
        if (failed(lowerDispatch(b, env, dispatch, values)))
          return failure();
      } else if (auto repeat = dyn_cast<kernel::RepeatOp>(op)) {
        if (failed(lowerRepeat(b, env, repeat, values)))
          return failure();
      } else {
        return op.emitOpError("expected dispatches, parameters and repeats only; run --form-dispatches first");
      }
    }
    return success();
  }

  LogicalResult lowerRepeat(KernelBuilder &b, Environment &env, kernel::RepeatOp repeat,
                            llvm::DenseMap<Value, Value> &values) {
    auto callee = module.lookupSymbol<func::FuncOp>(repeat.getCalleeAttr());
    callees.insert(callee.getSymNameAttr());
    int64_t rows = repeat.getTable().size(), columns = cast<ArrayAttr>(repeat.getTable()[0]).size();
    SmallVector<int64_t> offsets;
    for (Attribute row : repeat.getTable())
      for (Attribute name : cast<ArrayAttr>(row)) {
        FailureOr<int64_t> offset = offsetOf(repeat, cast<FlatSymbolRefAttr>(name));
        if (failed(offset))
          return failure();
        offsets.push_back(*offset);
      }
    std::string name = callee.getSymName().str() + ".offsets";
    auto type = MemRefType::get({rows, columns}, b.getI64Type());
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(module.getBody());
      auto data =
          DenseElementsAttr::get(RankedTensorType::get({rows, columns}, b.getI64Type()), ArrayRef<int64_t>(offsets));
      memref::GlobalOp::create(b, name, b.getStringAttr("private"), type, data, /*constant=*/true, IntegerAttr());
    }
    Value table = memref::GetGlobalOp::create(b, type, name);
    int64_t firstCounter = nextCounter;
    bool failedBody = false;
    b.loop(b.index(0), b.index(rows), 1, [&](Value row) {
      llvm::DenseMap<Value, Value> inner;
      Block &body = callee.getBody().front();
      unsigned argument = 0;
      inner[body.getArgument(argument++)] = b.add(row, static_cast<int64_t>(repeat.getFirst()));
      for (Value operand :
           llvm::concat<Value>(llvm::to_vector(repeat.getCarried()), llvm::to_vector(repeat.getInvariant())))
        inner[body.getArgument(argument++)] = values.lookup(operand);
      for (int64_t column = 0; column < columns; ++column) {
        Value offset = b.toIndex(b.loadScalar(table, {row, b.index(column)}));
        Value parameter = body.getArgument(argument++);
        inner[parameter] = view(b, env.weights, offset, {}, bufferType(parameter.getType()));
      }
      repeatIndex = row;
      failedBody = failed(lowerBlock(b, env, body, inner));
      repeatIndex = Value();
    });
    if (failedBody)
      return failure();
    // The body numbered the counters of one call.
    nextCounter = firstCounter + (nextCounter - firstCounter) * rows;
    for (auto [result, initial] : llvm::zip(repeat.getResults(), repeat.getCarried()))
      values[result] = values.lookup(initial);
    return success();
  }

  LogicalResult lowerDispatch(KernelBuilder &b, Environment &env, kernel::DispatchOp dispatch,
                              llvm::DenseMap<Value, Value> &values) {
    if (!dispatch.getPlacement())
      return dispatch.emitOpError("expected a placement for its results; run --plan-memory first");
    Value extent = dispatch.getOverRows() ? env.numRows : env.numTokens;
    SmallVector<Value> operands;
    for (Value binding : dispatch.getBindings())
      operands.push_back(values.lookup(binding));
    for (auto [result, placement] : llvm::zip(dispatch.getResults(), *dispatch.getPlacement())) {
      Value buffer;
      if (isa<UnitAttr>(placement)) {
        buffer = values.lookup(dispatch.getBindings()[cacheBinding(dispatch)]);
      } else if (auto output = dyn_cast<IntegerAttr>(placement)) {
        buffer = view(b, bytesAt(b, loadElement(b, env, kOutputs, output.getInt())), b.index(0), {extent},
                      bufferType(result.getType()));
      } else if (isa<StringAttr>(placement)) {
        Value bytes = bytesAt(b, loadField(b, env, kLogits, LLVM::LLVMPointerType::get(&getContext())));
        buffer = view(b, bytes, b.index(0), {extent}, bufferType(result.getType()));
      } else {
        auto alternatives = dyn_cast<ArrayAttr>(placement);
        auto offsets = cast<DenseI64ArrayAttr>(alternatives ? alternatives[1] : placement);
        // Buffers of rows lie behind all buffers of tokens.
        Value offset = dispatch.getOverRows() ? b.add(b.mul(env.numTokens, perToken), b.mul(env.numRows, offsets[2]))
                                              : b.mul(env.numTokens, offsets[1]);
        buffer = alternatives ? callersOrArena(b, env, kHidden, offset, extent, bufferType(result.getType()))
                              : view(b, env.arena, offset, {extent}, bufferType(result.getType()));
      }
      values[result] = buffer;
      operands.push_back(buffer);
    }
    ++kernelCount;
    FailureOr<func::FuncOp> kernel = emitKernel(dispatch);
    if (failed(kernel))
      return failure();
    claimAndCall(b, env, dispatch, *kernel, operands);
    return success();
  }

  static unsigned cacheBinding(kernel::DispatchOp dispatch) {
    for (auto [index, binding] : llvm::enumerate(dispatch.getBindings()))
      if (isa<transformer::CacheType>(binding.getType()))
        return index;
    llvm_unreachable("a cache is only ever updated");
  }

  /// The private function (bindings, results, lower, upper) that computes a range of the grid.
  FailureOr<func::FuncOp> emitKernel(kernel::DispatchOp dispatch) {
    KernelBuilder b(dispatch.getLoc(), &getContext());
    SmallVector<Type> types;
    Block &body = dispatch.getBody().front();
    auto typeOf = [](Type type) { return type.isIndex() ? type : Type(bufferType(type)); };
    for (BlockArgument argument : body.getArguments())
      types.push_back(typeOf(argument.getType()));
    for (Value result : dispatch.getResults())
      types.push_back(typeOf(result.getType()));
    types.append(2, b.getIndexType());
    b.setInsertionPointToEnd(module.getBody());
    auto function = func::FuncOp::create(b, dispatch.getKernel(), b.getFunctionType(types, {}));
    function.setPrivate();
    symbols->insert(function);
    Block *entry = function.addEntryBlock();
    b.setInsertionPointToStart(entry);
    KernelContext context;
    context.dispatch = dispatch;
    context.mostTokens = mostTokens, context.bf16Tiles = bf16Tiles;
    context.lower = entry->getArgument(types.size() - 2), context.upper = entry->getArgument(types.size() - 1);
    unsigned index = 0;
    for (BlockArgument argument : body.getArguments())
      context.buffers[argument] = entry->getArgument(index++);
    for (Value value : body.getTerminator()->getOperands())
      context.buffers[value] = entry->getArgument(index++);
    bool isMatmul = llvm::any_of(body, llvm::IsaPred<lowbit::MatmulOp>);
    bool isAttention = llvm::any_of(body, llvm::IsaPred<transformer::AttentionOp>);
    if (failed(isMatmul ? emitMatmul(b, context) : isAttention ? emitAttention(b, context) : emitRowOps(b, context)))
      return failure();
    func::ReturnOp::create(b);
    return function;
  }

  /// while ((claim = counter++) · size < tiles) kernel(claim · size, …); barrier.
  void claimAndCall(KernelBuilder &b, Environment &env, kernel::DispatchOp dispatch, func::FuncOp kernel,
                    ArrayRef<Value> operands) {
    AffineExpr grid = dispatch.getGrid().getResult(0);
    Value tiles = gridExtent(b, grid, env.numTokens, env.numRows);
    // Once stopped, nothing is left to do: all workers were told the same.
    Value stopped = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                          memref::LoadOp::create(b, env.stopped, ValueRange{}), b.i32(0));
    tiles = arith::SelectOp::create(b, stopped, b.index(0), tiles);
    Value workers = b.toIndex(env.workers);
    auto ceilDiv = [&](Value a, Value d) -> Value {
      return arith::DivUIOp::create(b, b.add(a, b.sub(d, b.index(1))), d);
    };
    lowbit::MatmulOp matmul = matmulOf(dispatch);
    bool splits = bf16Tiles && matmul && hasMatmulTiles(matmul);
    Value many = b.mul(workers, splits ? kClaimsPerWorkerOfTiles : kClaimsPerWorker);
    Value fair = ceilDiv(tiles, workers), small = ceilDiv(tiles, many);
    Value size = b.minIndex(arith::MaxSIOp::create(b, small, b.index(streamingTiles(dispatch))), fair);
    if (matmul) {
      // Claims as equal as they can be: what a worker has at most by claims of the even size below, and of that above.
      // Even, because kernels take panels in pairs; of hardly more weights than caches keep while all tokens go over
      // them.
      int64_t mostBelow = std::max<int64_t>(streamingTiles(dispatch) / 2 * 2 - 2, 2);
      Value below = b.mul(b.div(arith::DivUIOp::create(b, tiles, many), 2), 2);
      below = arith::MaxSIOp::create(b, below, b.index(2));
      if (!splits)
        below = b.minIndex(below, b.index(mostBelow));
      Value above = b.add(below, 2);
      auto most = [&](Value claim) { return b.mul(ceilDiv(ceilDiv(tiles, claim), workers), claim); };
      Value less = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, most(below), most(above));
      Value balanced = arith::SelectOp::create(b, less, below, above);
      Value isPrompt = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, env.numTokens, b.index(kPromptTokens));
      size = arith::SelectOp::create(b, isPrompt, balanced, size);
    }
    size = arith::MaxSIOp::create(b, size, b.index(1));

    Value counter = b.index(nextCounter);
    if (repeatIndex) {
      // Every call has counters of its own, as many as the callee has dispatches.
      auto callee = dispatch->getParentOfType<func::FuncOp>();
      int64_t stride = llvm::count_if(callee.getBody().front(), llvm::IsaPred<kernel::DispatchOp>);
      counter = b.add(b.mul(repeatIndex, stride), nextCounter);
    }
    ++nextCounter;
    auto claim = [&]() -> Value {
      Value one = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
      Value taken = memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::addi, one, env.counters, ValueRange{counter});
      return b.mul(b.toIndex(taken), size);
    };
    auto loop = scf::WhileOp::create(b, TypeRange{b.getIndexType()}, ValueRange{});
    {
      OpBuilder::InsertionGuard guard(b);
      b.createBlock(&loop.getBefore());
      Value lower = claim();
      Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, lower, tiles);
      scf::ConditionOp::create(b, some, ValueRange{lower});
      Block *after = b.createBlock(&loop.getAfter(), {}, TypeRange{b.getIndexType()}, {b.getLoc()});
      Value begin = after->getArgument(0);
      SmallVector<Value> arguments(operands);
      arguments.push_back(begin);
      arguments.push_back(b.minIndex(b.add(begin, size), tiles));
      func::CallOp::create(b, kernel, arguments);
      scf::YieldOp::create(b);
    }
    auto type =
        LLVM::LLVMFunctionType::get(b.getI32Type(), {LLVM::LLVMPointerType::get(&getContext()), b.getI64Type()});
    Value answer = LLVM::CallOp::create(b, type, ValueRange{env.barrier, env.pool, env.worker}).getResult();
    memref::StoreOp::create(b, answer, env.stopped, ValueRange{});
  }

  /// The matmul of a dispatch, or null.
  static lowbit::MatmulOp matmulOf(kernel::DispatchOp dispatch) {
    auto matmuls = dispatch.getBody().front().getOps<lowbit::MatmulOp>();
    return matmuls.empty() ? lowbit::MatmulOp() : *matmuls.begin();
  }

  /// Tiles whose weights are long enough to stream, or 1 for a dispatch without weights.
  static int64_t streamingTiles(kernel::DispatchOp dispatch) {
    lowbit::MatmulOp matmul = matmulOf(dispatch);
    if (!matmul)
      return 1;
    int64_t bytes = cast<RankedTensorType>(matmul.getWeight().getType()).getDimSize(1);
    return std::max<int64_t>(kBytesPerClaim / bytes, 1);
  }

  /// An affine expression of (tokens, rows) with constant factors.
  static Value gridExtent(KernelBuilder &b, AffineExpr expr, Value tokens, Value rows) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return b.index(constant.getValue());
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return dim.getPosition() == 0 ? tokens : rows;
    auto binary = cast<AffineBinaryOpExpr>(expr);
    Value lhs = gridExtent(b, binary.getLHS(), tokens, rows), rhs = gridExtent(b, binary.getRHS(), tokens, rows);
    return expr.getKind() == AffineExprKind::Mul ? b.mul(lhs, rhs) : b.add(lhs, rhs);
  }

  FailureOr<int64_t> offsetOf(Operation *user, FlatSymbolRefAttr name) {
    auto parameter = module.lookupSymbol<transformer::ParameterOp>(name);
    auto offset = parameter ? parameter->getAttrOfType<IntegerAttr>("kernel.offset") : IntegerAttr();
    if (!offset)
      return user->emitOpError() << "expected " << name << " to have an offset; run --place-parameters first";
    return offset.getInt();
  }

  ModuleOp module;
  SymbolTable *symbols = nullptr;
  int64_t perToken = 0, nextCounter = 0;
  Value repeatIndex; // the call of the kernel.repeat being lowered, if any
  llvm::DenseSet<StringAttr> callees;
  int64_t kernelCount = 0;
};
} // namespace
