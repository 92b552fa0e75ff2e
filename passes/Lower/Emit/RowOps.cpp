// Emits ops that work on one token at a time: norms, encoding, gathers, rotations, cache updates, elementwise ops.
//
// A dispatch of such ops is one loop over tokens; within it each op goes over the row, so that what the next op reads
// is still in the first cache. Results that leave the dispatch are written to their buffers, others to a row of scratch
// on the stack. Slices and selected rows are views.
#include "passes/Lower/Emit/KernelBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;
using kernel::PanelAttr;
using kernel::PanelCode;

namespace {

int64_t widthOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); }

/// The code at an input of an output of a panel, as an i32 (codes) or an f32.
class PanelElement {
public:
  PanelElement(KernelBuilder &b, PanelAttr layout, Value table, int64_t inputs)
      : b(b), layout(layout), table(table), inputs(inputs) {}

  /// The dequantized f32 of element (output, input).
  Value load(Value output, Value input) {
    Value panel = b.div(output, kLanes), lane = b.rem(output, kLanes);
    int64_t groupSize = layout.getGroupSize(inputs), depth = layout.getBlockDepth();
    Value group = b.div(input, groupSize), inGroup = b.rem(input, groupSize);
    Value block = b.div(inGroup, depth), inBlock = b.rem(inGroup, depth);
    Value groupStart = b.mul(group, layout.getGroupBytes(inputs));
    Value blockStart = b.add(groupStart, b.mul(block, layout.getBlockBytes()));
    int64_t laneBytes = layout.getBlockBytes() / kLanes;
    Value laneStart = b.add(blockStart, b.mul(lane, laneBytes));
    if (!layout.isQuantized()) {
      Type element = layout.getCode() == PanelCode::F32   ? b.getF32Type()
                     : layout.getCode() == PanelCode::F16 ? Type(b.getF16Type())
                                                          : b.getBF16Type();
      return number(panel, b.add(laneStart, b.mul(inBlock, laneBytes / depth)), element);
    }
    Value code;
    Value word = b.add(blockStart, b.mul(lane, 4)); // the first of the lane's, of codes narrower than a byte
    int64_t highBits = layout.getHighBits(), lowBits = layout.getCodeBits() - highBits;
    if (lowBits == 8) {
      code = byte(panel, b.add(laneStart, inBlock));
    } else if (highBits == 0) {
      code = unit(panel, word, lowBits, inBlock);
    } else {
      int64_t lowDepth = 32 / lowBits, lowWords = lowBits / highBits;
      Value low = b.add(word, b.mul(b.div(inBlock, lowDepth), 4 * kLanes));
      Value high = unit(panel, b.add(word, lowWords * 4 * kLanes), highBits, inBlock);
      code = arith::OrIOp::create(b, unit(panel, low, lowBits, b.rem(inBlock, lowDepth)),
                                  arith::ShLIOp::create(b, high, b.i32(static_cast<int32_t>(lowBits))));
    }
    int64_t scaleBytes = layout.getScale().getIntOrFloatBitWidth() / 8;
    Value scalesStart = b.add(groupStart, layout.getGroupCodeBytes(inputs));
    Value scale = number(panel, b.add(scalesStart, b.mul(lane, scaleBytes)), layout.getScale());
    Value zero = layout.getZeroPoints() ? zeroPoint(panel, b.add(scalesStart, scaleBytes * kLanes), lane)
                                        : b.i32(static_cast<int32_t>(layout.getImpliedZero()));
    return b.mul(arith::SIToFPOp::create(b, b.getF32Type(), b.sub(code, zero)), scale);
  }

private:
  /// `bits` bits of a word of 4 bytes, which stand for an input of those that the word covers; see
  /// PanelAttr::getBitOffset.
  Value unit(Value panel, Value word, int64_t bits, Value input) {
    int64_t steps = 32 / bits / layout.getDot(), perByte = 8 / bits;
    Value step = b.div(input, layout.getDot()), element = b.rem(input, layout.getDot());
    Value place = b.add(b.mul(element, steps), step);
    Value shift = arith::IndexCastOp::create(b, b.getI32Type(), b.mul(b.rem(place, perByte), bits));
    Value bytes = arith::ShRUIOp::create(b, byte(panel, b.add(word, b.div(place, perByte))), shift);
    return arith::AndIOp::create(b, bytes, b.i32((1 << bits) - 1));
  }
  Value zeroPoint(Value panel, Value start, Value lane) {
    if (layout.getZeroBits() == 8)
      return byte(panel, b.add(start, lane));
    constexpr int64_t half = kLanes / 2;
    Value shift = arith::IndexCastOp::create(b, b.getI32Type(), b.mul(b.div(lane, half), 4));
    Value both = byte(panel, b.add(start, b.rem(lane, half)));
    return arith::AndIOp::create(b, arith::ShRUIOp::create(b, both, shift), b.i32(15));
  }
  Value byte(Value panel, Value offset) {
    return arith::ExtUIOp::create(b, b.getI32Type(), b.loadScalar(table, {panel, offset}));
  }
  Value number(Value panel, Value offset, Type element) {
    Value raw = b.load(table, {panel, offset}, element.getIntOrFloatBitWidth() / 8);
    return b.extendToF32(vector::ExtractOp::create(b, vector::BitCastOp::create(b, b.vector(1, element), raw), 0));
  }

