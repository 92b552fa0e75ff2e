// The numbers of a module's parameters: read from their archives, or computed by their initializers.
//
//   auto evaluator = ParameterEvaluator::open(module, directoryOf("model.mlir"));
//   if (!evaluator)
//     return evaluator.takeError();
//   Result<HostTensor> weight = (*evaluator)->evaluate(parameter);
//
// It streams: nothing is kept between evaluations, so a pass over all parameters needs memory for one of them and its
// operands. A float tensor whose type is the archive's comes back as a view into the mapping.
#ifndef QOPT_LIB_PARAMETERS_PARAMETEREVALUATOR_H
#define QOPT_LIB_PARAMETERS_PARAMETEREVALUATOR_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Archive.h"
#include "lib/Parameters/HostTensor.h"
#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <string>

namespace qopt {

class Rotations;

/// The rows of a float matrix, decoded as they are asked for: a parameter bound to an entry costs no memory at all.
class FloatRows {
public:
  int64_t rows() const { return rowCount; }
  int64_t cols() const { return colCount; }
  /// Writes rows [first, first + count) to `out` : [count, cols]. For several threads at once.
  void read(int64_t first, int64_t count, std::span<float> out) const;

private:
  friend class ParameterEvaluator;
  FloatRows(ElementFormat format, std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int64_t rows,
            int64_t cols)
      : format(format), bytes(bytes), owner(std::move(owner)), rowCount(rows), colCount(cols) {}

  ElementFormat format;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  int64_t rowCount, colCount;
};

class ParameterEvaluator {
public:
  ~ParameterEvaluator();

  /// Opens the archives that `module` names, relative to `directory` (that of the IR file).
  /// Errors: one that cannot be opened, or whose size or header digest is not the one in the IR.
  static Result<std::unique_ptr<ParameterEvaluator>> open(mlir::ModuleOp module, const std::string &directory);

  /// The same archives and provided tensors for another module, a part or a copy of the first.
  std::unique_ptr<ParameterEvaluator> forModule(mlir::ModuleOp other) const;

  /// What a parameter that is only a shape holds: something that a pass has computed and not yet written. The tensor
  /// is in the canonical form.
  void provide(llvm::StringRef parameter, HostTensor tensor) { provided[parameter] = std::move(tensor); }

  /// Lets go of all that was provided.
  void withdrawAll() { provided.clear(); }

  /// The parameter's numbers in the canonical form. Symbols are looked up in the module as it is now.
  /// Errors (with the parameter's name in `where`): it has neither entry nor initializer; a tensor that is not in the
  /// archive, or has another format or shape; an initializer with an op that is not evaluated, or that needs itself;
  /// what the op itself refuses (a weight that is not finite).
  Result<HostTensor> evaluate(transformer::ParameterOp parameter);

  /// The same numbers of a float matrix, by rows. Errors: also a parameter that is not a float matrix.
  Result<FloatRows> openRows(transformer::ParameterOp parameter);

  /// Lets go of the mapped pages that evaluating `parameter` has touched. Views into them stay valid, and slow.
  void drop(transformer::ParameterOp parameter);

  /// An archive of the module by its symbol; null if it has none of that name.
  const Archive *archive(llvm::StringRef symbol) const;

private:
  explicit ParameterEvaluator(mlir::ModuleOp module);

  transformer::ParameterOp lookup(llvm::StringRef symbol);
  /// The numbers, perhaps packed.
  Result<HostTensor> evaluateAny(transformer::ParameterOp parameter);
  /// What an entry names, checked against the parameter's type.
  struct Entry {
    std::shared_ptr<const Archive> archive;
    const TensorEntry *tensor;
  };
  Result<Entry> findEntry(transformer::ParameterOp parameter);
  Result<HostTensor> readEntry(transformer::ParameterOp parameter);
  Result<HostTensor> runInitializer(transformer::ParameterOp parameter);

  mlir::ModuleOp module;
  llvm::StringMap<std::shared_ptr<const Archive>> archives;
  llvm::StringMap<HostTensor> provided;
  std::unique_ptr<Rotations> rotations;
  llvm::SetVector<mlir::Operation *> active; ///< parameters being evaluated, to find cycles
};

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_PARAMETEREVALUATOR_H
