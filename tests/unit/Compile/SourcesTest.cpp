// What is taken from a model's files into its artifact, and what an artifact cannot hold.
#include "lib/Compile/Sources.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Artifact/Manifest.h"
#include "lib/Parameters/Ledger.h"
#include "lib/Parameters/OverlayWriter.h"

#include "mlir/Parser/Parser.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace qopt;

namespace {
/// A folder with the files of a module.
class Sources : public testing::Test {
protected:
  Sources() {
    context.loadDialect<transformer::TransformerDialect>();
    folder = testing::TempDir() + "/qopt-sources-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder + "/nothing");
  }
  ~Sources() override { std::filesystem::remove_all(folder); }

  /// Describes a module with an overlay that says `provenance`.
  Status describeOverlay(const std::string &provenance) {
    std::string path = folder + "/overlay.safetensors";
    auto plan = planSafetensors({{"codes", ElementFormat::U8, {4}}});
    auto writer = SafetensorsWriter::create(
        path, *plan, {{std::string(ledgerKey), Ledger().toJson()}, {std::string(provenanceKey), provenance}});
    EXPECT_TRUE(writer->append("codes", std::vector<std::byte>(4)));
    EXPECT_TRUE(writer->commit());
    auto archive = Archive::open(path);
    return describe("transformer.archive @overlay \"overlay.safetensors\" size " +
                    std::to_string((*archive)->fileSize()) + " header \"" + (*archive)->headerDigest() + "\"");
  }
  Status describe(const std::string &text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    return describeSources(*module, folder, options);
  }

  mlir::MLIRContext context;
  CompileOptions options;
  std::string folder;
};
} // namespace

static std::string nested(int levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST_F(Sources, ProvenanceFitsIntoAManifest) {
  Status taken = describeOverlay(nested(29));
  ASSERT_TRUE(taken) << taken.error().format();
  EXPECT_EQ(options.provenance["quantization"].size(), 1u);
  Manifest manifest;
  manifest.provenance = options.provenance;
  auto text = parseJson(manifest.toJson().dump(), kManifestLimits);
  EXPECT_TRUE(text) << text.error().format();

  Status refused = describeOverlay(nested(30));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().rule.find("nested deeper than 29"), std::string::npos) << refused.error().format();
  EXPECT_NE(refused.error().where.find("overlay.safetensors: qopt.provenance"), std::string::npos)
      << refused.error().where;
}

TEST_F(Sources, ATokenizerThatIsGoneIsRefused) {
  // Not even where the IR says that there was none.
  for (const char *digest : {"sha256:00", "none"}) {
    Status refused = describe("transformer.tokenizer @tokenizer \"nothing\" digest \"" + std::string(digest) + "\"");
    ASSERT_FALSE(refused) << digest;
    EXPECT_TRUE(refused.error().rule.starts_with("expected the tokenizer that was imported")) << refused.error().rule;
  }
}
