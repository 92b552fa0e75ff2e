// The pass quantize-hqq: half-quadratic quantization (HalfQuadratic.h) as a method of recipes.
//
//   qopt quantize model.mlir --load-pass-plugin=Hqq.so --recipe hqq.yaml -o q.mlir
//   qopt model.mlir --load-pass-plugin=Hqq.so --pass-pipeline='builtin.module(quantize-hqq{scheme=w4a16:g64:asym})'
//
// It looks at weights alone. Scales are round to nearest's, and so are the errors of weights that are not finite; what
// surrounds that is qopt::MethodPass's.
#include "HalfQuadratic.h"

#include "passes/Quantize/MethodPass.h"

#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;
using namespace qopt;

/// Rows [first, first + rows) of a weight; weights : [rows, inputs].
static Status quantizeRows(const WeightScheme &scheme, const hqq::Options &options, int64_t inputs, int64_t first,
                           int64_t rows, std::span<const float> weights, QuantizedRows out) {
  if (Status status = quantizeRoundToNearest(scheme, rows, inputs, weights, out, first); !status)
    return status;
  size_t size = static_cast<size_t>(scheme.groupSize(inputs)), scaleBytes = info(scheme.scale).blockBytes;
  for (size_t group = 0; group < out.zeros.size(); ++group) {
    std::span<const float> of = weights.subspan(group * size, size);
    float scale = loadScale(scheme.scale, out.scales.data() + group * scaleBytes);
    if (scale == 0) // a group of zeros
      continue;
    out.zeros[group] = hqq::fitZero(scheme, options, scale, of);
    encodeGroup(scheme, {scale, out.zeros[group]}, of, out.codes.subspan(group * size, size));
  }
  return {};
}

namespace {
struct QuantizeHqq : PassWrapper<QuantizeHqq, MethodPass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuantizeHqq)

  QuantizeHqq() = default;
  QuantizeHqq(const QuantizeHqq &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "quantize-hqq"; }
  StringRef getDescription() const override { return "Fit zero points by half-quadratic splitting (HQQ)"; }

  Status checkSettings() const override {
    if (iterations < 1)
      return usageError("expected at least one iteration, but got " + std::to_string(iterations));
    if (!(p > 0 && p < 1))
      return usageError("expected a p between 0 and 1, but got " + std::to_string(p))
          .withNext("take 0.7, as its authors do");
    if (!(beta > 0))
      return usageError("expected a beta above 0, but got " + std::to_string(beta));
    if (!(kappa >= 1))
      return usageError("expected a kappa of at least 1, but got " + std::to_string(kappa));
    return {};
  }

  Status prepare(QuantizationRun &run, QuantizationTarget &target) override {
    if (target.scheme.weights.symmetric)
      return badInput("expected a scheme with zero points, which quantize-hqq fits, but got " +
                      printScheme(target.scheme))
          .withNext("append :asym to the scheme, or round this weight to nearest by a rule (method: rtn)");
    return {};
  }

  Status quantize(QuantizationRun &run, QuantizationTarget &target) override {
    hqq::Options options{iterations, p, beta, kappa};
    int64_t inputs = target.type().getDimSize(1);
    auto quantizer = [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) {
      return quantizeRows(target.scheme.weights, options, inputs, first, rows, weights, out);
    };
    return run.quantize(target, quantizer, {});
  }

  Option<int64_t> iterations{*this, "iterations", llvm::cl::desc("most iterations of a group"), llvm::cl::init(20)};
  Option<double> p{*this, "p", llvm::cl::desc("the norm of the errors, below 1"), llvm::cl::init(0.7)};
  Option<double> beta{*this, "beta", llvm::cl::desc("how closely e follows the errors, at first"), llvm::cl::init(10)};
  Option<double> kappa{*this, "kappa", llvm::cl::desc("what beta is multiplied by"), llvm::cl::init(1.01)};
};
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "hqq", "1", [] { MethodRegistration<QuantizeHqq>(); }};
}
