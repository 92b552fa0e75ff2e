// The vocabulary of emitted kernels: see KernelBuilder.h.
#include "passes/Lower/Emit/KernelBuilder.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;

int64_t qopt::emit::largestDivisorUpTo(int64_t value, int64_t limit) {
  for (int64_t divisor = std::min(value, limit); divisor > 1; --divisor)
    if (value % divisor == 0)
      return divisor;
  return 1;
}

int64_t qopt::emit::mostInputsOfSum(kernel::PanelAttr layout) {
  constexpr int64_t mostOfActivation = 127; // lib/Numerics/Activations.h
  // How far a code lies from its zero point: stored zero points have no fewer bits than codes.
  int64_t mostOfWeight = layout.getZeroPoints() ? (int64_t{1} << layout.getZeroBits()) - 1 : layout.getImpliedZero();
  return std::numeric_limits<int32_t>::max() / (mostOfActivation * mostOfWeight);
}

int64_t qopt::emit::rowBytes(Value value) {
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  return tensor ? tensor.getDimSize(1) * tensor.getElementTypeBitWidth() / 8 : 0;
}

Value KernelBuilder::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }
Value KernelBuilder::i32(int32_t value) { return arith::ConstantOp::create(*this, getI32IntegerAttr(value)); }
Value KernelBuilder::f32(float value) { return arith::ConstantOp::create(*this, getF32FloatAttr(value)); }

Value KernelBuilder::splat(int64_t lanes, float value) {
  if (lanes == 0)
    return f32(value);
  return arith::ConstantOp::create(*this, DenseElementsAttr::get(vectorF32(lanes), value));
}

Value KernelBuilder::splatInt(int64_t lanes, Type element, int64_t value) {
  return arith::ConstantOp::create(*this,
                                   DenseElementsAttr::get(vector(lanes, element), getIntegerAttr(element, value)));
}

Value KernelBuilder::broadcast(int64_t lanes, Value scalar) {
  return vector::BroadcastOp::create(*this, vector(lanes, scalar.getType()), scalar);
}

static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

Value KernelBuilder::add(Value a, Value b) {
  return isFloat(a) ? Value(arith::AddFOp::create(*this, a, b)) : Value(arith::AddIOp::create(*this, a, b));
}
Value KernelBuilder::mul(Value a, Value b) {
  return isFloat(a) ? Value(arith::MulFOp::create(*this, a, b)) : Value(arith::MulIOp::create(*this, a, b));
}
Value KernelBuilder::sub(Value a, Value b) {
  return isFloat(a) ? Value(arith::SubFOp::create(*this, a, b)) : Value(arith::SubIOp::create(*this, a, b));
}
Value KernelBuilder::fma(Value a, Value b, Value c) { return math::FmaOp::create(*this, a, b, c); }
Value KernelBuilder::minIndex(Value a, Value b) { return arith::MinSIOp::create(*this, a, b); }
Value KernelBuilder::div(Value a, int64_t b) { return b == 1 ? a : Value(arith::DivUIOp::create(*this, a, index(b))); }
Value KernelBuilder::rem(Value a, int64_t b) { return arith::RemUIOp::create(*this, a, index(b)); }
Value KernelBuilder::toIndex(Value integer) { return arith::IndexCastOp::create(*this, getIndexType(), integer); }

Value KernelBuilder::extendToF32(Value value) {
  if (getElementTypeOrSelf(value.getType()).isF32())
    return value;
  Type type = getF32Type();
  if (auto vectorType = dyn_cast<VectorType>(value.getType()))
    type = vectorType.clone(type);
  return arith::ExtFOp::create(*this, type, value);
}

Value KernelBuilder::load(Value memref, ValueRange indices, int64_t lanes) {
  return vector::LoadOp::create(*this, vector(lanes, getElementTypeOrSelf(memref.getType())), memref, indices);
}
void KernelBuilder::store(Value value, Value memref, ValueRange indices) {
  vector::StoreOp::create(*this, value, memref, indices);
}
Value KernelBuilder::loadScalar(Value memref, ValueRange indices) {
  return memref::LoadOp::create(*this, memref, indices);
}

Value KernelBuilder::loadRepeated(Value memref, ValueRange indices, int64_t count) {
  Type element = getElementTypeOrSelf(memref.getType());
  if (count == 1)
    return broadcast(kLanes, loadScalar(memref, indices));
  Value group = load(memref, indices, count);
  Type word = getIntegerType(count * element.getIntOrFloatBitWidth());
  Value scalar = vector::ExtractOp::create(*this, vector::BitCastOp::create(*this, vector(1, word), group), 0);
  return vector::BitCastOp::create(*this, vector(kLanes * count, element), broadcast(kLanes, scalar));
}

SmallVector<Value> KernelBuilder::loop(Value lower, Value upper, int64_t step, ValueRange carried, LoopBody body) {
  auto loopOp = scf::ForOp::create(*this, lower, upper, index(step), carried,
                                   [&](OpBuilder &nested, Location, Value iv, ValueRange values) {
                                     OpBuilder::InsertionGuard guard(*this);
                                     setInsertionPoint(nested.getInsertionBlock(), nested.getInsertionPoint());
                                     SmallVector<Value> results = body(iv, values);
                                     scf::YieldOp::create(*this, results);
                                   });
  return SmallVector<Value>(loopOp.getResults());
}

