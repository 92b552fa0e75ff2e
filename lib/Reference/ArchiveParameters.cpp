#include "lib/Reference/ArchiveParameters.h"

#include "lib/Reference/RandomParameters.h"

#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

Tensor reference::fromHost(const HostTensor &host) {
  Tensor tensor = Tensor::zeros(host.type);
  HostTensor canonical = host.canonical();
  if (tensor.isFloat()) {
    FloatView view = viewAsF32(canonical);
    tensor.floats.assign(view.values.begin(), view.values.end());
    return tensor;
  }
  // Narrow integers are codes, zero points or packed bytes, one to a byte; i32 is itself.
  int64_t width = canonicalElementBytes(host.type.getElementType());
  for (int64_t i = 0; i < tensor.elements(); ++i)
    std::memcpy(&tensor.integers[i], canonical.bytes.data() + i * width, std::min<int64_t>(width, sizeof(int32_t)));
  return tensor;
}

Result<ParameterSource> reference::archiveParameters(ModuleOp module, const std::string &directory, uint64_t seed) {
  auto opened = ParameterEvaluator::open(module, directory);
  if (!opened)
    return opened.takeError();
  // A std::function must be copyable; the evaluator is not.
  std::shared_ptr<ParameterEvaluator> evaluator = std::move(*opened);
  ParameterSource madeUp = randomParameters(seed, /*entriesToo=*/false);
  return ParameterSource([=](transformer::ParameterOp parameter) -> FailureOr<TensorRef> {
    if (!parameter.getSource())
      return madeUp(parameter);
    Result<HostTensor> tensor = evaluator->evaluate(parameter);
    if (!tensor)
      return parameter.emitError() << tensor.error().format();
    return std::make_shared<const Tensor>(fromHost(*tensor));
  });
}
