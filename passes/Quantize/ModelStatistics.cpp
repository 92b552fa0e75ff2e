#include "passes/Quantize/ModelStatistics.h"

#include "passes/Calibrate/ModelDigest.h"

using namespace mlir;
using namespace qopt;

Result<StatisticsArchive> qopt::openStatistics(ModuleOp module, const std::string &path) {
  if (path.empty())
    return usageError("expected statistics")
        .withNext("make them with 'qopt calibrate MODEL --text FILE -o stats.safetensors'");
  Result<StatisticsArchive> archive = StatisticsArchive::open(path);
  if (!archive)
    return archive;
  std::string wanted = modelDigest(module), got = archive->header().key.value("model", "");
  if (wanted != got)
    return badInput("expected statistics of this model, " + wanted + ", but got those of " + escapeForMessage(got),
                    escapeForMessage(path, 1000))
        .withNext("calibrate this model, or quantize the one that was calibrated");
  return archive;
}

Result<const Site *> qopt::gramSiteOf(const StatisticsArchive &archive, transformer::ParameterOp weight) {
  const Site *site = archive.siteOf(weight.getSymName());
  if (!site || !site->wanted.gram)
    return badInput("expected statistics with a Gram matrix for every linear to quantize, but found none",
                    "parameter @" + weight.getSymName().str())
        .withNext("calibrate without --match and --no-gram, or keep this weight by a rule");
  return site;
}
