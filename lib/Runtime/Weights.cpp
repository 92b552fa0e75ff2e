// Where a model's weights lie.
//
// Decoding streams every weight once per token, so pages decide: with 4 KiB pages the address translation costs a fifth
// of the bandwidth. Three states were measured (docs/decisions/WeightPlacement.md):
//
// - A mapped file whose pages the kernel holds in 2 MiB folios: it starts fastest and runs as fast as anything. The
//   kernel (seen: ext4 on Linux 6.18) makes such folios when a file is read for the first time through a mapping that
//   asks for them.
// - A mapped file in small folios, as a fresh copy or an old kernel has it: fast to start, a quarter slower to run.
// - A copy in anonymous 2 MiB pages: as fast as the first, some 0.1 ms per MiB later, and private to the process.
//
// So Auto asks for large folios, looks what it got, and copies only where that was not enough and the copy will not
// wait. The copy goes piece by piece: copied, its checksum taken while it is in the processor's cache, the source's
// pages dropped from this process. So the weights never count twice.
#include "lib/Runtime/Weights.h"

#include "lib/Runtime/AvailableMemory.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace qopt {

static constexpr uint64_t kHugePage = uint64_t(2) << 20;

/// Calls body(i) for each i in [0, count), claimed by the workers of `pool` in ascending order.
template <typename Body> static void forEach(WorkerPool &pool, uint64_t count, Body &&body) {
  std::atomic<uint64_t> next{0};
  pool.runEach([&](int worker) {
    for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
      body(i);
  });
}

/// The whole pages inside of `bytes`.
static std::span<const std::byte> wholePages(std::span<const std::byte> bytes) {
  auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  auto start = reinterpret_cast<uintptr_t>(bytes.data());
  uintptr_t first = (start + page - 1) / page * page, end = (start + bytes.size()) / page * page;
  return end > first ? std::span(reinterpret_cast<const std::byte *>(first), end - first)
                     : std::span<const std::byte>();
}

static void advise(std::span<const std::byte> bytes, int advice) {
  std::span<const std::byte> pages = wholePages(bytes);
  if (!pages.empty()) // only advice: that it is not taken is no error
    (void)madvise(const_cast<std::byte *>(pages.data()), pages.size(), advice);
}

/// Bytes of the file mapping that holds `inside` which are mapped by 2 MiB entries now.
static uint64_t hugeMappedBytes(const std::byte *inside) {
  std::ifstream file("/proc/self/smaps");
  auto address = reinterpret_cast<uintptr_t>(inside);
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    unsigned long first, end;
    unsigned long long kilobytes;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &end) == 2)
      here = first <= address && address < end;
    else if (here && std::sscanf(line.c_str(), "FilePmdMapped: %llu kB", &kilobytes) == 1)
      return kilobytes * 1024;
  }
  return 0;
}

/// True if the kernel gives anonymous 2 MiB pages to those who ask.
static bool hugePagesOffered() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  return std::getline(file, line) && line.find("[never]") == std::string::npos;
}

/// Memory that lies free in pieces of 2 MiB or more, in bytes. Beyond it the kernel has to move other pages out of the
/// way first, while we wait: most of a second was seen for 90 MB. Zones for old devices are kept in reserve and do not
/// count.
static uint64_t freeHugeMemory() {
  std::ifstream file("/proc/buddyinfo"); // "Node 0, zone Normal COUNT COUNT …": free blocks of 1, 2, 4, … pages
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t bytes = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string node, number, zone, name;
    words >> node >> number >> zone >> name;
    if (name != "Normal")
      continue;
    uint64_t block = page;
    for (uint64_t count; words >> count; block *= 2)
      if (block >= kHugePage)
        bytes += count * block;
  }
  return bytes;
}

/// The rule of WeightPlacement::Auto.
static WeightPlacement choose(std::span<const std::byte> weights, WorkerPool &pool) {
  if (weights.size() < 2 * kHugePage || !hugePagesOffered() || weights.size() > availableMemory() / 2 ||
      weights.size() > freeHugeMemory() / 2)
    return WeightPlacement::Mapped;
  // One byte in each 2 MiB: the kernel maps a large folio as a whole, if it holds one.
  std::atomic<unsigned> keep{0}; // so that the reads are not optimized away
  forEach(pool, weights.size() / kHugePage, [&](uint64_t i) {
    keep.fetch_add(std::to_integer<unsigned>(weights[i * kHugePage + kHugePage / 2]), std::memory_order_relaxed);
  });
  return hugeMappedBytes(weights.data() + weights.size() / 2) >= weights.size() / 2 ? WeightPlacement::Mapped
                                                                                    : WeightPlacement::HugePages;
}

Result<Weights> Weights::place(std::shared_ptr<const ArtifactReader> artifact, WeightPlacement placement, Verify verify,
                               WorkerPool &pool) {
  Weights placed;
  std::span<const std::byte> source = artifact->weights();
  advise(artifact->fileBytes(), MADV_HUGEPAGE); // from its first byte on: the alignment within the file counts
  placed.placed = placement == WeightPlacement::Auto ? choose(source, pool) : placement;
  placed.start = source.data();
  if (placed.placed == WeightPlacement::HugePages && !source.empty()) {
    Result<Pages> pages = Pages::allocate(source.size(), true, "weights");
    if (!pages)
      return pages.takeError();
    placed.copy = std::move(*pages);
    placed.start = placed.copy.data();
  }
  bool copies = placed.start != source.data();
  uint64_t count = artifact->weightPieces();
  std::atomic<uint64_t> damaged{count}; // the first damaged piece
  if (copies || verify == Verify::Full)
    forEach(pool, count, [&](uint64_t piece) {
      std::span<const std::byte> bytes = artifact->weightPiece(piece);
      if (copies) {
        std::byte *target = placed.copy.data() + (bytes.data() - source.data());
        std::memcpy(target, bytes.data(), bytes.size());
        advise(bytes, MADV_DONTNEED);
        bytes = {target, bytes.size()};
      }
      if (verify == Verify::Full && !artifact->pieceMatches(piece, bytes))
        for (uint64_t first = damaged; piece < first && !damaged.compare_exchange_weak(first, piece);)
          ;
    });
  if (damaged < count)
    return artifact->damagedPiece(damaged);
  placed.artifact = std::move(artifact);
  return placed;
}

} // namespace qopt
