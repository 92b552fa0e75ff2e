// What a quantization will cost, foreseen: operations by the function that does them, and the memory of each stage.
//
// Times come from rates that are measured here and now, on the functions that do the work. They are estimates: what is
// in a cache, what else runs and how a Hessian is damped are not known. Memory is what a stage holds at once, by the
// sizes of what it allocates.
#ifndef QOPT_PASSES_QUANTIZE_QUANTIZATIONCOST_H
#define QOPT_PASSES_QUANTIZE_QUANTIZATIONCOST_H

#include "passes/Quantize/Selection.h"

#include <string>
#include <vector>

namespace qopt {

/// Operations of each kind.
struct Work {
  double forward = 0;   ///< multiplications and additions of compiled linears and attention in f32
  double gram = 0;      ///< of Dense::addGram
  double factor = 0;    ///< n³ of each Dense::inverseFactor, which one thread computes
  double quadratic = 0; ///< multiplications and additions of Dense::quadraticForms
  double rounding = 0;  ///< weights that Dense::roundingErrors has rounded
  double bytes = 0;     ///< of weights that are read, changed and written
  double code = 0;      ///< kinds of segments that code is generated for

  Work &operator+=(const Work &other);
};

/// Operations of each kind in a second, on `threads` threads.
struct WorkRates {
  Work perSecond;
  int threads = 1;

  double secondsOf(const Work &work) const;
  /// Takes about a third of a second.
  static WorkRates measure(int threads);
};

struct StageCost {
  std::string name;     ///< "calibrate", "awq", …
  std::string what;     ///< "128 samples of 512 tokens"
  Work work;            ///< in all
  uint64_t memory = 0;  ///< bytes, beyond what the compiler takes anyway
  uint64_t spilled = 0; ///< bytes of temporary files
};

struct CostInputs {
  int64_t samples = 0, length = 0; ///< of calibration
  int64_t heldOut = 0;             ///< windows of all its sources
  bool calibrates = false;         ///< whether statistics are taken, and not given
  int threads = 1;                 ///< of the compiler
};

/// The stages of `recipe`, in order. `module` has what the recipe's rotation and scales make of it, or not: they change
/// no shape.
std::vector<StageCost> costOfStages(mlir::ModuleOp module, const Recipe &recipe, Selection &selection,
                                    const CostInputs &inputs);

/// What the compiler holds before any stage: code, libraries, IR.
inline constexpr uint64_t kBaseMemory = uint64_t{150} << 20;

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_QUANTIZATIONCOST_H
