// expected-logits: a model's logits against those that Hugging Face transformers gave.
//
// Usage: expected-logits EXPECTED.safetensors MODEL.mlir|MODEL.qopt TOLERANCE
//
// EXPECTED is a file of tools/dev/transformers_logits.py, which says what is in it. IR is run by the reference
// evaluator. Every logit in the file and every logarithm of a sum of exponentials may differ by at most TOLERANCE, and
// the most likely token must be the same wherever its lead exceeds twice that. Exit code 4 otherwise.
#include "lib/Archive/Archive.h"
#include "tests/model/Logits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

using namespace qopt;

namespace {
/// What was compared, over all texts.
struct Comparison {
  double worst = 0;
  size_t values = 0, positions = 0, clear = 0, same = 0;

  void add(double wanted, double got) {
    double distance = std::fabs(wanted - got);
    worst = std::isnan(distance) ? INFINITY : std::max(worst, distance);
    ++values;
  }
};

/// Reads tensors of 4-byte elements; the first error is kept, and what cannot be read is empty.
class TensorReader {
public:
  explicit TensorReader(const Archive &archive) : archive(archive) {}

  /// An extent of −1 may be any.
  template <typename T> std::vector<T> read(const std::string &name, std::vector<int64_t> shape) {
    const TensorEntry *entry = archive.find(name);
    bool fits = entry && entry->shape.size() == shape.size() && entry->bytes == entry->elements() * sizeof(T);
    for (size_t axis = 0; fits && axis < shape.size(); ++axis)
      fits = shape[axis] == -1 || shape[axis] == entry->shape[axis];
    if (!fits) {
      failure = badInput("expected a tensor \"" + name + "\", of another shape or type", archive.path());
      return {};
    }
    std::span<const std::byte> bytes = archive.bytes(*entry);
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  std::optional<Error> failure;

private:
  const Archive &archive;
};
} // namespace

static double logSumExp(const float *row, size_t width) {
  double largest = *std::max_element(row, row + width), sum = 0;
  for (size_t i = 0; i < width; ++i)
    sum += std::exp(row[i] - largest);
  return largest + std::log(sum);
}

/// Compares one text, whose tensors' names begin with `text`.
static Status compareText(const Archive &expected, const std::string &text, const std::string &model, double tolerance,
                          Comparison &total) {
  TensorReader reader(expected);
  auto sums = reader.read<float>(text + ".logsumexp", {-1});
  auto positions = static_cast<int64_t>(sums.size());
  auto ids = reader.read<int32_t>(text + ".ids", {-1});
  auto topIds = reader.read<int32_t>(text + ".top.ids", {positions, -1});
  auto topLogits = reader.read<float>(text + ".top", {positions, -1});
  auto sampleIds = reader.read<int32_t>("sample", {-1});
  auto sampleLogits = reader.read<float>(text + ".sample", {positions, static_cast<int64_t>(sampleIds.size())});
  if (reader.failure)
    return std::move(*reader.failure);
  if (positions == 0 || ids.size() < sums.size() || topIds.size() != topLogits.size() ||
      topIds.size() < 2 * sums.size())
    return badInput("expected positions, an id for each and two leaders or more", expected.path());
  size_t best = topIds.size() / positions, columns = sampleIds.size();
  ids.resize(positions);
  bool isIr = model.ends_with(".mlir");
  Result<std::vector<float>> logits = isIr ? referenceLogits(model, ids) : compiledLogits(model, ids);
  if (!logits)
    return logits.takeError();
  size_t width = logits->size() / positions;
  Comparison here;
  for (int64_t position = 0; position < positions; ++position) {
    const float *row = logits->data() + position * width;
    for (size_t i = 0; i < best; ++i)
      here.add(topLogits[position * best + i], row[topIds[position * best + i]]);
    for (size_t i = 0; i < columns; ++i)
      here.add(sampleLogits[position * columns + i], row[sampleIds[i]]);
    here.add(sums[position], logSumExp(row, width));
    ++here.positions;
    const float *leaders = topLogits.data() + position * best;
    if (leaders[0] - leaders[1] <= 2 * tolerance)
      continue;
    ++here.clear;
    here.same += leaderOf(row, width).column == static_cast<size_t>(topIds[position * best]);
  }
  std::printf("%s: greatest difference %.3g\n", text.c_str(), here.worst);
  total.worst = std::max(total.worst, here.worst);
  total.values += here.values;
  total.positions += here.positions;
  total.clear += here.clear;
  total.same += here.same;
  return {};
}

static int report(const Error &error) {
  std::fputs(error.format().c_str(), stderr);
  return static_cast<int>(error.errorClass);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: expected-logits EXPECTED.safetensors MODEL.mlir|MODEL.qopt TOLERANCE\n");
    return 1;
  }
  double tolerance = std::atof(argv[3]);
  auto expected = Archive::open(argv[1]);
  if (!expected)
    return report(expected.error());
  Comparison total;
  for (const TensorEntry &entry : (*expected)->tensors()) {
    std::string text = entry.name;
    if (!text.ends_with(".logsumexp"))
      continue;
    text.resize(text.size() - std::strlen(".logsumexp"));
    if (Status status = compareText(**expected, text, argv[2], tolerance, total); !status)
      return report(status.error());
  }
  std::printf("greatest difference %.3g of %zu logits, allowed %.3g; most likely token equal at %zu of %zu clear "
              "positions, %zu in all\n",
              total.worst, total.values, tolerance, total.same, total.clear, total.positions);
  return total.positions > 0 && total.worst <= tolerance && total.same == total.clear ? 0 : 4;
}
