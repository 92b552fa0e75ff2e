#include "lib/Export/LlamaModel.h"

#include "lib/Numerics/RoundToNearest.h"
#include "lib/Parameters/ParallelRows.h"
#include "lib/Parameters/SchemeAttributes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

static Error notPlain(const std::string &what) {
  return badInput("expected the plain graph of a llama model, but " + what, "@forward")
      .withNext("export the IR that 'qopt import' or 'qopt quantize' wrote, before passes that fuse or fold");
}

/// The sizes that the importer notes in `transformer.model`, and the constants that only the ops hold.
static Result<LlamaConfig> readConfig(ModuleOp module, func::FuncOp forward) {
  auto fields = module->getAttrOfType<DictionaryAttr>("transformer.model");
  if (!fields || fields.getAs<StringAttr>("architecture") != StringAttr::get(module.getContext(), "llama"))
    return notPlain("the module has no transformer.model of architecture llama");
  LlamaConfig config;
  config.name = module.getSymName().value_or("").str();
  std::optional<std::string> missing;
  auto read = [&](const char *key, int64_t &out) {
    if (auto value = fields.getAs<IntegerAttr>(key))
      out = value.getInt();
    else
      missing = key;
  };
  read("context", config.context);
  read("head_dim", config.headDim);
  read("heads", config.heads);
  read("hidden", config.hidden);
  read("intermediate", config.intermediate);
  read("kv_heads", config.kvHeads);
  read("layers", config.layers);
  read("vocabulary", config.vocabulary);
  if (missing)
    return notPlain("transformer.model lacks " + *missing);
  forward.walk([&](Operation *op) {
    if (auto norm = dyn_cast<RmsNormOp>(op))
      config.rmsEpsilon = norm.getEpsilon().convertToDouble();
    if (auto op2 = dyn_cast<RotaryOp>(op)) {
      RotaryAttr rotary = op2.getRotary();
      config.rotaryBase = rotary.getBase().getValueAsDouble();
      if (rotary.getFactor())
        config.scaling =
            Llama3Scaling{rotary.getFactor().getValueAsDouble(), rotary.getLowFrequency().getValueAsDouble(),
                          rotary.getHighFrequency().getValueAsDouble(), rotary.getOriginalContext()};
    }
  });
  auto declares = [&](const char *name) { return module.lookupSymbol<ParameterOp>(name) != nullptr; };
  config.attentionBias = declares("model.layers.0.self_attn.q_proj.bias");
  config.mlpBias = declares("model.layers.0.mlp.up_proj.bias");
  config.tied = !declares("lm_head.weight") && !declares("lm_head.weight.codes");
  return config;
}

/// The weight that a parameter stands for: "x.codes" is "x".
static std::string weightName(StringRef parameter) {
  parameter.consume_back(".codes");
  return parameter.str();
}

static ParameterOp parameterOf(ModuleOp module, Value value) {
  auto get = value ? value.getDefiningOp<GetOp>() : GetOp();
  return get ? module.lookupSymbol<ParameterOp>(get.getParameter()) : ParameterOp();
}

/// Compares two graphs op by op; codes, scales and zero points stand for the weight. Values are compared by where in
/// the function they were made.
static Status compareGraphs(func::FuncOp actual, func::FuncOp plain) {
  auto significant = [](func::FuncOp function) {
    std::vector<Operation *> ops;
    for (Operation &op : function.getBody().front())
      if (!isa<GetOp, arith::ConstantOp>(op))
        ops.push_back(&op);
    return ops;
  };
  std::vector<Operation *> actualOps = significant(actual), plainOps = significant(plain);
  if (actualOps.size() != plainOps.size())
    return notPlain("it has " + std::to_string(actualOps.size()) + " ops in place of " +
                    std::to_string(plainOps.size()));
  llvm::DenseMap<Value, Value> same; // of the actual graph to the plain one
  for (auto [a, b] : llvm::zip_equal(actual.getArguments(), plain.getArguments()))
    same[a] = b;
  // What an operand is: a parameter's weight, a constant, or a value computed before.
  auto matches = [&](Value a, Value b) {
    if (auto getA = a.getDefiningOp<GetOp>()) {
      auto getB = b.getDefiningOp<GetOp>();
      return getB && weightName(getA.getParameter()) == getB.getParameter();
    }
    if (auto constant = a.getDefiningOp<arith::ConstantOp>()) {
      auto other = b.getDefiningOp<arith::ConstantOp>();
      return other && constant.getValue() == other.getValue();
    }
    return same.lookup(a) == b;
  };
  for (auto [a, b] : llvm::zip_equal(actualOps, plainOps)) {
    SmallVector<Value> operands(a->getOperands());
    bool equal = a->getName() == b->getName() && a->getAttrDictionary() == b->getAttrDictionary();
    if (auto linear = dyn_cast<lowbit::LinearOp>(a)) {
      equal = isa<LinearOp>(b);
      operands = {linear.getInput(), linear.getCodes()};
      if (linear.getBias())
        operands.push_back(linear.getBias());
    } else if (auto embedding = dyn_cast<lowbit::EmbeddingOp>(a)) {
      equal = isa<EmbeddingOp>(b);
      operands = {embedding.getTokens(), embedding.getCodes()};
    }
    equal = equal && operands.size() == b->getNumOperands();
    for (size_t i = 0; equal && i < operands.size(); ++i)
      equal = matches(operands[i], b->getOperand(i));
    if (!equal)
      return notPlain("it has " + a->getName().getStringRef().str() + " where " + b->getName().getStringRef().str() +
                      " was expected, or other operands or attributes");
    for (auto [x, y] : llvm::zip(a->getResults(), b->getResults()))
      same[x] = y;
  }
  return {};
}