void KernelBuilder::loop(Value lower, Value upper, int64_t step, function_ref<void(Value)> body) {
  loop(lower, upper, step, {}, [&](Value iv, ValueRange) {
    body(iv);
    return SmallVector<Value>();
  });
}

void KernelBuilder::forEachPiece(int64_t width, function_ref<void(Value, int64_t)> body) {
  int64_t main = width / kLanes * kLanes;
  if (main == kLanes)
    body(index(0), kLanes);
  else if (main != 0)
    loop(index(0), index(main), kLanes, [&](Value iv) { body(iv, kLanes); });
  for (int64_t lanes = kLanes / 2; lanes != 0; lanes /= 2)
    if ((width - main) & lanes) {
      body(index(main), lanes);
      main += lanes;
    }
}

Value KernelBuilder::larger(Value a, Value b) {
  Value greater = arith::CmpFOp::create(*this, arith::CmpFPredicate::OGT, a, b);
  return arith::SelectOp::create(*this, greater, a, b);
}

Value KernelBuilder::combine(Value a, Value b, Reduction kind) {
  switch (kind) {
  case Reduction::Max:
    return larger(a, b);
  case Reduction::MaxInt:
    return arith::MaxSIOp::create(*this, a, b);
  case Reduction::Sum:
  case Reduction::SumInt:
    return add(a, b);
  }
  llvm_unreachable("a reduction");
}

Value KernelBuilder::reduceVector(Value value, Reduction kind) {
  for (int64_t lanes = cast<VectorType>(value.getType()).getNumElements(); lanes > 1; lanes /= 2) {
    auto half = [&](int64_t from) {
      return vector::ExtractStridedSliceOp::create(*this, value, ArrayRef<int64_t>{from}, ArrayRef<int64_t>{lanes / 2},
                                                   ArrayRef<int64_t>{1});
    };
    value = combine(half(0), half(lanes / 2), kind);
  }
  return vector::ExtractOp::create(*this, value, 0);
}

Value KernelBuilder::reducePieces(int64_t width, Reduction kind, function_ref<Value(Value, int64_t)> body) {
  Value total;
  auto accumulate = [&](Value part) { total = total ? combine(total, part, kind) : part; };
  int64_t main = width / kLanes * kLanes;
  if (main != 0) {
    Value first = body(index(0), kLanes);
    SmallVector<Value> sums{first};
    if (main > kLanes)
      sums = loop(index(kLanes), index(main), kLanes, sums, [&](Value iv, ValueRange values) {
        return SmallVector<Value>{combine(values[0], body(iv, kLanes), kind)};
      });
    accumulate(reduceVector(sums[0], kind));
  }
  for (int64_t lanes = kLanes / 2; lanes != 0; lanes /= 2)
    if ((width - main) & lanes) {
      accumulate(reduceVector(body(index(main), lanes), kind));
      main += lanes;
    }
  return total;
}

Value KernelBuilder::activation(transformer::ActivationKind kind, Value x) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  switch (kind) {
  case transformer::ActivationKind::Silu: {
    Value exponential = math::ExpOp::create(*this, arith::NegFOp::create(*this, x));
    return arith::DivFOp::create(*this, x, add(exponential, splat(lanes, 1.0f)));
  }
  case transformer::ActivationKind::GeluErf: {
    Value erf = math::ErfOp::create(*this, mul(x, splat(lanes, static_cast<float>(M_SQRT1_2))));
    return mul(mul(x, splat(lanes, 0.5f)), add(erf, splat(lanes, 1.0f)));
  }
  case transformer::ActivationKind::GeluTanh: {
    Value cube = mul(mul(x, x), x);
    Value inner = mul(fma(cube, splat(lanes, 0.044715f), x), splat(lanes, static_cast<float>(M_2_SQRTPI * M_SQRT1_2)));
    return mul(mul(x, splat(lanes, 0.5f)), add(math::TanhOp::create(*this, inner), splat(lanes, 1.0f)));
  }
  case transformer::ActivationKind::Relu:
    return arith::MaxNumFOp::create(*this, x, splat(lanes, 0.0f));
  }
  llvm_unreachable("an activation without code");
}

Value qopt::emit::throughSlices(Value value, int64_t &column) {
  while (auto slice = value.getDefiningOp<transformer::SliceOp>()) {
    column += slice.getOffset();
    value = slice.getInput();
  }
  return value;
}

MemRefType qopt::emit::bufferType(Type type) {
  if (auto cache = dyn_cast<transformer::CacheType>(type))
    return MemRefType::get(
        {ShapedType::kDynamic, cache.getLayers(), cache.getHeads(), 2, kBlockTokens * cache.getDim()},
        cache.getElementType());
  auto tensor = cast<RankedTensorType>(type);
  return MemRefType::get(tensor.getShape(), tensor.getElementType());
}
