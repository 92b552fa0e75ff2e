// The imported graph is the model: its logits by the reference evaluator equal those of Hugging Face transformers,
// which tools/dev/make_fixtures.py asked.
#include "lib/Import/Import.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Reference/Evaluator.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace qopt;
using reference::HostValue;
using reference::Tensor;

namespace {
struct Fixture {
  const char *source, *expected;
  double tolerance; ///< of a logit; all are of the order of 1
};
class ImportedModel : public testing::TestWithParam<Fixture> {};
} // namespace

static HostValue integers(mlir::MLIRContext *context, std::vector<int64_t> shape, std::vector<int32_t> values) {
  auto type = mlir::RankedTensorType::get(shape, mlir::IntegerType::get(context, 32));
  return std::make_shared<const Tensor>(Tensor{type, {}, std::move(values)});
}

template <typename T> static std::vector<T> read(const Archive &archive, const char *name) {
  std::span<const std::byte> bytes = archive.bytes(*archive.find(name));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST_P(ImportedModel, HasTheExpectedLogits) {
  std::string folder = QOPT_FIXTURES "/";
  mlir::MLIRContext context;
  auto module = importModel(context, folder + GetParam().source, ImportOptions{folder, /*halfCache=*/false});
  ASSERT_TRUE(module) << module.error().format();
  auto evaluator = ParameterEvaluator::open(**module, folder);
  ASSERT_TRUE(evaluator) << evaluator.error().format();
  reference::Evaluator model(
      **module, [&](transformer::ParameterOp parameter) -> mlir::FailureOr<reference::TensorRef> {
        Result<HostTensor> tensor = (*evaluator)->evaluate(parameter);
        if (!tensor)
          return parameter.emitOpError(tensor.error().format());
        FloatView view = viewAsF32(*tensor);
        return std::make_shared<const Tensor>(Tensor{tensor->type, {view.values.begin(), view.values.end()}, {}});
      });

  auto expected = Archive::open(folder + GetParam().expected);
  ASSERT_TRUE(expected) << expected.error().format();
  std::vector<int32_t> tokens = read<int32_t>(**expected, "tokens"), positions(tokens.size());
  std::vector<float> logits = read<float>(**expected, "logits");
  auto n = static_cast<int64_t>(tokens.size());
  ASSERT_GT(n, 0);
  for (int64_t i = 0; i < n; ++i)
    positions[i] = static_cast<int32_t>(i);

  auto forward = (*module)->lookupSymbol<mlir::func::FuncOp>("forward");
  auto cacheType = mlir::cast<transformer::CacheType>(forward.getArgumentTypes().back());
  auto results =
      model.call(forward, {integers(&context, {n}, tokens), integers(&context, {n}, positions),
                           integers(&context, {n}, std::vector<int32_t>(n, 0)), integers(&context, {1, 1}, {0}),
                           integers(&context, {n}, positions), reference::Cache(cacheType)});
  ASSERT_TRUE(mlir::succeeded(results));
  const Tensor &actual = *std::get<reference::TensorRef>((*results)[0]);
  ASSERT_EQ(actual.floats.size(), logits.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual.floats[i]) - logits[i]));
    largest = std::max(largest, std::abs(static_cast<double>(logits[i])));
  }
  EXPECT_GT(largest, 1.0); // the comparison is of something
  EXPECT_LT(worst, GetParam().tolerance);
}

// f32: only the order and the precision of sums differ. bf16: each linear rounds its input to bf16,
// 2^-9 of relative error in each term, over two layers.
INSTANTIATE_TEST_SUITE_P(Fixtures, ImportedModel,
                         testing::Values(Fixture{"llama-tied", "expected-llama-tied.safetensors", 2e-5},
                                         Fixture{"llama-tiny.gguf", "expected-llama-tiny.safetensors", 2e-5},
                                         Fixture{"llama-sharded", "expected-llama-sharded.safetensors", 5e-2}));
