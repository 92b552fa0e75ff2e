// Writes small models in the graph's IR: what the tests of kernels compile and what the reference evaluates.
//
//   Graph graph;
//   Graph::Value x = graph.embedding(97, 64);
//   graph.returns(graph.linear(x, "head", 50, LinearKind::parse("w4a8:g32:asym")));
#ifndef QOPT_TESTS_UNIT_KERNELS_GRAPH_H
#define QOPT_TESTS_UNIT_KERNELS_GRAPH_H

#include "lib/Numerics/Scheme.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qopt::kerneltest {

/// How a linear's weight is stored and what it is multiplied with.
struct LinearKind {
  std::optional<Scheme> scheme; ///< none: plain numbers
  ElementFormat plain = ElementFormat::F32;
  double staticRange = 0; ///< of static activations; 0: three quarters of what an embedding reaches

  /// "f32", "f16", "bf16" or a scheme in the text form of lib/Numerics/Scheme.h. Aborts on anything else.
  static LinearKind parse(std::string_view text);
  std::string text() const;
};

/// The cache of a graph; a graph without attention carries a small one that nothing touches.
struct CacheKind {
  int64_t layers = 1, heads = 1, dim = 16;
  ElementFormat format = ElementFormat::F32;
};

/// A parameter of the graph: what the archive must hold.
struct ParameterSpec {
  enum class Kind { Numbers, Codes, Scales, Zeros };
  std::string name;
  std::vector<int64_t> shape;
  Kind kind;
  ElementFormat format;                ///< of numbers and scales
  int bits = 0;                        ///< of codes and zeros
  std::map<int64_t, float> given = {}; ///< numbers that are not made up, by their place
};

/// One @forward. Ops are appended in the order of the calls.
class Graph {
public:
  struct Value {
    std::string name; ///< in the IR, with its %
    int64_t width;
  };

  explicit Graph(CacheKind cache = {}) : cache(cache) {}

  Value embedding(int64_t vocabulary, int64_t width, ElementFormat format = ElementFormat::F32,
                  const std::string &name = "embed");
  /// Codes of `kind`'s weights; activations do not matter.
  Value embedding(int64_t vocabulary, int64_t width, const LinearKind &kind, const std::string &name = "embed");
  /// A name that is used before is the same parameter again (a tied head).
  Value linear(Value x, const std::string &name, int64_t outputs, const LinearKind &kind, bool bias = false);
  Value rmsNorm(Value x, const std::string &name, ElementFormat format = ElementFormat::F32);
  Value layerNorm(Value x, const std::string &name, bool bias);
  Value rotary(Value x, int64_t dim, bool scaled = false);
  Value activation(const std::string &kind, Value x);
  Value gatedProduct(const std::string &kind, Value gate, Value up);
  Value residual(Value x, Value update);
  Value slice(Value x, int64_t offset, int64_t width);
  Value selectRows(Value x);
  void cacheUpdate(int64_t layer, Value key, Value value);
  /// `window` 0: none.
  Value attention(int64_t layer, Value query, int64_t window = 0);

  /// Gives one number of a parameter, which is there already.
  void give(const std::string &name, int64_t index, float value);

  void returns(Value value) { logits = value; }
  /// The module's text without its archive: parameters name entries of @archive of their own name. Compilation wants
  /// logits from a linear, whose input are the hidden states, unless the hidden states are named: where no linear comes
  /// last, the rows of the embedding are returned as such.
  std::string text() const;
  const std::vector<ParameterSpec> &parameters() const { return specs; }
  int64_t tokens() const { return tokenCount; }
  int64_t outputs() const { return logits.width; }
  CacheKind cacheKind() const { return cache; }

private:
  Value append(const std::string &text, const std::string &type, int64_t width);
  /// The values of a parameter, declared the first time.
  std::string get(ParameterSpec spec);
  /// The value of a parameter for all that read x: codes of ±range.
  std::string staticScale(const Value &x, double range);
  std::string typeOf(const ParameterSpec &spec) const;
  std::string cacheType() const;
  /// Codes, scales and zero points of a weight: operands and their types, as ops list them.
  std::pair<std::string, std::string> codes(const std::string &name, int64_t rows, int64_t width,
                                            const WeightScheme &scheme);

  CacheKind cache;
  std::vector<ParameterSpec> specs;
  std::string staticScales; ///< the parameters that they are
  std::string body, cacheValue = "%cache", lastLinear;
  Value input; // the first embedding
  int64_t values = 0, tokenCount = 0;
  Value logits;
};

/// A model in the shape of Llama, with every part optional that the tests vary.
struct ModelKind {
  int64_t vocabulary = 50, hidden = 64, layers = 2, heads = 4, keyValueHeads = 2, dim = 16, mlp = 128;
  LinearKind linears, head;
  bool tied = false, biases = false, layerNorms = false, scaledRotary = false;
  bool gated = true; ///< else a plain MLP
  std::string activation = "silu";
  int64_t window = 0;
  ElementFormat cacheFormat = ElementFormat::F16, normFormat = ElementFormat::F32;
};
Graph makeModel(const ModelKind &kind);

} // namespace qopt::kerneltest

#endif // QOPT_TESTS_UNIT_KERNELS_GRAPH_H
