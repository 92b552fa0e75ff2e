// See ScalePairs.h.
#include "passes/Fold/ScalePairs.h"

#include "lib/Archive/OutputFile.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Archive/Sha256.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/DeclareArchive.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// The parameter behind a weight that may be scaled already.
static GetOp weightSource(Value weight) {
  while (auto scale = weight.getDefiningOp<lowbit::ScaleOp>())
    weight = scale.getInput();
  return weight.getDefiningOp<GetOp>();
}

std::string ScaleSite::name() const {
  return weightSource(const_cast<ScaleSite *>(this)->readers.front().getWeight()).getParameter().str();
}

/// Whether a projection's result goes to attention, through rotations if need be.
static bool goesToAttention(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<CacheUpdateOp, AttentionOp>(user) ||
           (isa<RotaryOp, RotateOp, SliceOp>(user) && goesToAttention(user->getResult(0)));
  });
}

SiteKind ScaleSite::kind() const {
  if (value.getDefiningOp<AttentionOp>())
    return SiteKind::AttentionOutput;
  if (isa_and_nonnull<GatedProductOp, ActivationOp>(value.getDefiningOp()))
    return SiteKind::MlpOutput;
  for (LinearOp reader : readers) {
    if (goesToAttention(reader.getResult()))
      return SiteKind::AttentionInput;
    if (llvm::any_of(reader.getResult().getUsers(), llvm::IsaPred<GatedProductOp, ActivationOp>))
      return SiteKind::MlpInput;
  }
  return SiteKind::Other;
}

/// Whether linears alone read the value, as their input.
static bool onlyLinearsRead(Value value) {
  return llvm::all_of(value.getUses(), [](OpOperand &use) {
    auto linear = dyn_cast<LinearOp>(use.getOwner());
    return isa<lowbit::ObserveOp>(use.getOwner()) ||
           (linear && linear.getInput() == use.get() && weightSource(linear.getWeight()));
  });
}

std::vector<int64_t> ScaleSite::factorsOfChannels() const {
  std::vector<int64_t> factors;
  for (int64_t channel = 0; channel < channels(); ++channel)
    factors.push_back(factorOf(channel));
  return factors;
}

std::vector<ScaleSite> qopt::findScaleSites(func::FuncOp function) {
  llvm::MapVector<Value, ScaleSite> sites;
  function.walk([&](LinearOp linear) {
    Value value = linear.getInput();
    if (!value.getDefiningOp() || !onlyLinearsRead(value))
      return;
    ScaleSite &site = sites[value];
    site.value = value;
    site.readers.push_back(linear);
    if (auto attention = value.getDefiningOp<AttentionOp>()) {
      site.dim = attention.getCache().getType().getDim();
      site.times = site.channels() / site.dim / attention.getCache().getType().getHeads();
    }
  });
  std::vector<ScaleSite> result;
  for (auto &entry : sites)
    result.push_back(std::move(entry.second));
  return result;
}

Result<std::vector<ScaleSite>> qopt::findScaleSites(func::FuncOp function, ArrayRef<SiteKind> kinds) {
  std::vector<ScaleSite> sites = findScaleSites(function);
  std::erase_if(sites, [&](const ScaleSite &site) {
    return kinds.empty() ? site.kind() == SiteKind::Other : !llvm::is_contained(kinds, site.kind());
  });
  if (sites.empty())
    return badInput("expected values that linears alone read, at the sites to scale, but found none")
        .withNext("name other sites, or start from a module that 'qopt import' wrote");
  return sites;
}

namespace {
struct WrittenArchive {
  uint64_t size;
  std::string headerDigest;
};
} // namespace

/// "SITE.suffix" for each site; a weight that stands at several gives "SITE.suffix", "SITE.suffix.2", and so on.
static std::vector<std::string> factorNames(ArrayRef<SiteScale> scales, const std::string &suffix) {
  std::vector<std::string> names;
  llvm::StringMap<int> times;
  for (const SiteScale &scale : scales) {
    std::string name = scale.site.name() + "." + suffix;
    int number = ++times[name];
    names.push_back(number == 1 ? name : name + "." + std::to_string(number));
  }
  return names;
}