  KernelBuilder &b;
  PanelAttr layout;
  Value table;
  int64_t inputs;
};

class RowEmitter {
public:
  RowEmitter(KernelBuilder &b, KernelContext &context) : b(b), context(context) {
    for (Value value : context.dispatch.getBody().front().getTerminator()->getOperands())
      yielded.insert(value);
  }

  LogicalResult emit() {
    Block &body = context.dispatch.getBody().front();
    if (failed(allocateScratch(body)))
      return failure();
    bool failedOp = false;
    b.loop(context.lower, context.upper, 1, [&](Value token) {
      rows.clear();
      for (Operation &op : body.without_terminator())
        failedOp = failedOp || failed(emitOp(&op, token));
    });
    return failure(failedOp);
  }

private:
  /// Scratch for what only later ops of this dispatch read; outside of the loop, or the stack would grow.
  LogicalResult allocateScratch(Block &body) {
    int64_t bytes = 0;
    for (Operation &op : body.without_terminator())
      if (!isa<transformer::SliceOp, transformer::SelectRowsOp, transformer::CacheUpdateOp>(op))
        for (Value result : op.getResults())
          if (!yielded.contains(result)) {
            auto type = cast<RankedTensorType>(result.getType());
            bytes += rowBytes(result);
            scratch[result] = memref::AllocaOp::create(
                b, MemRefType::get({1, type.getDimSize(1)}, type.getElementType()), b.getI64IntegerAttr(64));
          }
    if (bytes > kMostScratchBytes)
      return context.dispatch.emitOpError()
             << "expected rows that stay inside it to take at most " << kMostScratchBytes
             << " bytes of a worker's stack, but they take " << bytes << ": let --form-dispatches divide them";
    return success();
  }

  /// The row of a value that an op of this dispatch reads.
  Row rowOf(Value value, Value token) {
    if (auto known = rows.find(value); known != rows.end())
      return known->second;
    return Row{context.buffers.lookup(value), token, 0, widthOf(value)};
  }
  /// The row that an op of this dispatch writes.
  Row resultRow(Value value, Value token) {
    Row row = yielded.contains(value) ? Row{context.buffers.lookup(value), token, 0, widthOf(value)}
                                      : Row{scratch.lookup(value), b.index(0), 0, widthOf(value)};
    rows[value] = row;
    return row;
  }

