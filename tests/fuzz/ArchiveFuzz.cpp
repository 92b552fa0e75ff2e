// Any bytes at all, given to the readers of archives: they must refuse them or give a header that keeps its promises.
#include "lib/Archive/Archive.h"
#include "lib/Archive/Json.h"

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

void check(qopt::Result<qopt::ArchiveHeader> header, size_t size) {
  if (!header) {
    require(!header.error().format().empty());
    return;
  }
  require(header->bytes <= size);
  for (const qopt::TensorEntry &entry : header->tensors) {
    require(entry.offset >= header->bytes && entry.offset <= size && entry.bytes <= size - entry.offset);
    require(entry.elements() >= 0 && !describe(entry).empty());
  }
  for (const auto &[key, value] : header->gguf.pairs()) {
    require(header->gguf.find(key) == &value);
    (void)header->gguf.integer(key);
    (void)header->gguf.numbers(key);
    (void)header->gguf.integers(key);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  check(qopt::readGguf(bytes), size);
  check(qopt::readSafetensors(bytes), size);
  (void)qopt::readArchiveHeader(bytes);
  std::string_view text(reinterpret_cast<const char *>(data), size);
  if (auto json = qopt::parseJson(text, {.maxDepth = 16, .maxValues = 100'000}))
    require(qopt::parseJson(json->dump()).operator bool()); // what was read can be written and read again
  return 0;
}