static Result<WrittenArchive> writeFactors(ArrayRef<SiteScale> scales, ArrayRef<std::string> names,
                                           const ScalePairOptions &options, OutputSet *outputs) {
  std::vector<TensorDeclaration> tensors;
  for (auto [scale, name] : llvm::zip_equal(scales, names))
    tensors.push_back({name, ElementFormat::F32, {scale.site.factors()}});
  Result<SafetensorsPlan> plan = planSafetensors(tensors, SafetensorsAlignment{64, 64});
  if (!plan)
    return plan.takeError().in(options.overlay);
  uint64_t dataBytes = plan->dataBytes;
  Result<SafetensorsWriter> writer =
      SafetensorsWriter::create(options.overlay, std::move(*plan),
                                {{std::string(archiveKindKey), "scales"}, {std::string(scalesKey), options.metadata}});
  if (!writer)
    return writer.takeError();
  for (auto [scale, tensor] : llvm::zip_equal(scales, tensors))
    if (Status status = writer->append(tensor.name, std::as_bytes(std::span(scale.factor))); !status)
      return status.takeError();
  std::string header(writer->header());
  if (!outputs) {
    if (Status status = writer->commit(); !status)
      return status.takeError();
  } else {
    Result<OutputFile> file = writer->finish();
    if (!file)
      return file.takeError();
    if (Status status = outputs->add(std::move(*file)); !status)
      return status.takeError();
  }
  return WrittenArchive{header.size() + dataBytes, toString(sha256(std::as_bytes(std::span(header))))};
}

/// The pair of one site, by the factor that `name` holds.
static void insertPair(const ScaleSite &site, StringRef name, RewriterBase &rewriter) {
  Location loc = site.value.getLoc();
  auto factorType = RankedTensorType::get(site.factors(), rewriter.getF32Type());
  auto channelType = RankedTensorType::get(site.channels(), rewriter.getF32Type());
  auto factor = [&]() -> Value {
    Value read = GetOp::create(rewriter, loc, factorType, name);
    return site.times == 1 ? read
                           : lowbit::RepeatHeadsOp::create(rewriter, loc, channelType, read, site.times, site.dim);
  };
  rewriter.setInsertionPointAfterValue(site.value);
  auto scaled =
      lowbit::ScaleOp::create(rewriter, loc, site.value.getType(), site.value, factor(), /*axis=*/1, /*inverse=*/true);
  for (LinearOp reader : site.readers) {
    rewriter.setInsertionPoint(reader);
    auto type =
        RankedTensorType::get(cast<RankedTensorType>(reader.getWeight().getType()).getShape(), rewriter.getF32Type());
    Value weight = lowbit::ScaleOp::create(rewriter, reader.getLoc(), type, reader.getWeight(), factor(), /*axis=*/1,
                                           /*inverse=*/false);
    rewriter.modifyOpInPlace(reader, [&] {
      reader.getInputMutable().set(scaled);
      reader.getWeightMutable().set(weight);
    });
  }
}

Status qopt::insertScalePairs(ModuleOp module, ArrayRef<SiteScale> scales, const ScalePairOptions &options,
                              OutputSet *outputs) {
  if (scales.empty())
    return {};
  if (Status status = checkArchiveToWrite(module, options.overlay, options.directory); !status)
    return status.takeError();
  std::vector<std::string> names = factorNames(scales, options.suffix);
  for (const std::string &name : names)
    if (module.lookupSymbol(name))
      return badInput("expected a model that is not scaled by " + options.suffix + " yet, but it has @" + name)
          .withNext("start from the model as it was imported");
  Result<WrittenArchive> written = writeFactors(scales, names, options, outputs);
  if (!written)
    return written.takeError();
  StringAttr archive = declareArchive(module, "scales", pathInIR(options.overlay, options.directory), written->size,
                                      written->headerDigest);
  IRRewriter rewriter(module.getContext());
  for (auto [scale, name] : llvm::zip_equal(scales, names)) {
    auto weight = module.lookupSymbol<ParameterOp>(scale.site.name());
    rewriter.setInsertionPoint(weight);
    auto type = RankedTensorType::get(scale.site.factors(), rewriter.getF32Type());
    ParameterOp::create(rewriter, scale.site.value.getLoc(), name, type,
                        EntryAttr::get(module.getContext(), FlatSymbolRefAttr::get(archive),
                                       rewriter.getStringAttr(name), Encoding::F32));
    insertPair(scale.site, name, rewriter);
  }
  return {};
}
