// The graph of a Llama model; see LlamaGraph.h.
#include "lib/Import/LlamaGraph.h"

#include "dialects/Transformer/Entry.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Status LlamaConfig::validate() const {
  struct Size {
    const char *name;
    int64_t value;
  };
  for (Size size : {Size{"vocabulary", vocabulary},
                    {"hidden size", hidden},
                    {"number of layers", layers},
                    {"number of attention heads", heads},
                    {"number of key/value heads", kvHeads},
                    {"head dimension", headDim},
                    {"intermediate size", intermediate},
                    {"context length", context}})
    if (size.value < 1 || size.value > INT32_MAX)
      return badInput(std::string("expected a ") + size.name + " from 1 to 2147483647, but got " +
                      std::to_string(size.value));
  if (layers > 100000)
    return badInput("expected at most 100000 layers, but got " + std::to_string(layers));
  if (heads % kvHeads != 0)
    return badInput("expected attention heads that the key/value heads divide, but got " + std::to_string(heads) +
                    " and " + std::to_string(kvHeads));
  if (headDim % 2 != 0)
    return badInput("expected an even head dimension, but got " + std::to_string(headDim));
  if (heads > INT32_MAX / headDim)
    return badInput("expected at most 2147483647 query channels, but got " + std::to_string(heads) + " heads of " +
                    std::to_string(headDim));
  if (!(rmsEpsilon > 0) || !std::isfinite(rmsEpsilon))
    return badInput("expected a positive epsilon of the RMS norm, but got " + std::to_string(rmsEpsilon));
  if (!(rotaryBase > 1) || !std::isfinite(rotaryBase))
    return badInput("expected a finite rotary base above 1, but got " + std::to_string(rotaryBase));
  if (scaling) {
    const Llama3Scaling &s = *scaling;
    if (!(s.factor >= 1) || !std::isfinite(s.factor))
      return badInput("expected a rotary scaling factor of at least 1, but got " + std::to_string(s.factor));
    if (!(s.lowFrequency > 0) || !(s.highFrequency > s.lowFrequency) || !std::isfinite(s.highFrequency))
      return badInput("expected 0 < low_freq_factor < high_freq_factor, but got " + std::to_string(s.lowFrequency) +
                      " and " + std::to_string(s.highFrequency));
    if (s.originalContext < 1)
      return badInput("expected a positive original context of the rotary scaling, but got " +
                      std::to_string(s.originalContext));
  }
  return {};
}

namespace {
/// Builds one model. Errors of `bind` stop it: the first is kept, and what follows builds on dummies no further.
class LlamaBuilder {
public:
  LlamaBuilder(ModuleOp module, const LlamaConfig &config, Type cacheType, const BindParameter &bind,
               const LlamaLocations &locations)
      : module(module), config(config), bind(bind), locations(locations), parameters(module.getContext()),
        body(module.getContext()), cacheElement(cacheType) {}

  Status build();

private:
  RankedTensorType activations(int64_t channels) {
    return RankedTensorType::get({ShapedType::kDynamic, channels}, body.getF32Type());
  }
  Location named(StringRef name) { return NameLoc::get(body.getStringAttr(name)); }

  /// Declares the parameter before @forward. Returns its `get`, whose location names the source's tensor.
  Result<Value> parameter(const std::string &name, ArrayRef<int64_t> shape, int64_t rotaryHeads = 0);
  /// Reads again a parameter that exists.
  Value getAgain(Value first);
  /// `prefix`.weight, and `prefix`.bias if `bias`, applied to `input`.
  Result<Value> linear(const std::string &prefix, Value input, int64_t outputs, bool bias, int64_t rotaryHeads = 0);
  Result<Value> norm(const std::string &prefix, Value input);
  Result<Value> layer(int64_t index, Value x);
  void setModelAttribute();

  ModuleOp module;
  const LlamaConfig &config;
  const BindParameter &bind;
  const LlamaLocations &locations;
  OpBuilder parameters, body;
  Type cacheElement;
  RotaryAttr rotary;
  Value tokens, positions, sequences, blockTables, rows, cache;
};
} // namespace

