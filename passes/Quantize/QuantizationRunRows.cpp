// How a quantization makes the codes of a weight: in chunks of rows, on several threads, written to the overlay; or
// taken from what an earlier process has finished.
#include "lib/Numerics/CodePacking.h"
#include "lib/Parameters/ParallelRows.h"
#include "passes/Quantize/QuantizationRun.h"
#include "passes/Quantize/QuantizedTypes.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// What rounding has cost, summed in a fixed order.
struct ErrorSums {
  double squaredError = 0, squaredWeight = 0, worst = 0;
};
} // namespace

/// Adds what w became; all f32 but the sums.
static void addErrors(std::span<const float> weights, std::span<const float> rounded, ErrorSums &sums) {
  for (size_t i = 0; i < weights.size(); ++i) {
    double error = static_cast<double>(weights[i]) - static_cast<double>(rounded[i]);
    sums.squaredError += error * error;
    sums.squaredWeight += static_cast<double>(weights[i]) * weights[i];
    sums.worst = std::max(sums.worst, std::abs(error));
  }
  if (std::isnan(sums.squaredError)) // which the maximum has passed over
    sums.worst = std::numeric_limits<double>::infinity();
}

namespace {
/// Results of a weight that stay in memory: canonical tensors under the names of their parameters.
struct KeptTensors {
  explicit KeptTensors(const QuantizedTypes &types)
      : codes(OwnedTensor::allocate(types.codes)), scales(OwnedTensor::allocate(types.scales)) {
    if (types.zeros)
      zeros = OwnedTensor::allocate(types.zeros);
  }
  OwnedTensor codes, scales;
  std::optional<OwnedTensor> zeros;
};
} // namespace

/// The kind of a finished weight in a folder to resume from.
static constexpr std::string_view kFinishedWeight = "weight";

/// Quantizes rows [first, first + count) of a weight, writes them, and puts them where `kept` has room.
static Status quantizeRows(const WeightScheme &scheme, const std::string &name, int64_t first, int64_t count,
                           const FloatRows &source, const RowQuantizer &quantizer, OverlayWriter &overlay,
                           KeptTensors *kept, ErrorSums &sums) {
  int64_t cols = source.cols(), groups = scheme.groupsPerRow(cols);
  std::vector<float> weights(count * cols);
  source.read(first, count, weights);
  size_t scaleBytes = groups * info(scheme.scale).blockBytes;
  OwnedQuantizedRows owned(scheme, count, cols);
  auto &[codes, scales, zeros] = owned;
  QuantizedRows rows = owned;
  if (Status status = quantizer(first, count, weights, rows); !status)
    return status;
  std::vector<float> rounded(count * cols);
  if (Status status = dequantizeRows(scheme, count, cols, rows, rounded); !status)
    return status;
  addErrors(weights, rounded, sums);
  if (kept) {
    std::memcpy(kept->codes.bytes.data() + first * cols, codes.data(), codes.size());
    std::memcpy(kept->scales.bytes.data() + first * scaleBytes, scales.data(), scales.size());
    if (kept->zeros)
      std::memcpy(kept->zeros->bytes.data() + first * groups, zeros.data(), zeros.size());
  }

  size_t codeBytes = *packedCodeBytes(scheme.bits, cols);
  std::vector<std::byte> packed(count * codeBytes);
  if (Status status = packCodes(scheme.bits, codes, packed); !status)
    return status;
  if (Status status = overlay.write(name + ".codes", first * codeBytes, packed); !status)
    return status;
  if (Status status = overlay.write(name + ".scales", first * scaleBytes, scales); !status)
    return status;
  return scheme.symmetric ? Status() : overlay.write(name + ".zeros", first * groups, std::as_bytes(std::span(zeros)));
}

namespace {
/// A tensor of a finished weight, as overlay and resume folder have it.
struct NamedBytes {
  std::string name;
  std::span<std::byte> bytes;
};
} // namespace

/// `packed`: room for the codes.
static SmallVector<NamedBytes, 3> namedBytes(KeptTensors &kept, std::vector<std::byte> &packed) {
  SmallVector<NamedBytes, 3> tensors{{"codes", packed}, {"scales", kept.scales.bytes}};
  if (kept.zeros)
    tensors.push_back({"zeros", kept.zeros->bytes});
  return tensors;
}

