// What the caller of @qopt_forward hands in: see CallArguments.h.
#include "passes/Lower/Emit/CallArguments.h"

#include "dialects/Transformer/Entry.h"

#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;

Value qopt::emit::loadField(KernelBuilder &b, Environment &env, Field field, Type type) {
  Value address = LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI64Type(), env.arguments,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(field)});
  return LLVM::LoadOp::create(b, type, address);
}

Value qopt::emit::loadElement(KernelBuilder &b, Environment &env, Field array, int64_t index) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value address = LLVM::GEPOp::create(b, pointer, pointer, loadField(b, env, array, pointer),
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  return LLVM::LoadOp::create(b, pointer, address);
}

Value qopt::emit::bytesAt(KernelBuilder &b, Value pointer) {
  Type i64 = b.getI64Type();
  auto array = LLVM::LLVMArrayType::get(i64, 1);
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {pointer.getType(), pointer.getType(), i64, array, array});
  Value descriptor = LLVM::PoisonOp::create(b, type);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    descriptor = LLVM::InsertValueOp::create(b, descriptor, value, position);
  };
  auto constant = [&](int64_t value) -> Value { return LLVM::ConstantOp::create(b, i64, b.getI64IntegerAttr(value)); };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(constant(0), {2});
  insert(constant(std::numeric_limits<int64_t>::max()), {3, 0});
  insert(constant(1), {4, 0});
  auto memref = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  return UnrealizedConversionCastOp::create(b, memref, ValueRange{descriptor}).getResult(0);
}

Value qopt::emit::view(KernelBuilder &b, Value bytes, Value offset, ValueRange sizes, MemRefType type) {
  return memref::ViewOp::create(b, type, bytes, offset, sizes);
}

Value qopt::emit::callersOrArena(KernelBuilder &b, Environment &env, Field field, Value offset, Value extent,
                                 MemRefType type) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value given = loadField(b, env, field, pointer);
  Value none = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::eq, given, LLVM::ZeroOp::create(b, pointer));
  Value offset64 = arith::IndexCastOp::create(b, b.getI64Type(), offset);
  Value inArena =
      LLVM::GEPOp::create(b, pointer, b.getI8Type(), loadField(b, env, kArena, pointer), ValueRange{offset64});
  Value chosen = LLVM::SelectOp::create(b, none, inArena, given);
  return view(b, bytesAt(b, chosen), b.index(0), {extent}, type);
}

Environment qopt::emit::readArguments(KernelBuilder &b, func::FuncOp entry) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  Environment env;
  env.arguments = entry.getArgument(0), env.worker = entry.getArgument(1), env.workers = entry.getArgument(2);
  env.numTokens = b.toIndex(loadField(b, env, kNumTokens, i64));
  env.numRows = b.toIndex(loadField(b, env, kNumRows, i64));
  env.weights = bytesAt(b, loadField(b, env, kWeights, pointer));
  env.arena = bytesAt(b, loadField(b, env, kArena, pointer));
  env.cache = bytesAt(b, loadField(b, env, kCache, pointer));
  env.barrier = loadField(b, env, kBarrier, pointer), env.pool = loadField(b, env, kPool, pointer);
  // Extents that no one reads are left open: memrefs of the caller's buffers are as long as the batch says.
  env.counters = view(b, bytesAt(b, loadField(b, env, kCounters, pointer)), b.index(0), {env.numTokens},
                      MemRefType::get({ShapedType::kDynamic}, i64));
  env.stopped = memref::AllocaOp::create(b, MemRefType::get({}, b.getI32Type()));
  memref::StoreOp::create(b, b.i32(0), env.stopped, ValueRange{});
  return env;
}

llvm::DenseMap<Value, Value> qopt::emit::inputBuffers(KernelBuilder &b, Environment &env, func::FuncOp forward) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  llvm::DenseMap<Value, Value> values;
  auto vectorAt = [&](Field field, Value length) {
    return view(b, bytesAt(b, loadField(b, env, field, pointer)), b.index(0), {length},
                MemRefType::get({ShapedType::kDynamic}, b.getI32Type()));
  };
  values[forward.getArgument(transformer::Tokens)] = vectorAt(kTokens, env.numTokens);
  values[forward.getArgument(transformer::Positions)] = vectorAt(kPositions, env.numTokens);
  values[forward.getArgument(transformer::Sequences)] = vectorAt(kSequences, env.numTokens);
  values[forward.getArgument(transformer::BlockTables)] =
      view(b, bytesAt(b, loadField(b, env, kBlockTables, pointer)), b.index(0),
           {env.numTokens, b.toIndex(loadField(b, env, kBlocksPerSequence, b.getI64Type()))},
           MemRefType::get({ShapedType::kDynamic, ShapedType::kDynamic}, b.getI32Type()));
  values[forward.getArgument(transformer::WantedRows)] = vectorAt(kRows, env.numRows);
  values[forward.getArgument(transformer::Cache)] =
      view(b, env.cache, b.index(0), {env.numTokens}, bufferType(forward.getArgument(transformer::Cache).getType()));
  for (BlockArgument input : forward.getArguments().drop_front(transformer::kModelArguments))
    values[input] =
        view(b, bytesAt(b, loadElement(b, env, kInputs, input.getArgNumber() - transformer::kModelArguments)),
             b.index(0), {env.numTokens}, bufferType(input.getType()));
  return values;
}