Result<Value> LlamaBuilder::parameter(const std::string &name, ArrayRef<int64_t> shape, int64_t rotaryHeads) {
  LlamaParameter wanted{name, llvm::SmallVector<int64_t, 2>(shape), rotaryHeads};
  Result<ParameterBinding> binding = bind(wanted);
  if (!binding)
    return binding.takeError();
  Location loc = named(binding->sourceName);
  auto type = RankedTensorType::get(shape, binding->elementType);
  bool permuted = rotaryHeads != 0 && binding->permuted;
  auto stored = ParameterOp::create(parameters, loc, permuted ? name + ".stored" : name, type, binding->entry);
  if (permuted) {
    auto restored = ParameterOp::create(parameters, loc, name, type, EntryAttr());
    OpBuilder inside = OpBuilder::atBlockBegin(&restored.getInitializer().emplaceBlock());
    Value value = GetOp::create(inside, loc, type, stored.getSymName());
    value = UnpermuteRotaryOp::create(inside, loc, type, value, rotaryHeads);
    YieldOp::create(inside, loc, value);
  }
  return Value(GetOp::create(body, loc, type, name));
}

Value LlamaBuilder::getAgain(Value first) {
  auto get = first.getDefiningOp<GetOp>();
  return GetOp::create(body, get.getLoc(), get.getType(), get.getParameter());
}

Result<Value> LlamaBuilder::linear(const std::string &prefix, Value input, int64_t outputs, bool bias,
                                   int64_t rotaryHeads) {
  int64_t inputs = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Result<Value> weight = parameter(prefix + ".weight", {outputs, inputs}, rotaryHeads);
  if (!weight)
    return weight;
  Value biasValue;
  if (bias) {
    Result<Value> bound = parameter(prefix + ".bias", {outputs}, rotaryHeads);
    if (!bound)
      return bound;
    biasValue = *bound;
  }
  return Value(LinearOp::create(body, weight->getLoc(), activations(outputs), input, *weight, biasValue));
}

Result<Value> LlamaBuilder::norm(const std::string &prefix, Value input) {
  Result<Value> weight = parameter(prefix + ".weight", {config.hidden});
  if (!weight)
    return weight;
  return Value(
      RmsNormOp::create(body, weight->getLoc(), input.getType(), input, *weight, llvm::APFloat(config.rmsEpsilon)));
}

Result<Value> LlamaBuilder::layer(int64_t index, Value x) {
  std::string prefix = "model.layers." + std::to_string(index);
  std::string attention = prefix + ".self_attn.", mlp = prefix + ".mlp.";
  Location loc = named(locations.layer(index));
  int64_t queryChannels = config.heads * config.headDim, keyChannels = config.kvHeads * config.headDim;
  Value layerIndex = arith::ConstantIndexOp::create(body, loc, index);

  Result<Value> normed = norm(prefix + ".input_layernorm", x);
  if (!normed)
    return normed;
  Result<Value> q = linear(attention + "q_proj", *normed, queryChannels, config.attentionBias, config.heads);
  if (!q)
    return q;
  Result<Value> k = linear(attention + "k_proj", *normed, keyChannels, config.attentionBias, config.kvHeads);
  if (!k)
    return k;
  Result<Value> v = linear(attention + "v_proj", *normed, keyChannels, config.attentionBias);
  if (!v)
    return v;
  Value rotatedQ = RotaryOp::create(body, loc, q->getType(), *q, positions, rotary);
  Value rotatedK = RotaryOp::create(body, loc, k->getType(), *k, positions, rotary);
  cache = CacheUpdateOp::create(body, loc, cache.getType(), cache, layerIndex, rotatedK, *v, positions, sequences,
                                blockTables);
  double scale = 1.0 / std::sqrt(static_cast<double>(config.headDim));
  Value attended = AttentionOp::create(body, loc, rotatedQ.getType(), rotatedQ, cache, layerIndex, positions, sequences,
                                       blockTables, llvm::APFloat(scale), /*window=*/0);
  Result<Value> o = linear(attention + "o_proj", attended, config.hidden, config.attentionBias);
  if (!o)
    return o;
  x = ResidualOp::create(body, loc, x.getType(), x, *o);

  normed = norm(prefix + ".post_attention_layernorm", x);
  if (!normed)
    return normed;
  Result<Value> gate = linear(mlp + "gate_proj", *normed, config.intermediate, config.mlpBias);
  if (!gate)
    return gate;
  Result<Value> up = linear(mlp + "up_proj", *normed, config.intermediate, config.mlpBias);
  if (!up)
    return up;
  Value product = GatedProductOp::create(body, loc, gate->getType(), ActivationKind::Silu, *gate, *up);
  Result<Value> down = linear(mlp + "down_proj", product, config.hidden, config.mlpBias);
  if (!down)
    return down;
  return Value(ResidualOp::create(body, loc, x.getType(), x, *down));
}

