// The evaluator as a library: what kernels' tests call. The ops are tested by tests/lib/Reference.
#include "lib/Reference/Evaluator.h"
#include "lib/Reference/RandomParameters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace qopt::reference;

namespace {

class EvaluatorTest : public testing::Test {
protected:
  EvaluatorTest() {
    context.loadDialect<arith::ArithDialect, func::FuncDialect, qopt::transformer::TransformerDialect>();
  }

  func::FuncOp parse(StringRef text) {
    module = parseSourceString<ModuleOp>(text, &context);
    return module ? *module->getOps<func::FuncOp>().begin() : func::FuncOp();
  }

  TensorRef floats(ArrayRef<int64_t> shape, std::vector<float> values) {
    return std::make_shared<const Tensor>(
        Tensor{RankedTensorType::get(shape, Float32Type::get(&context)), std::move(values), {}});
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

constexpr StringRef residual = R"mlir(
func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = transformer.get @w : tensor<2xf32>
  %0 = transformer.residual %x, %x : tensor<?x2xf32>
  %1 = transformer.rms_norm %0, %w epsilon 0.0 : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}
transformer.parameter @w : tensor<2xf32>
)mlir";

TEST_F(EvaluatorTest, callsTheSourceAndTheObserver) {
  func::FuncOp function = parse(residual);
  ASSERT_TRUE(function);
  int asked = 0;
  Evaluator evaluator(*module, [&](qopt::transformer::ParameterOp parameter) -> FailureOr<TensorRef> {
    ++asked;
    EXPECT_EQ(parameter.getSymName(), "w");
    return floats({2}, {1, 10});
  });
  std::vector<std::string> seen;
  evaluator.observer = [&](Operation *op, ArrayRef<HostValue> results) {
    EXPECT_EQ(results.size(), 1u);
    seen.push_back(op->getName().getStringRef().str());
  };
  auto results = evaluator.call(function, {floats({1, 2}, {3, -3})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_EQ(std::get<TensorRef>(results->front())->floats, (std::vector<float>{1, -10}));
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(seen, (std::vector<std::string>{"transformer.get", "transformer.residual", "transformer.rms_norm"}));
}

TEST_F(EvaluatorTest, refusesArgumentsOfAnotherType) {
  func::FuncOp function = parse(residual);
  ASSERT_TRUE(function);
  Evaluator evaluator(*module, randomParameters(0, false));
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  EXPECT_TRUE(failed(evaluator.call(function, {})));
  EXPECT_EQ(message, "expected 1 arguments, but got 0");
  EXPECT_TRUE(failed(evaluator.call(function, {floats({1, 3}, {1, 2, 3})})));
  EXPECT_EQ(message, "expected argument 0 to be 'tensor<?x2xf32>', but got 'tensor<1x3xf32>'");
  EXPECT_TRUE(failed(evaluator.call(function, {floats({2, 2}, {1, 2, 3})})));
  EXPECT_EQ(message, "expected argument 0 to have 4 elements, but got 3");
  EXPECT_TRUE(failed(evaluator.call(function, {int64_t{3}})));
  EXPECT_EQ(message, "expected argument 0 to be 'tensor<?x2xf32>', but got 'index'");
}

TEST_F(EvaluatorTest, refusesWhatTheSourceGivesInAnotherType) {
  func::FuncOp function = parse(residual);
  ASSERT_TRUE(function);
  Evaluator evaluator(*module,
                      [&](qopt::transformer::ParameterOp) -> FailureOr<TensorRef> { return floats({3}, {1, 2, 3}); });
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  EXPECT_TRUE(failed(evaluator.call(function, {floats({1, 2}, {3, -3})})));
  EXPECT_EQ(message, "expected the parameter to be 'tensor<2xf32>', but got 'tensor<3xf32>'");
}

// A cache is a value: writing to it makes another one.
TEST_F(EvaluatorTest, cachesAreValues) {
  auto type = qopt::transformer::CacheType::get(&context, 2, 1, 2, Float32Type::get(&context));
  Cache empty(type, 4);
  std::vector<std::pair<Cache::Place, Cache::Row>> rows;
  rows.push_back({{7, 3}, {{1, 2}, {3, 4}}});
  Cache one = empty.with(1, rows);
  EXPECT_EQ(empty.size(1), 0u);
  EXPECT_EQ(one.size(0), 0u);
  ASSERT_NE(one.find(1, {7, 3}), nullptr);
  EXPECT_EQ(one.find(1, {7, 3})->value, (std::vector<float>{3, 4}));
  EXPECT_EQ(one.find(1, {7, 2}), nullptr);
  rows[0].second.value = {5, 6};
  Cache two = one.with(1, rows);
  EXPECT_EQ(two.find(1, {7, 3})->value, (std::vector<float>{5, 6}));
  EXPECT_EQ(one.find(1, {7, 3})->value, (std::vector<float>{3, 4}));
}

TEST_F(EvaluatorTest, madeUpNumbersDependOnNameSeedAndIndexOnly) {
  auto f32 = Float32Type::get(&context);
  auto vector = RankedTensorType::get({64}, f32);
  Tensor tensor = randomTensor("w", vector, 1);
  EXPECT_EQ(tensor.floats, randomTensor("w", vector, 1).floats);
  EXPECT_NE(tensor.floats, randomTensor("w", vector, 2).floats);
  EXPECT_NE(tensor.floats, randomTensor("v", vector, 1).floats);
  for (float value : tensor.floats) {
    EXPECT_GE(value, 0.5f);
    EXPECT_LE(value, 1.5f);
  }
  // A matrix: mean 0 and variance 1 / inputs, within what 4096 draws allow.
  Tensor matrix = randomTensor("m", RankedTensorType::get({64, 64}, f32), 1);
  double sum = 0, squares = 0;
  for (float value : matrix.floats) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 4096, 0.0, 0.01);
  EXPECT_NEAR(squares / 4096, 1.0 / 64, 0.001);
  for (int32_t code : randomTensor("c", RankedTensorType::get({999}, IntegerType::get(&context, 4)), 1).integers) {
    EXPECT_GE(code, 0);
    EXPECT_LE(code, 15);
  }
}

} // namespace
