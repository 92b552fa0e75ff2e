#include "tests/unit/Kernels/Graph.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>

namespace qopt::kerneltest {

static std::string number(int64_t value) { return std::to_string(value); }
static std::string activations(int64_t width) { return "tensor<?x" + number(width) + "xf32>"; }
static constexpr const char *kIndices = "tensor<?xi32>";
static constexpr const char *kPlaces = "(%positions, %sequences, %tables)";
static constexpr const char *kPlaceTypes = "tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>";

LinearKind LinearKind::parse(std::string_view text) {
  for (ElementFormat format : {ElementFormat::F32, ElementFormat::F16, ElementFormat::BF16})
    if (text == info(format).name)
      return {std::nullopt, format};
  Result<Scheme> scheme = parseScheme(text);
  if (!scheme) {
    std::fprintf(stderr, "not a kind of linear: %s\n", std::string(text).c_str());
    std::abort();
  }
  return {*scheme, ElementFormat::F32};
}

std::string LinearKind::text() const { return scheme ? printScheme(*scheme) : std::string(info(plain).name); }

std::string Graph::typeOf(const ParameterSpec &spec) const {
  std::string type = "tensor<";
  for (int64_t dim : spec.shape)
    type += number(dim) + "x";
  if (spec.kind == ParameterSpec::Kind::Codes)
    return type + "i" + number(spec.bits) + ">";
  if (spec.kind == ParameterSpec::Kind::Zeros)
    return type + "i8>";
  return type + std::string(info(spec.format).name) + ">";
}

std::string Graph::cacheType() const {
  return "!transformer.cache<layers = " + number(cache.layers) + ", heads = " + number(cache.heads) +
         ", dim = " + number(cache.dim) + ", " + std::string(info(cache.format).name) + ">";
}

Graph::Value Graph::append(const std::string &text, const std::string &type, int64_t width) {
  std::string name = "%v" + number(values++);
  body += "    " + name + " = " + text + " : " + type + "\n";
  return {name, width};
}

std::string Graph::get(ParameterSpec spec) {
  if (std::ranges::none_of(specs, [&](const ParameterSpec &known) { return known.name == spec.name; }))
    specs.push_back(spec);
  return append("transformer.get @\"" + spec.name + "\"", typeOf(spec), 0).name;
}

void Graph::give(const std::string &name, int64_t index, float value) {
  for (ParameterSpec &spec : specs)
    if (spec.name == name)
      spec.given[index] = value;
}

std::pair<std::string, std::string> Graph::codes(const std::string &name, int64_t rows, int64_t width,
                                                 const WeightScheme &scheme) {
  using Kind = ParameterSpec::Kind;
  int64_t groups = scheme.groupsPerRow(width);
  ParameterSpec codeSpec{name + ".codes", {rows, width}, Kind::Codes, ElementFormat::U8, scheme.bits};
  ParameterSpec scaleSpec{name + ".scales", {rows, groups}, Kind::Scales, scheme.scale, scheme.bits};
  std::string operands = get(codeSpec);
  operands += ", " + get(scaleSpec);
  std::string types = typeOf(codeSpec) + ", " + typeOf(scaleSpec);
  if (!scheme.symmetric) {
    ParameterSpec zeroSpec{name + ".zeros", {rows, groups}, Kind::Zeros, ElementFormat::U8, scheme.bits};
    operands += " zeros " + get(zeroSpec);
    types += ", " + typeOf(zeroSpec);
  }
  return {operands, types};
}

static std::string weightsAttribute(const WeightScheme &scheme) {
  return "<bits = " + number(scheme.bits) + ", symmetric = " + (scheme.symmetric ? "true" : "false") +
         ", group = " + number(scheme.group) + ", scale = " + std::string(info(scheme.scale).name) + ">";
}

Graph::Value Graph::embedding(int64_t vocabulary, int64_t width, ElementFormat format, const std::string &name) {
  tokenCount = vocabulary;
  bool first = input.name.empty();
  ParameterSpec table{name, {vocabulary, width}, ParameterSpec::Kind::Numbers, format};
  std::string value = get(table);
  Value result = append("transformer.embedding %tokens, " + value,
                        "(" + std::string(kIndices) + ", " + typeOf(table) + ") -> " + activations(width), width);
  return first ? input = result : result;
}

Graph::Value Graph::embedding(int64_t vocabulary, int64_t width, const LinearKind &kind, const std::string &name) {
  if (!kind.scheme)
    return embedding(vocabulary, width, kind.plain, name);
  tokenCount = vocabulary;
  auto [operands, types] = codes(name, vocabulary, width, kind.scheme->weights);
  Value result = append("lowbit.embedding %tokens, " + operands + " " + weightsAttribute(kind.scheme->weights),
                        "(" + std::string(kIndices) + ", " + types + ") -> " + activations(width), width);
  return input.name.empty() ? input = result : result;
}

Graph::Value Graph::linear(Value x, const std::string &name, int64_t outputs, const LinearKind &kind, bool bias) {
  std::string op, types, biasText;
  if (kind.scheme) {
    std::tie(op, types) = codes(name, outputs, x.width, kind.scheme->weights);
    op = "lowbit.linear " + x.name + ", " + op;
  } else {
    ParameterSpec weight{name, {outputs, x.width}, ParameterSpec::Kind::Numbers, kind.plain};
    op = "transformer.linear " + x.name + ", " + get(weight);
    types = typeOf(weight);
  }
  if (bias) {
    ParameterSpec spec{name + ".bias", {outputs}, ParameterSpec::Kind::Numbers, ElementFormat::F32};
    op += " bias " + get(spec);
    types += ", " + typeOf(spec);
  }
  if (kind.scheme) {
    const char *activationText[] = {"kind = f32", "kind = bf16", "kind = i8", "kind = i8, group = 32",
                                    "kind = i8, fixed = true"};
    if (kind.scheme->activations == ActivationKind::I8Static) {
      op += " static " + staticScale(x, kind.staticRange != 0 ? kind.staticRange
                                                              : 0.75 * std::sqrt(3.0 / static_cast<double>(x.width)));
      types += ", tensor<1xf32>";
    }
    bool integer = kind.scheme->activations >= ActivationKind::I8PerToken;
    op += " <weights = " + weightsAttribute(kind.scheme->weights) + ", activations = <" +
          activationText[static_cast<int>(kind.scheme->activations)] +
          ">, accumulation = " + (integer ? "i32" : "f32") + ">";
  }
  Value result = append(op, "(" + activations(x.width) + ", " + types + ") -> " + activations(outputs), outputs);
  lastLinear = result.name;
  return result;
}

std::string Graph::staticScale(const Value &x, double range) {
  char scale[32];
  std::snprintf(scale, sizeof scale, "%.8e", range / 127);
  std::string name = "@\"" + x.name.substr(1) + ".input_scale\"", head = "  transformer.parameter " + name;
  if (staticScales.find(head) == std::string::npos)
    staticScales += head + " : tensor<1xf32> {\n    %0 = lowbit.activation_scale " + scale +
                    " : tensor<1xf32>\n    transformer.yield %0 : tensor<1xf32>\n  }\n";
  return append("transformer.get " + name, "tensor<1xf32>", 0).name;
}

Graph::Value Graph::rmsNorm(Value x, const std::string &name, ElementFormat format) {
  ParameterSpec weight{name, {x.width}, ParameterSpec::Kind::Numbers, format};
  std::string value = get(weight);
  return append("transformer.rms_norm " + x.name + ", " + value + " epsilon 1.0e-5",
                "(" + activations(x.width) + ", " + typeOf(weight) + ") -> " + activations(x.width), x.width);
}

Graph::Value Graph::layerNorm(Value x, const std::string &name, bool bias) {
  ParameterSpec weight{name, {x.width}, ParameterSpec::Kind::Numbers, ElementFormat::F32}, shift = weight;
  shift.name += ".bias";
  std::string text = "transformer.layer_norm " + x.name + ", " + get(weight), types = typeOf(weight);
  if (bias) {
    text += " bias " + get(shift);
    types += ", " + typeOf(shift);
  }
  return append(text + " epsilon 1.0e-5", "(" + activations(x.width) + ", " + types + ") -> " + activations(x.width),
                x.width);
}

Graph::Value Graph::rotary(Value x, int64_t dim, bool scaled) {
  std::string kind = "<dim = " + number(dim) + ", base = 1.0e4 : f64";
  if (scaled)
    kind += ", factor = 8.0 : f64, lowFrequency = 1.0 : f64, highFrequency = 4.0 : f64, originalContext = 64";
  return append("transformer.rotary " + x.name + ", %positions " + kind + ">", activations(x.width) + ", " + kIndices,
                x.width);
}

Graph::Value Graph::activation(const std::string &kind, Value x) {
  return append("transformer.activation " + kind + " " + x.name, activations(x.width), x.width);
}

Graph::Value Graph::gatedProduct(const std::string &kind, Value gate, Value up) {
  return append("transformer.gated_product " + kind + " " + gate.name + ", " + up.name, activations(up.width),
                up.width);
}

Graph::Value Graph::residual(Value x, Value update) {
  return append("transformer.residual " + x.name + ", " + update.name, activations(x.width), x.width);
}

Graph::Value Graph::slice(Value x, int64_t offset, int64_t width) {
  return append("transformer.slice " + x.name + " at " + number(offset),
                activations(x.width) + " -> " + activations(width), width);
}

Graph::Value Graph::selectRows(Value x) {
  return append("transformer.select_rows " + x.name + ", %rows",
                activations(x.width) + ", " + kIndices + " -> " + activations(x.width), x.width);
}

void Graph::cacheUpdate(int64_t layer, Value key, Value value) {
  Value index = append("arith.constant " + number(layer), "index", 0);
  cacheValue = append("transformer.cache_update " + cacheValue + "[" + index.name + "], " + key.name + ", " +
                          value.name + " at " + kPlaces,
                      cacheType() + ", " + activations(key.width) + ", " + kPlaceTypes, 0)
                   .name;
}

Graph::Value Graph::attention(int64_t layer, Value query, int64_t window) {
  Value index = append("arith.constant " + number(layer), "index", 0);
  std::string text =
      "transformer.attention " + query.name + ", " + cacheValue + "[" + index.name + "] at " + kPlaces + " scale 0.25";
  if (window != 0)
    text += " window " + number(window);
  return append(text, activations(query.width) + ", " + cacheType() + ", " + kPlaceTypes, query.width);
}

std::string Graph::text() const {
  std::string text;
  for (const ParameterSpec &spec : specs) {
    std::string encoding(info(spec.format).name);
    if (spec.kind == ParameterSpec::Kind::Codes)
      encoding = spec.bits < 8 ? "packed_u" + number(spec.bits) : "u8";
    if (spec.kind == ParameterSpec::Kind::Zeros)
      encoding = "u8";
    text += "  transformer.parameter @\"" + spec.name + "\" : " + typeOf(spec) + " from <@archive, \"" + spec.name +
            "\", " + encoding + ">\n";
  }
  text += staticScales;
  std::string results = logits.name + ", " + cacheValue, types = activations(logits.width) + ", " + cacheType();
  std::string hidden;
  if (logits.name != lastLinear) {
    hidden = "    %hidden = transformer.select_rows " + input.name + ", %rows : " + activations(input.width) + ", " +
             kIndices + " -> " + activations(input.width) + "\n";
    results += ", %hidden";
    types += ", " + activations(input.width);
  }
  text += "  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, "
          "%tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: " +
          cacheType() + ") -> (" + types + ") {\n" + body + hidden + "    return " + results + " : " + types +
          "\n  }\n";
  return text;
}

Graph makeModel(const ModelKind &kind) {
  Graph g({kind.layers, kind.keyValueHeads, kind.dim, kind.cacheFormat});
  auto norm = [&](Graph::Value x, const std::string &name) {
    return kind.layerNorms ? g.layerNorm(x, name, kind.biases) : g.rmsNorm(x, name, kind.normFormat);
  };
  Graph::Value h = kind.tied ? g.embedding(kind.vocabulary, kind.hidden, kind.head)
                             : g.embedding(kind.vocabulary, kind.hidden, ElementFormat::F32);
  for (int64_t layer = 0; layer < kind.layers; ++layer) {
    std::string p = "layers." + number(layer) + ".";
    auto linear = [&](Graph::Value x, const char *name, int64_t outputs) {
      return g.linear(x, p + name, outputs, kind.linears, kind.biases);
    };
    Graph::Value n = norm(h, p + "attention_norm");
    Graph::Value q = linear(n, "q", kind.heads * kind.dim), k = linear(n, "k", kind.keyValueHeads * kind.dim),
                 v = linear(n, "v", kind.keyValueHeads * kind.dim);
    q = g.rotary(q, kind.dim, kind.scaledRotary), k = g.rotary(k, kind.dim, kind.scaledRotary);
    g.cacheUpdate(layer, k, v);
    h = g.residual(h, linear(g.attention(layer, q, kind.window), "o", kind.hidden));
    n = norm(h, p + "mlp_norm");
    Graph::Value inner = kind.gated
                             ? g.gatedProduct(kind.activation, linear(n, "gate", kind.mlp), linear(n, "up", kind.mlp))
                             : g.activation(kind.activation, linear(n, "up", kind.mlp));
    h = g.residual(h, linear(inner, "down", kind.hidden));
  }
  Graph::Value n = norm(g.selectRows(h), "norm");
  g.returns(g.linear(n, kind.tied ? "embed" : "head", kind.vocabulary, kind.head));
  return g;
}

} // namespace qopt::kerneltest
