//===-- ArtifactReader.cpp - Opening an artifact
//-----------------------------------------------------------------------===//
//
// Archive has checked the safetensors file as such: a header that parses, ranges inside of the file without holes and
// overlaps. Here follows what makes it an artifact. The manifest is parsed before its digest can be compared (the
// digests are found through the header), which is why it is parsed as input that nobody vouches for.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/ArtifactReader.h"

#include "lib/Archive/Checksum.h"
#include "lib/Artifact/Integrity.h"

#include <algorithm>
#include <string>

namespace qopt {

static constexpr std::string_view kTruncatedOrDamaged = "copy or compile the file again: its contents were damaged";

Result<std::shared_ptr<const ArtifactReader>> ArtifactReader::open(const std::string &path) {
  Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
  if (!archive)
    return archive.takeError();
  std::shared_ptr<ArtifactReader> reader(new ArtifactReader(std::move(*archive)));
  if (Status status = reader->read(); !status)
    return status.takeError().in(escapeForMessage(path, 1000)).withNext(std::string(kTruncatedOrDamaged));
  return std::shared_ptr<const ArtifactReader>(std::move(reader));
}

Status ArtifactReader::read() {
  if (archive->kind() != ArchiveKind::Safetensors || !archive->metadata("qopt.manifest"))
    return badInput("expected a model that qopt compiled, but this file has no qopt.manifest")
        .withNext("compile it first: qopt build FILE --scheme w4a8 -o model.qopt");
  if (Status status = readManifest(); !status)
    return status;
  return readTensors();
}

Status ArtifactReader::readManifest() {
  Result<Manifest> manifest = Manifest::parse(*archive->metadata("qopt.manifest"));
  if (!manifest)
    return manifest.takeError();
  contents = std::move(*manifest);
  return {};
}

/// Walks the tensors in the order of their data: weights, code, tokenizer, integrity, with padding in between.
Status ArtifactReader::readTensors() {
  enum Stage { Weights, Code, Integrity, End }; // what comes next
  Stage stage = Weights;
  dataStart = archive->headerSize();
  if (dataStart % kArtifactDataAlignment != 0)
    return badInput("expected the data section at a multiple of " + std::to_string(kArtifactDataAlignment) +
                    ", but got byte " + std::to_string(dataStart));
  uint64_t weightsEnd = dataStart;
  std::span<const std::byte> integrity;
  for (const TensorEntry &tensor : tensors()) {
    std::string place = "tensor " + escapeForMessage(tensor.name, 80);
    if (tensor.format != ElementFormat::U8 || tensor.shape.size() != 1)
      return badInput("expected bytes (U8, one axis), but got " + describe(tensor), place);
    std::span<const std::byte> bytes = archive->bytes(tensor);
    if (tensor.name.starts_with("padding.")) {
      if (stage == End || bytes.size() >= kArtifactDataAlignment)
        return badInput("expected padding before the last tensor and of less than a page", place);
      if (std::any_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte != std::byte(0); }))
        return badInput("expected padding of zeros only", place).withNext(std::string(kTruncatedOrDamaged));
      continue;
    }
    if ((tensor.offset - dataStart) % kArtifactAlignment != 0)
      return badInput("expected an offset that is a multiple of " + std::to_string(kArtifactAlignment) + ", but got " +
                          std::to_string(tensor.offset - dataStart),
                      place);
    if (stage == Weights && tensor.name.starts_with("weights.")) {
      weightsEnd = tensor.offset + tensor.bytes;
    } else if (stage <= Code && tensor.name == "code." + std::to_string(codeObjects.size())) {
      stage = Code;
      codeObjects.push_back(bytes);
    } else if (stage == Code && tensor.name == "tokenizer") {
      stage = Integrity;
      tokenizerBytes = bytes;
    } else if (stage == Integrity && tensor.name == "integrity") {
      stage = End;
      integrity = bytes;
    } else {
      return badInput("expected weights.*, then code.*, tokenizer and integrity, but got another name here", place);
    }
  }
  if (stage != End || codeObjects.size() != contents.targets.size())
    return badInput("expected code for each of " + std::to_string(contents.targets.size()) +
                    " targets, a tokenizer and an integrity table, but the last tensors are missing or surplus");
  weightBytes = fileBytes().subspan(dataStart, weightsEnd - dataStart);
  if (weightBytes.size() != static_cast<uint64_t>(contents.weightBytes))
    return badInput("expected weights of " + std::to_string(contents.weightBytes) + " bytes, but got " +
                        std::to_string(weightBytes.size()),
                    "qopt.manifest: weights.bytes");
  return checkIntegrity(integrity);
}

Status ArtifactReader::checkIntegrity(std::span<const std::byte> integrity) {
  Result<IntegrityTable> table =
      IntegrityTable::decode(integrity, codeObjects.size() + 1, checksumCount(weightBytes.size()));
  if (!table)
    return table.takeError().withNext(std::string(kTruncatedOrDamaged));
  auto damaged = [](const std::string &where) -> Error {
    return badInput("expected contents that match their SHA-256, but they are damaged", where)
        .withNext(std::string(kTruncatedOrDamaged));
  };
  if (sha256(fileBytes().first(dataStart)) != table->header)
    return damaged("header");
  for (size_t i = 0; i < codeObjects.size(); ++i)
    if (sha256(codeObjects[i]) != table->sections[i])
      return damaged("tensor code." + std::to_string(i));
  if (sha256(tokenizerBytes) != table->sections.back())
    return damaged("tensor tokenizer");
  checksums = std::move(table->checksums);
  return {};
}

std::optional<std::string_view> ArtifactReader::text(std::string_view key) const {
  if (key == "tokenizer")
    return std::string_view(reinterpret_cast<const char *>(tokenizerBytes.data()), tokenizerBytes.size());
  if (key != "qopt.manifest" && key != "qopt.ledger" && key != "qopt.generation")
    return std::nullopt;
  return archive->metadata(key).value_or(std::string_view(""));
}

std::span<const std::byte> ArtifactReader::fileBytes() const {
  return archive->bytes(TensorEntry{"", ElementFormat::U8, {}, 0, archive->fileSize()});
}

std::span<const std::byte> ArtifactReader::weightPiece(uint64_t piece) const {
  uint64_t start = piece * checksumChunkBytes;
  return weightBytes.subspan(start, std::min<uint64_t>(checksumChunkBytes, weightBytes.size() - start));
}

bool ArtifactReader::pieceMatches(uint64_t piece, std::span<const std::byte> bytes) const {
  return checksum(bytes) == checksums[piece];
}

Error ArtifactReader::damagedPiece(uint64_t piece) const {
  uint64_t start = dataStart + piece * checksumChunkBytes, end = start + weightPiece(piece).size();
  std::string names;
  for (const TensorEntry &tensor : tensors())
    if (tensor.name.starts_with("weights.") && tensor.offset < end && tensor.offset + tensor.bytes > start) {
      if (names.size() > 200) {
        names += ", …";
        break;
      }
      names += (names.empty() ? "" : ", ") + escapeForMessage(tensor.name, 80);
    }
  return badInput("expected weights that match their checksum, but they are damaged",
                  escapeForMessage(path(), 1000) + ": bytes " + std::to_string(start) + " to " + std::to_string(end) +
                      " (" + names + ")")
      .withNext(std::string(kTruncatedOrDamaged));
}

Status ArtifactReader::verifyWeights() const {
  for (uint64_t piece = 0; piece < weightPieces(); ++piece)
    if (!pieceMatches(piece, weightPiece(piece)))
      return damagedPiece(piece);
  return {};
}

} // namespace qopt
