//===-- ArtifactWriter.cpp - Laying out and streaming an artifact
//------------------------------------------------------===//
//
// Everything that the header says is known before the first weight: sizes are declared, and what depends on contents
// (digests, checksums) has a tensor of its own whose size follows from the others. So a file is written front to back,
// and a pipe will do.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/ArtifactWriter.h"

#include "lib/Archive/Json.h"
#include "lib/Artifact/Integrity.h"

#include <algorithm>
#include <utility>

namespace qopt {

static Error misuse(std::string rule) { return Error{ErrorClass::Bug, std::move(rule), "artifact writer", {}, {}}; }

static TensorDeclaration bytesTensor(std::string name, uint64_t bytes) {
  return {std::move(name), ElementFormat::U8, {static_cast<int64_t>(bytes)}};
}

static Result<SafetensorsPlan> planWeights(std::span<const ArtifactWeight> weights,
                                           std::vector<TensorDeclaration> after = {}) {
  std::vector<TensorDeclaration> tensors;
  for (const ArtifactWeight &weight : weights) {
    if (weight.bytes > static_cast<uint64_t>(INT64_MAX))
      return badInput("expected a weight of less than 2^63 bytes", "weights." + escapeForMessage(weight.name));
    tensors.push_back(bytesTensor("weights." + weight.name, weight.bytes));
  }
  std::move(after.begin(), after.end(), std::back_inserter(tensors));
  return planSafetensors(std::move(tensors), {.data = kArtifactDataAlignment, .tensor = kArtifactAlignment});
}

Result<std::vector<uint64_t>> artifactWeightOffsets(std::span<const ArtifactWeight> weights) {
  Result<SafetensorsPlan> plan = planWeights(weights);
  if (!plan)
    return plan.takeError();
  std::vector<uint64_t> offsets;
  for (const TensorEntry &tensor : plan->tensors)
    if (tensor.name.starts_with("weights."))
      offsets.push_back(tensor.offset);
  return offsets;
}

/// The end of the last weight, from the start of the data section.
static uint64_t weightsEnd(const SafetensorsPlan &plan) {
  uint64_t end = 0;
  for (const TensorEntry &tensor : plan.tensors)
    if (tensor.name.starts_with("weights."))
      end = tensor.offset + tensor.bytes;
  return end;
}

static Status checkJson(std::string_view text, const char *what) {
  if (Result<nlohmann::ordered_json> json = parseJson(text); !json)
    return json.takeError().in(what);
  return {};
}

Result<std::unique_ptr<ArtifactWriter>> ArtifactWriter::create(const std::string &path,
                                                               const ArtifactDescription &description) {
  Manifest manifest = description.manifest;
  if (manifest.targets.size() != description.code.size())
    return misuse("expected code for each of " + std::to_string(manifest.targets.size()) + " targets, but got " +
                  std::to_string(description.code.size()));
  std::vector<TensorDeclaration> after;
  for (size_t i = 0; i < description.code.size(); ++i) {
    manifest.targets[i].tensor = "code." + std::to_string(i);
    after.push_back(bytesTensor(manifest.targets[i].tensor, description.code[i].size()));
  }
  after.push_back(bytesTensor("tokenizer", description.tokenizer.size()));
  Result<SafetensorsPlan> onlyWeights = planWeights(description.weights);
  if (!onlyWeights)
    return onlyWeights.takeError();
  manifest.weightBytes = static_cast<int64_t>(weightsEnd(*onlyWeights));
  after.push_back(bytesTensor(
      "integrity", IntegrityTable::encodedBytes(description.code.size() + 1, checksumCount(weightsEnd(*onlyWeights)))));
  Result<SafetensorsPlan> plan = planWeights(description.weights, std::move(after));
  if (!plan)
    return plan.takeError();

  // Invalid UTF-8 in a name becomes U+FFFD here rather than an exception.
  std::string manifestText = manifest.toJson().dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (Result<Manifest> readBack = Manifest::parse(manifestText); !readBack)
    return readBack.takeError();
  for (auto [text, what] : {std::pair<std::string_view, const char *>(description.ledger, "qopt.ledger"),
                            {description.generation, "qopt.generation"},
                            {description.tokenizer, "tokenizer"}})
    if (Status status = checkJson(text, what); !status)
      return status.takeError();
  StringMetadata metadata = {{"qopt.manifest", std::move(manifestText)},
                             {"qopt.generation", description.generation},
                             {"qopt.ledger", description.ledger}};
  Result<SafetensorsWriter> file = SafetensorsWriter::create(path, std::move(*plan), metadata);
  if (!file)
    return file.takeError();
  std::unique_ptr<ArtifactWriter> writer(new ArtifactWriter(std::move(*file), description.weights));
  writer->code = description.code;
  writer->tokenizer = description.tokenizer;
  return writer;
}

Status ArtifactWriter::append(std::span<const std::byte> bytes) {
  while (true) {
    while (weight < weights.size() && written == weights[weight].bytes) {
      ++weight;
      written = 0;
    }
    if (bytes.empty())
      return {};
    if (weight == weights.size())
      return misuse("expected no more weights, but got " + std::to_string(bytes.size()) + " bytes");
    std::string name = "weights." + weights[weight].name;
    if (written == 0) { // the padding before it is part of the region that is summed
      std::vector<std::byte> padding(file.plan().find(name)->offset - dataPosition);
      sums.update(padding);
      dataPosition += padding.size();
    }
    std::span<const std::byte> part = bytes.first(std::min<uint64_t>(bytes.size(), weights[weight].bytes - written));
    if (Status status = file.append(name, part); !status)
      return status;
    sums.update(part);
    written += part.size();
    dataPosition += part.size();
    bytes = bytes.subspan(part.size());
  }
}

Status ArtifactWriter::finish() {
  if (Status status = append({}); !status) // past weights without bytes
    return status;
  if (weight != weights.size())
    return misuse("expected all weights before the end, but weights." + weights[weight].name + " has " +
                  std::to_string(written) + " of " + std::to_string(weights[weight].bytes) + " bytes");
  // Weights without bytes at the end may have padding before them.
  std::vector<std::byte> padding(weightsEnd(file.plan()) - dataPosition);
  sums.update(padding);
  return appendTail();
}

Status ArtifactWriter::appendTail() {
  IntegrityTable table;
  table.header = sha256(std::as_bytes(std::span(file.header())));
  for (size_t i = 0; i < code.size(); ++i) {
    table.sections.push_back(sha256(code[i]));
    if (Status status = file.append("code." + std::to_string(i), code[i]); !status)
      return status;
  }
  std::span<const std::byte> text = std::as_bytes(std::span(tokenizer));
  table.sections.push_back(sha256(text));
  if (Status status = file.append("tokenizer", text); !status)
    return status;
  table.checksums = sums.finish();
  if (Status status = file.append("integrity", table.encode()); !status)
    return status;
  return file.commit();
}

} // namespace qopt