static void provideKept(ParameterEvaluator &evaluator, const std::string &name, const KeptTensors &kept) {
  evaluator.provide(name + ".codes", kept.codes.tensor);
  evaluator.provide(name + ".scales", kept.scales.tensor);
  if (kept.zeros)
    evaluator.provide(name + ".zeros", kept.zeros->tensor);
}

bool QuantizationRun::isFinished(const QuantizationTarget &target) const {
  ParameterOp parameter = target.parameter;
  return options.resume && options.resume->contains(kFinishedWeight, parameter.getSymName());
}

Status QuantizationRun::takeFinished(QuantizationTarget &target, bool keep) {
  std::string name = target.parameter.getSymName().str();
  Result<ResumeFolder::Piece> piece = options.resume->read(kFinishedWeight, name);
  if (!piece)
    return piece.takeError();
  Result<Ledger> ledger = Ledger::parse(piece->text);
  if (!ledger || ledger->rows.size() != 1 || ledger->rows[0].name != name)
    return piece->damaged("expected a row of the ledger for " + escapeForMessage(name));
  KeptTensors kept(QuantizedTypes::of(target));
  std::vector<std::byte> packed(*packedCodeBytes(target.scheme.weights.bits, kept.codes.tensor.elements()));
  for (const NamedBytes &tensor : namedBytes(kept, packed)) {
    const TensorEntry *entry = piece->archive->find(tensor.name);
    if (!entry || entry->bytes != tensor.bytes.size())
      return piece->damaged("expected " + std::to_string(tensor.bytes.size()) + " bytes of " + tensor.name);
    std::ranges::copy(piece->archive->bytes(*entry), tensor.bytes.begin());
    if (Status status = writer->write(name + "." + tensor.name, 0, tensor.bytes); !status)
      return status;
  }
  row(target) = ledger->rows[0];
  if (!keep)
    return {};
  if (Status status = unpackCodes(target.scheme.weights.bits, packed, kept.codes.as<uint8_t>()); !status)
    return status;
  provideKept(*evaluator, name, kept);
  return {};
}

Status QuantizationRun::quantize(QuantizationTarget &target, const RowQuantizer &quantizer, const How &how) {
  std::string name = target.parameter.getSymName().str();
  Result<FloatRows> weight = evaluator->openRows(target.parameter);
  if (!weight)
    return weight.takeError();
  std::optional<KeptTensors> kept;
  if (how.keep || options.resume)
    kept.emplace(QuantizedTypes::of(target));
  int64_t chunkRows = how.chunkRows != 0 ? how.chunkRows : rowsPerChunk(weight->cols() * 4);
  std::vector<ErrorSums> sums((weight->rows() + chunkRows - 1) / chunkRows);
  Status status =
      parallelRows(module.getContext(), weight->rows(), chunkRows, [&](int64_t chunk, int64_t first, int64_t end) {
        return quantizeRows(target.scheme.weights, name, first, end - first, *weight, quantizer, *writer,
                            kept ? &*kept : nullptr, sums[chunk]);
      });
  evaluator->drop(target.parameter);
  if (!status)
    return status.takeError().in("parameter @" + name);
  ErrorSums total;
  for (const ErrorSums &part : sums) {
    total.squaredError += part.squaredError;
    total.squaredWeight += part.squaredWeight;
    total.worst = std::max(total.worst, part.worst);
  }
  LedgerRow &row = this->row(target);
  if (total.squaredWeight > 0) {
    row.relativeError = total.squaredError / total.squaredWeight;
    row.worstError = total.worst / std::sqrt(total.squaredWeight / static_cast<double>(row.elements));
  }
  if (how.complete)
    how.complete(row);
  if (how.keep)
    provideKept(*evaluator, name, *kept);
  if (!options.resume)
    return {};
  std::vector<std::byte> packed(*packedCodeBytes(target.scheme.weights.bits, kept->codes.tensor.elements()));
  if (Status packing = packCodes(target.scheme.weights.bits, kept->codes.as<uint8_t>(), packed); !packing)
    return packing;
  SmallVector<ResumeFolder::Part, 3> parts;
  for (const NamedBytes &tensor : namedBytes(*kept, packed))
    parts.push_back({{tensor.name, ElementFormat::U8, {static_cast<int64_t>(tensor.bytes.size())}}, tensor.bytes});
  return options.resume->write(kFinishedWeight, name, parts, Ledger{{}, {row}}.toJson());
}

Status QuantizationRun::quantize(QuantizationTarget &target, const RowQuantizer &quantizer) {
  return quantize(target, quantizer, How());
}
