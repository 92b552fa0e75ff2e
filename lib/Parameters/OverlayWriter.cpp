#include "lib/Parameters/OverlayWriter.h"

#include "lib/Archive/Sha256.h"
#include "lib/Parameters/DeclareArchive.h"

#include <cstring>

using namespace qopt;

static StringMetadata metadataFor(const Ledger &ledger, const std::string &provenance) {
  return {{std::string(archiveKindKey), "overlay"},
          {std::string(ledgerKey), ledger.toJson()},
          {std::string(provenanceKey), provenance}};
}

Result<OverlayWriter> OverlayWriter::create(const std::string &path, std::vector<TensorDeclaration> tensors,
                                            const Ledger &ledger, const nlohmann::ordered_json &provenance) {
  std::string text = provenance.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  // 64: what reads the mapping may use it as it lies.
  Result<SafetensorsPlan> plan = planSafetensors(std::move(tensors), SafetensorsAlignment{64, 64});
  if (!plan)
    return plan.takeError().in(path);
  Result<std::string> header = safetensorsHeader(*plan, metadataFor(ledger, text));
  if (!header)
    return header.takeError().in(path);
  Result<OutputFile> file = OutputFile::create(path, header->size() + plan->dataBytes);
  if (!file)
    return file.takeError();
  if (!file->isRegular())
    return badInput("expected a regular file for the overlay archive", escapeForMessage(path, 1000))
        .withNext("name a file beside the IR file");
  return OverlayWriter(std::move(*file), std::move(*plan), std::move(*header), std::move(text));
}

Status OverlayWriter::write(std::string_view tensor, uint64_t offset, std::span<const std::byte> bytes) {
  const TensorEntry *entry = plan.find(tensor);
  if (!entry || offset > entry->bytes || bytes.size() > entry->bytes - offset)
    return Error{ErrorClass::Bug, "a part that does not lie within tensor " + std::string(tensor), file.path(),
                 "nothing was written", "report this"};
  return file.writeAt(header.size() + entry->offset + offset, bytes);
}

Result<OverlayWriter::Written> OverlayWriter::commit(const Ledger &ledger, OutputSet *outputs) {
  Result<std::string> last = safetensorsHeader(plan, metadataFor(ledger, provenance));
  if (!last)
    return last.takeError();
  // What became shorter than it was planned leaves spaces, which the format allows at the header's end.
  if (last->size() < header.size()) {
    last->resize(header.size(), ' ');
    uint64_t length = header.size() - sizeof length;
    std::memcpy(last->data(), &length, sizeof length);
  }
  if (last->size() != header.size())
    return Error{ErrorClass::Bug, "the ledger has become longer than it was planned", file.path(),
                 "nothing was written", "report this"};
  auto bytes = std::as_bytes(std::span(*last));
  if (Status status = file.writeAt(0, bytes); !status)
    return status.takeError();
  uint64_t size = last->size() + plan.dataBytes;
  if (Status status = outputs ? outputs->add(std::move(file)) : file.commit(); !status)
    return status.takeError();
  return Written{size, toString(sha256(bytes))};
}