  LogicalResult emitOp(Operation *op, Value token) {
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](transformer::SliceOp slice) {
          rows[slice.getResult()] = rowOf(slice.getInput(), token).slice(slice.getOffset(), widthOf(slice.getResult()));
          return success();
        })
        .Case([&](transformer::SelectRowsOp select) { return emitSelect(select, token); })
        .Case([&](transformer::RmsNormOp norm) { return emitRmsNorm(norm, token); })
        .Case([&](transformer::LayerNormOp norm) { return emitLayerNorm(norm, token); })
        .Case([&](transformer::RotaryTableOp table) { return emitRotaryTable(table, token); })
        .Case([&](transformer::RotateOp rotate) { return emitRotate(rotate, token); })
        .Case([&](transformer::CacheUpdateOp update) { return emitCacheUpdate(update, token); })
        .Case([&](transformer::ActivationOp activation) {
          Row in = rowOf(activation.getInput(), token), out = resultRow(activation.getResult(), token);
          b.forEachPiece(in.width, [&](Value at, int64_t lanes) {
            out.store(b, b.activation(activation.getKind(), in.load(b, at, lanes)), at);
          });
          return success();
        })
        .Case([&](transformer::GatedProductOp product) {
          Row gate = rowOf(product.getGate(), token), up = rowOf(product.getUp(), token);
          Row out = resultRow(product.getResult(), token);
          b.forEachPiece(out.width, [&](Value at, int64_t lanes) {
            Value activated = b.activation(product.getKind(), gate.load(b, at, lanes));
            out.store(b, b.mul(activated, up.load(b, at, lanes)), at);
          });
          return success();
        })
        .Case([&](transformer::InterleavedGatedProductOp product) {
          Row in = rowOf(product.getInput(), token), out = resultRow(product.getResult(), token);
          int64_t block = product.getBlock();
          b.loop(b.index(0), b.index(out.width / block), 1, [&](Value i) {
            b.forEachPiece(block, [&](Value at, int64_t lanes) {
              Value gate = b.add(b.mul(i, 2 * block), at);
              Value activated = b.activation(product.getKind(), in.load(b, gate, lanes));
              out.store(b, b.mul(activated, in.load(b, b.add(gate, block), lanes)), b.add(b.mul(i, block), at));
            });
          });
          return success();
        })
        .Case([&](transformer::ResidualOp residual) {
          Row x = rowOf(residual.getInput(), token), update = rowOf(residual.getUpdate(), token);
          Row out = resultRow(residual.getResult(), token);
          b.forEachPiece(out.width, [&](Value at, int64_t lanes) {
            out.store(b, b.add(x.load(b, at, lanes), update.load(b, at, lanes)), at);
          });
          return success();
        })
        .Case([&](lowbit::EncodeOp encode) { return emitEncode(encode, token); })
        .Case([&](lowbit::GatherOp gather) { return emitGather(gather, token); })
        .Default([](Operation *other) { return other->emitOpError("has no kernel that works on rows"); });
  }

  LogicalResult emitSelect(transformer::SelectRowsOp select, Value token) {
    Value source = b.toIndex(b.loadScalar(context.buffers.lookup(select.getRows()), {token}));
    int64_t column = 0;
    Value input = throughSlices(select.getInput(), column);
    // Another token's row is not there yet where this dispatch computes it.
    if (!isa<BlockArgument>(input))
      return select.emitOpError("expected rows of what another dispatch computes, or of slices of it");
    Row in{context.buffers.lookup(input), source, column, widthOf(select.getInput())};
    if (!yielded.contains(select.getResult())) {
      rows[select.getResult()] = in;
      return success();
    }
    Row out = resultRow(select.getResult(), token);
    b.forEachPiece(out.width, [&](Value at, int64_t lanes) { out.store(b, in.load(b, at, lanes), at); });
    return success();
  }

  Value loadWeight(Value weight, Value at, int64_t lanes) {
    return b.extendToF32(b.load(context.buffers.lookup(weight), {at}, lanes));
  }

  LogicalResult emitRmsNorm(transformer::RmsNormOp norm, Value token) {
    Row in = rowOf(norm.getInput(), token), out = resultRow(norm.getResult(), token);
    Value squares = b.reducePieces(in.width, KernelBuilder::Reduction::Sum, [&](Value at, int64_t lanes) {
      Value x = in.load(b, at, lanes);
      return b.mul(x, x);
    });
    Value mean = arith::DivFOp::create(b, squares, b.f32(static_cast<float>(in.width)));
    Value root = math::SqrtOp::create(b, b.add(mean, b.f32(norm.getEpsilon().convertToDouble())));
    Value inverse = arith::DivFOp::create(b, b.f32(1.0f), root);
    b.forEachPiece(in.width, [&](Value at, int64_t lanes) {
      Value scaled = b.mul(in.load(b, at, lanes), b.broadcast(lanes, inverse));
      out.store(b, b.mul(loadWeight(norm.getWeight(), at, lanes), scaled), at);
    });
    return success();
  }

  LogicalResult emitLayerNorm(transformer::LayerNormOp norm, Value token) {
    Row in = rowOf(norm.getInput(), token), out = resultRow(norm.getResult(), token);
    Value width = b.f32(static_cast<float>(in.width));
    Value sum = b.reducePieces(in.width, KernelBuilder::Reduction::Sum,
                               [&](Value at, int64_t lanes) { return in.load(b, at, lanes); });
    Value mean = arith::DivFOp::create(b, sum, width);
    Value squares = b.reducePieces(in.width, KernelBuilder::Reduction::Sum, [&](Value at, int64_t lanes) {
      Value centered = b.sub(in.load(b, at, lanes), b.broadcast(lanes, mean));
      return b.mul(centered, centered);
    });
    Value variance = arith::DivFOp::create(b, squares, width);
    Value root = math::SqrtOp::create(b, b.add(variance, b.f32(norm.getEpsilon().convertToDouble())));
    Value inverse = arith::DivFOp::create(b, b.f32(1.0f), root);
    b.forEachPiece(in.width, [&](Value at, int64_t lanes) {
      Value centered = b.sub(in.load(b, at, lanes), b.broadcast(lanes, mean));
      Value result = b.mul(b.mul(centered, b.broadcast(lanes, inverse)), loadWeight(norm.getWeight(), at, lanes));
      if (norm.getBias())
        result = b.add(result, loadWeight(norm.getBias(), at, lanes));
      out.store(b, result, at);
    });
    return success();
  }

  LogicalResult emitRotaryTable(transformer::RotaryTableOp table, Value token) {
    Row out = resultRow(table.getResult(), token);
    SmallVector<float> frequencies = table.getRotary().getFrequencies();
    int64_t half = frequencies.size();
    Value position = b.loadScalar(context.buffers.lookup(table.getPositions()), {token});
    Value positionF32 = arith::SIToFPOp::create(b, b.getF32Type(), position);
    // A constant of the code: a global for each table.
    auto type = MemRefType::get({half}, b.getF32Type());
    auto module = context.dispatch->getParentOfType<ModuleOp>();
    std::string kernel = context.dispatch.getKernel().str() + ".frequencies", name = kernel;
    for (int64_t number = 1; module.lookupSymbol(name); ++number)
      name = kernel + "." + std::to_string(number);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(module.getBody());
      auto values = DenseElementsAttr::get(RankedTensorType::get({half}, b.getF32Type()), ArrayRef<float>(frequencies));
      memref::GlobalOp::create(b, name, b.getStringAttr("private"), type, values, /*constant=*/true,
                               b.getI64IntegerAttr(64));
    }
    Value global = memref::GetGlobalOp::create(b, type, name);
    b.loop(b.index(0), b.index(half), 1, [&](Value i) {
      Value angle = b.mul(positionF32, b.loadScalar(global, {i}));
      memref::StoreOp::create(b, math::CosOp::create(b, angle), out.memref, {out.row, i});
      memref::StoreOp::create(b, math::SinOp::create(b, angle), out.memref, {out.row, b.add(i, half)});
    });
    return success();
  }

  LogicalResult emitRotate(transformer::RotateOp rotate, Value token) {
    Row in = rowOf(rotate.getInput(), token), table = rowOf(rotate.getTable(), token);
    Row out = resultRow(rotate.getResult(), token);
    int64_t dim = widthOf(rotate.getTable()), half = dim / 2;
    b.loop(b.index(0), b.index(in.width / dim), 1, [&](Value head) {
      Value start = b.mul(head, dim);
      b.forEachPiece(half, [&](Value at, int64_t lanes) {
        Value c = table.load(b, at, lanes), s = table.load(b, b.add(at, half), lanes);
        Value low = b.add(start, at), high = b.add(low, half);
        Value x = in.load(b, low, lanes), y = in.load(b, high, lanes);
        out.store(b, b.sub(b.mul(x, c), b.mul(y, s)), low);
        out.store(b, b.add(b.mul(y, c), b.mul(x, s)), high);
      });
    });
    return success();
  }

  LogicalResult emitCacheUpdate(transformer::CacheUpdateOp update, Value token) {
    transformer::CacheType type = update.getCache().getType();
    Row key = rowOf(update.getKey(), token), value = rowOf(update.getValue(), token);
    Value before = update.getCache(); // updates of this dispatch write the same memory
    while (auto other = before.getDefiningOp<transformer::CacheUpdateOp>())
      before = other.getCache();
    Value cache = context.buffers.lookup(before), layer = context.buffers.lookup(update.getLayer());
    Value position = b.toIndex(b.loadScalar(context.buffers.lookup(update.getPositions()), {token}));
    Value sequence = b.toIndex(b.loadScalar(context.buffers.lookup(update.getSequences()), {token}));
    Value page = b.toIndex(
        b.loadScalar(context.buffers.lookup(update.getBlockTables()), {sequence, b.div(position, kBlockTokens)}));
    Value slot = b.rem(position, kBlockTokens);
    Type element = type.getElementType();
    auto narrow = [&](Value x) {
      Type to = isa<VectorType>(x.getType()) ? Type(cast<VectorType>(x.getType()).clone(element)) : element;
      return element.isF32() ? x : Value(arith::TruncFOp::create(b, to, x));
    };
    // Keys lie with tokens adjacent, so that attention scores a vector of them at once; values with channels adjacent.
    b.loop(b.index(0), b.index(type.getHeads()), 1, [&](Value head) {
      Value start = b.mul(head, type.getDim());
      b.loop(b.index(0), b.index(type.getDim()), 1, [&](Value d) {
        Value x = narrow(key.loadScalar(b, b.add(start, d)));
        memref::StoreOp::create(b, x, cache, {page, layer, head, b.index(0), b.add(b.mul(d, kBlockTokens), slot)});
      });
      b.forEachPiece(type.getDim(), [&](Value d, int64_t lanes) {
        Value x = narrow(value.load(b, b.add(start, d), lanes));
        b.store(x, cache, {page, layer, head, b.index(1), b.add(b.mul(slot, type.getDim()), d)});
      });
    });
    return success();
  }

  LogicalResult emitEncode(lowbit::EncodeOp encode, Value token) {
    Row in = rowOf(encode.getInput(), token), out = resultRow(encode.getPayload(), token);
    int64_t sumsGroup = encode.getSumsGroup();
    Row sums = encode.getSums() ? resultRow(encode.getSums(), token) : Row{};
    if (encode.getActivations().getKind() == lowbit::ActivationKind::BF16) {
      int64_t group = sumsGroup ? sumsGroup : in.width;
      b.loop(b.index(0), b.index(in.width / group), 1, [&](Value g) {
        Value start = b.mul(g, group);
        auto rounded = [&](Value at, int64_t lanes) {
          Value narrow =
              arith::TruncFOp::create(b, b.vector(lanes, b.getBF16Type()), in.load(b, b.add(start, at), lanes));
          out.store(b, narrow, b.add(start, at));
          return narrow;
        };
        if (!sumsGroup)
          return b.forEachPiece(group, [&](Value at, int64_t lanes) { rounded(at, lanes); });
        Value sum = b.reducePieces(group, KernelBuilder::Reduction::Sum,
                                   [&](Value at, int64_t lanes) { return b.extendToF32(rounded(at, lanes)); });
        memref::StoreOp::create(b, sum, sums.memref, {sums.row, g});
      });
      return success();
    }
    // i8: the scale of each group, found or given, then the codes and their sums over stretches.
    Row scales = resultRow(encode.getScales(), token);
    int64_t group = encode.getActivations().getGroup() ? encode.getActivations().getGroup() : in.width;
    int64_t stretch = sumsGroup ? std::gcd(sumsGroup, group) : group;
    if (sumsGroup && sumsGroup != stretch)
      return encode.emitOpError() << "expected sums over stretches that lie within one scale, but got " << sumsGroup
                                  << " over groups of " << group;
    b.loop(b.index(0), b.index(in.width / group), 1, [&](Value g) {
      Value start = b.mul(g, group);
      // As bits, magnitudes order as integers, NaN above infinity: a maximum of floats would pass over a NaN.
      Value bits = b.reducePieces(group, KernelBuilder::Reduction::MaxInt, [&](Value at, int64_t lanes) -> Value {
        Value magnitude = math::AbsFOp::create(b, in.load(b, b.add(start, at), lanes));
        return arith::BitcastOp::create(b, b.vector(lanes, b.getI32Type()), magnitude);
      });
      Value largest = arith::BitcastOp::create(b, b.getF32Type(), bits), scale;
      if (encode.getStaticScale()) {
        scale = b.loadScalar(context.buffers.lookup(encode.getStaticScale()), {b.index(0)});
        // What is not finite has no code, so it has to show in the scale.
        Value finite = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, largest, b.f32(INFINITY));
        scale = arith::SelectOp::create(b, finite, scale, b.f32(NAN));
      } else {
        scale = arith::DivFOp::create(b, largest, b.f32(127.0f));
      }
      // Below the smallest normal number 1/scale may be infinite; see lib/Numerics/Activations.h.
      Value usable = arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, scale, b.f32(0x1p-126f));
      Value inverse = arith::SelectOp::create(b, usable, arith::DivFOp::create(b, b.f32(1.0f), scale), b.f32(0.0f));
      memref::StoreOp::create(b, scale, scales.memref, {scales.row, g});
      b.loop(b.index(0), b.index(group / stretch), 1, [&](Value st) {
        Value first = b.add(start, b.mul(st, stretch));
        auto codes = [&](Value at, int64_t lanes) {
          Value x = b.mul(in.load(b, b.add(first, at), lanes), b.broadcast(lanes, inverse));
          // Adding 1.5·2^23 leaves no room for a fraction: nearest even, for all that the clamp lets through.
          Value whole = b.sub(b.add(x, b.splat(lanes, 12582912.0f)), b.splat(lanes, 12582912.0f));
          Value limited = arith::MinNumFOp::create(b, arith::MaxNumFOp::create(b, whole, b.splat(lanes, -127.0f)),
                                                   b.splat(lanes, 127.0f));
          Value code = arith::FPToSIOp::create(b, b.vector(lanes, b.getI32Type()), limited);
          out.store(b, arith::TruncIOp::create(b, b.vector(lanes, b.getI8Type()), code), b.add(first, at));
          return code;
        };
        if (!sumsGroup)
          return b.forEachPiece(stretch, [&](Value at, int64_t lanes) { codes(at, lanes); });
        Value sum = b.reducePieces(stretch, KernelBuilder::Reduction::SumInt, codes);
        memref::StoreOp::create(b, sum, sums.memref, {sums.row, b.add(b.mul(g, group / stretch), st)});
      });
    });
    return success();
  }

  LogicalResult emitGather(lowbit::GatherOp gather, Value token) {
    auto layout = dyn_cast<PanelAttr>(gather.getLayout());
    if (!layout)
      return gather.emitOpError() << "expected a panel layout, but got " << gather.getLayout();
    Row out = resultRow(gather.getResult(), token);
    Value row = b.toIndex(b.loadScalar(context.buffers.lookup(gather.getTokens()), {token}));
    PanelElement element(b, layout, context.buffers.lookup(gather.getTable()), out.width);
    b.loop(b.index(0), b.index(out.width), 1,
           [&](Value k) { memref::StoreOp::create(b, element.load(row, k), out.memref, {out.row, k}); });
    return success();
  }

  KernelBuilder &b;
  KernelContext &context;
  llvm::DenseSet<Value> yielded;
  llvm::DenseMap<Value, Value> scratch;
  llvm::DenseMap<Value, Row> rows; // of this token
};

} // namespace

LogicalResult qopt::emit::emitRowOps(KernelBuilder &b, KernelContext &context) { return RowEmitter(b, context).emit(); }
