// The graph of a Llama model, whatever file it comes from.
//
// An importer reads its source's configuration into a LlamaConfig and says, for each parameter that the graph asks
// for, where its numbers are. The graph, the parameters' names (those of Hugging Face) and their order are made here,
// so that all sources give the same IR.
#ifndef QOPT_LIB_IMPORT_LLAMAGRAPH_H
#define QOPT_LIB_IMPORT_LLAMAGRAPH_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <optional>
#include <string>

namespace qopt {

/// Llama 3's scaling of rotary frequencies; see transformer::RotaryAttr.
struct Llama3Scaling {
  double factor = 0, lowFrequency = 0, highFrequency = 0;
  int64_t originalContext = 0;
};

/// What fixes the mathematics and the shapes of a Llama model.
struct LlamaConfig {
  std::string name; ///< the module's name
  int64_t vocabulary = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, headDim = 0, intermediate = 0, context = 0;
  double rmsEpsilon = 0, rotaryBase = 0;
  std::optional<Llama3Scaling> scaling;
  bool attentionBias = false; ///< q, k, v and o projections have biases
  bool mlpBias = false;       ///< gate, up and down projections have biases
  bool tied = false;          ///< the output head is the embedding

  /// Whether the numbers make a model. Errors (bad input): a size below 1 or beyond 2^31, heads that kvHeads do not
  /// divide, an odd headDim, an epsilon or base that is not a positive finite number.
  Status validate() const;
};

/// A parameter that the graph asks for.
struct LlamaParameter {
  std::string name;                    ///< "model.layers.0.self_attn.q_proj.weight"
  llvm::SmallVector<int64_t, 2> shape; ///< outermost first
  int64_t rotaryHeads = 0;             ///< rows are so many heads that are rotated; 0: they are not
};

/// Where a parameter's numbers are.
struct ParameterBinding {
  transformer::EntryAttr entry;
  mlir::Type elementType; ///< of the parameter, as the entry is read
  std::string sourceName; ///< the tensor's name in the source: the location
  bool permuted = false;  ///< rows of rotated heads are stored in GGUF's order
};

/// Called once for each parameter, in the order in which forward reads them.
using BindParameter = std::function<Result<ParameterBinding>(const LlamaParameter &)>;

/// The names that a source gives to the parts of the model, for the locations of ops without a parameter.
struct LlamaLocations {
  std::function<std::string(int64_t layer)> layer; ///< "blk.0"
};

/// Appends parameters and @forward to `module`, which holds the archives, and sets `transformer.model`.
/// `cacheType` is the element type of keys and values: f32 or f16. Errors: those of config.validate() and of `bind`.
Status buildLlama(mlir::ModuleOp module, const LlamaConfig &config, mlir::Type cacheType, const BindParameter &bind,
                  const LlamaLocations &locations);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_LLAMAGRAPH_H
