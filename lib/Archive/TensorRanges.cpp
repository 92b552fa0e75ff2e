// Sizes and ranges, computed so that no number in a file can overflow.
#include "lib/Archive/TensorRanges.h"

#include <algorithm>
#include <tuple>

namespace qopt {

std::string tensorPlace(std::string_view name) { return "tensor '" + escapeForMessage(name) + "'"; }

Result<uint64_t> tensorBytes(ElementFormat format, std::span<const int64_t> shape) {
  // Axes of length 0 are left out of the product, so that no order of multiplication can overflow either.
  int64_t product = 1;
  bool empty = false;
  for (int64_t length : shape) {
    empty |= length == 0;
    if (length != 0 && __builtin_mul_overflow(product, length, &product))
      return badInput("the shape has more than 2^63 - 1 elements");
  }
  const ElementFormatInfo &block = info(format);
  uint64_t innermost = shape.empty() ? 1 : static_cast<uint64_t>(shape.back());
  if (innermost % block.blockElements != 0)
    return badInput("expected the innermost axis to be a multiple of " + std::to_string(block.blockElements) +
                    ", the " + std::string(block.name) + " block, but got " + std::to_string(innermost));
  std::optional<uint64_t> bytes = storageBytes(format, empty ? 0 : static_cast<uint64_t>(product));
  if (!bytes)
    return badInput("the tensor has more than 2^64 - 1 bytes");
  return *bytes;
}

static Status checkNames(const std::vector<TensorEntry> &tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorEntry &entry : tensors)
    names.push_back(entry.name);
  std::ranges::sort(names);
  if (auto twice = std::ranges::adjacent_find(names); twice != names.end())
    return badInput("two tensors have the same name", tensorPlace(*twice));
  return {};
}

Status placeTensors(std::vector<TensorEntry> &tensors, uint64_t dataStart, uint64_t dataBytes, uint64_t alignment) {
  if (Status status = checkNames(tensors); !status)
    return status;
  // Names settle the order of empty tensors, and so of every reader's listing.
  std::ranges::sort(tensors, {}, [](const TensorEntry &entry) {
    return std::tuple(entry.offset, entry.bytes, std::string_view(entry.name));
  });
  uint64_t end = 0; // of the tensors so far
  const TensorEntry *previous = nullptr;
  for (TensorEntry &entry : tensors) {
    auto fail = [&](std::string rule) { return badInput(std::move(rule), tensorPlace(entry.name)); };
    std::string range =
        std::to_string(entry.bytes) + " bytes at " + std::to_string(entry.offset) + " of the data section";
    if (entry.offset % alignment != 0)
      return fail("expected the data to begin at a multiple of " + std::to_string(alignment) + ", but got " + range);
    if (entry.offset < end)
      return fail("the data (" + range + ") overlaps that of tensor '" + escapeForMessage(previous->name) +
                  "', which ends at " + std::to_string(end));
    if (entry.bytes > dataBytes || entry.offset > dataBytes - entry.bytes)
      return fail("the data (" + range + ") goes past the end of the file, which has " + std::to_string(dataBytes) +
                  " bytes of data");
    if (entry.offset - end >= alignment)
      return fail("expected the data to follow the tensor before it, which ends at " + std::to_string(end) +
                  ", but got " + range);
    end = entry.offset + entry.bytes;
    previous = &entry;
  }
  if (dataBytes - end >= alignment)
    return badInput("the file goes on for " + std::to_string(dataBytes - end) + " bytes after its last tensor",
                    "byte " + std::to_string(dataStart + end));
  for (TensorEntry &entry : tensors)
    entry.offset += dataStart;
  return {};
}

} // namespace qopt