void LlamaBuilder::setModelAttribute() {
  auto integer = [&](StringRef name, int64_t value) { return body.getNamedAttr(name, body.getI64IntegerAttr(value)); };
  SmallVector<NamedAttribute> fields{
      body.getNamedAttr("architecture", body.getStringAttr("llama")),
      integer("context", config.context),
      integer("head_dim", config.headDim),
      integer("heads", config.heads),
      integer("hidden", config.hidden),
      integer("intermediate", config.intermediate),
      integer("kv_heads", config.kvHeads),
      integer("layers", config.layers),
      integer("vocabulary", config.vocabulary),
  };
  module->setAttr("transformer.model", body.getDictionaryAttr(fields));
}

Status LlamaBuilder::build() {
  MLIRContext *context = module.getContext();
  Type i32 = body.getI32Type(), f64 = body.getF64Type();
  auto number = [&](double value) { return FloatAttr::get(f64, value); };
  const auto &scaling = config.scaling;
  rotary = RotaryAttr::get(
      context, config.headDim, number(config.rotaryBase), scaling ? number(scaling->factor) : FloatAttr(),
      scaling ? number(scaling->lowFrequency) : FloatAttr(), scaling ? number(scaling->highFrequency) : FloatAttr(),
      scaling ? scaling->originalContext : 0);
  auto indices = RankedTensorType::get({ShapedType::kDynamic}, i32);
  auto tables = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic}, i32);
  auto cacheType = CacheType::get(context, config.layers, config.kvHeads, config.headDim, cacheElement);
  auto type = body.getFunctionType({indices, indices, indices, tables, indices, cacheType},
                                   {activations(config.vocabulary), cacheType});
  setModelAttribute();

  auto forward = func::FuncOp::create(named("forward"), "forward", type);
  module.push_back(forward);
  Block *block = &forward.getBody().emplaceBlock();
  // Named: a braced list inside of the loop's head would be gone before the first turn.
  static constexpr StringRef names[] = {"tokens", "positions", "sequences", "block_tables", "rows", "cache"};
  for (auto [argument, name] : llvm::zip_equal(type.getInputs(), names))
    block->addArgument(argument, named(name));
  tokens = block->getArgument(Tokens), positions = block->getArgument(Positions);
  sequences = block->getArgument(Sequences), blockTables = block->getArgument(BlockTables);
  rows = block->getArgument(WantedRows), cache = block->getArgument(Cache);
  parameters.setInsertionPoint(forward);
  body.setInsertionPointToEnd(block);

  Result<Value> table = parameter("model.embed_tokens.weight", {config.vocabulary, config.hidden});
  if (!table)
    return table.takeError();
  Value x = EmbeddingOp::create(body, table->getLoc(), activations(config.hidden), tokens, *table);
  for (int64_t index = 0; index < config.layers; ++index) {
    Result<Value> next = layer(index, x);
    if (!next)
      return next.takeError();
    x = *next;
  }
  x = SelectRowsOp::create(body, named("rows"), x.getType(), x, rows);
  Result<Value> normed = norm("model.norm", x);
  if (!normed)
    return normed.takeError();
  Result<Value> head =
      config.tied ? Result<Value>(getAgain(*table)) : parameter("lm_head.weight", {config.vocabulary, config.hidden});
  if (!head)
    return head.takeError();
  Value logits =
      LinearOp::create(body, head->getLoc(), activations(config.vocabulary), *normed, *head, /*bias=*/Value());
  func::ReturnOp::create(body, named("forward"), ValueRange{logits, cache});
  return {};
}

Status qopt::buildLlama(ModuleOp module, const LlamaConfig &config, Type cacheType, const BindParameter &bind,
                        const LlamaLocations &locations) {
  if (Status status = config.validate(); !status)
    return status;
  return LlamaBuilder(module, config, cacheType, bind, locations).build();
}