Result<LlamaModel> qopt::readLlama(ModuleOp module) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return notPlain("there is none");
  Result<LlamaConfig> config = readConfig(module, forward);
  if (!config)
    return config.takeError();

  llvm::StringMap<LlamaWeight> found;
  forward.walk([&](Operation *op) {
    auto note = [&](ParameterOp codes, Value scales, Value zeros, lowbit::WeightsAttr scheme) {
      if (!codes)
        return;
      LlamaWeight &weight = found[weightName(codes.getSymName())];
      weight.codes = codes;
      weight.scales = parameterOf(module, scales);
      weight.zeros = parameterOf(module, zeros);
      weight.scheme = scheme;
    };
    if (auto linear = dyn_cast<lowbit::LinearOp>(op))
      note(parameterOf(module, linear.getCodes()), linear.getScales(), linear.getZeroPoints(),
           linear.getScheme().getWeights());
    else if (auto embedding = dyn_cast<lowbit::EmbeddingOp>(op))
      note(parameterOf(module, embedding.getCodes()), embedding.getScales(), embedding.getZeroPoints(),
           embedding.getScheme());
    else if (auto get = dyn_cast<GetOp>(op))
      found[get.getParameter()].plain = module.lookupSymbol<ParameterOp>(get.getParameter());
  });

  // The graph that the configuration asks for, with a type of the parameter's own for each weight.
  LlamaModel model{*config, {}};
  OwningOpRef<ModuleOp> plain = ModuleOp::create(module.getLoc());
  auto entry = EntryAttr::get(module.getContext(), FlatSymbolRefAttr::get(module.getContext(), "none"),
                              StringAttr::get(module.getContext(), "none"), Encoding::F32);
  BindParameter bind = [&](const LlamaParameter &wanted) -> Result<ParameterBinding> {
    auto weight = found.find(wanted.name);
    if (weight == found.end() || (!weight->second.plain && (!weight->second.codes || !weight->second.scales)))
      return notPlain("it does not read " + wanted.name);
    ParameterOp shaped = weight->second.plain ? weight->second.plain : weight->second.codes;
    auto type = cast<RankedTensorType>(shaped.getType());
    if (type.getShape() != ArrayRef<int64_t>(wanted.shape))
      return notPlain(wanted.name + " has another shape");
    weight->second.name = wanted.name;
    weight->second.shape = wanted.shape;
    model.weights.push_back(weight->second);
    Type element = weight->second.plain ? type.getElementType() : Type(Float32Type::get(module.getContext()));
    return ParameterBinding{entry, element, wanted.name, false};
  };
  LlamaLocations locations{[](int64_t) { return std::string("layer"); }};
  Type cacheElement = Float32Type::get(module.getContext());
  for (Type type : forward.getArgumentTypes())
    if (auto cache = dyn_cast<CacheType>(type))
      cacheElement = cache.getElementType();
  if (Status status = buildLlama(*plain, model.config, cacheElement, bind, locations); !status)
    return status.takeError();
  auto plainForward = plain->lookupSymbol<func::FuncOp>("forward");
  if (forward.getFunctionType() != plainForward.getFunctionType())
    return notPlain("its type is another");
  if (Status status = compareGraphs(forward, plainForward); !status)
    return status.takeError();
  return model;
}

Result<FloatView> qopt::evaluateWeight(LlamaWeight &weight, ParameterEvaluator &evaluator) {
  if (weight.plain) {
    Result<HostTensor> tensor = evaluator.evaluate(weight.plain);
    if (!tensor)
      return tensor.takeError();
    if (!tensor->floatFormat())
      return badInput("expected floats", "parameter @" + weight.name);
    return viewAsF32(*tensor);
  }
  Result<WeightScheme> scheme = toWeightScheme(weight.scheme);
  if (!scheme)
    return scheme.takeError();
  llvm::SmallVector<HostTensor, 3> parts;
  for (ParameterOp part : {weight.codes, weight.scales, weight.zeros}) {
    if (!part)
      continue;
    Result<HostTensor> tensor = evaluator.evaluate(part);
    if (!tensor)
      return tensor.takeError();
    parts.push_back(std::move(*tensor));
  }
  auto bytesOf = [](const HostTensor &tensor) {
    return std::span(reinterpret_cast<const uint8_t *>(tensor.bytes.data()), tensor.bytes.size());
  };
  MLIRContext *context = weight.codes.getContext();
  OwnedTensor result = OwnedTensor::allocate(RankedTensorType::get(weight.shape, Float32Type::get(context)));
  QuantizedRowsView rows(bytesOf(parts[0]), parts[1].bytes,
                         parts.size() > 2 ? bytesOf(parts[2]) : std::span<const uint8_t>());
  if (Status status = dequantizeRows(*scheme, weight.shape[0], weight.shape[1], rows, result.as<float>()); !status)
    return status.takeError().in("parameter @" + weight.name);
  return FloatView{result.as<float>(), result.tensor.owner};
}
