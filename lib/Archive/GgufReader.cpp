// Reads the header of a GGUF file, version 3 (ggml, docs/gguf.md): magic, version, tensor count and metadata count;
// the metadata pairs; the tensor descriptions; then, from the next multiple of the alignment, the tensors' data.
//
// No count that the file gives is believed: memory is reserved only for as many items as could fit in what is left.
#include "lib/Archive/Archive.h"
#include "lib/Archive/TensorRanges.h"
#include "lib/Archive/Utf8.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

namespace qopt {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place, in its own byte order");

constexpr uint32_t ggufVersion = 3;
constexpr uint64_t defaultAlignment = 32;
constexpr uint32_t maxAxes = 4;           // GGML_MAX_DIMS
constexpr uint64_t maxNameBytes = 65'535; // of a key, by the format's description
constexpr uint64_t smallestPair = 14;     // key length 8, key 1, type 4, value 1
constexpr uint64_t smallestTensor = 25;   // name length 8, name 1, axis count 4, type 4, offset 8
constexpr uint64_t mostReserved = 4096;   // pairs or tensors: our records are larger than the file's
constexpr std::string_view alignmentKey = "general.alignment";

/// A tensor type by its number in the file: its name, and our format if we read it.
struct TensorType {
  uint32_t number;
  std::string_view name;
  std::optional<ElementFormat> format;
};
constexpr TensorType tensorTypes[] = {
    {0, "F32", ElementFormat::F32},
    {1, "F16", ElementFormat::F16},
    {2, "Q4_0", ElementFormat::Q4_0},
    {3, "Q4_1", ElementFormat::Q4_1},
    {4, "Q4_2 (removed from GGML)", {}},
    {5, "Q4_3 (removed from GGML)", {}},
    {6, "Q5_0", ElementFormat::Q5_0},
    {7, "Q5_1", ElementFormat::Q5_1},
    {8, "Q8_0", ElementFormat::Q8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", {}},
    {11, "Q3_K", {}},
    {12, "Q4_K", {}},
    {13, "Q5_K", {}},
    {14, "Q6_K", ElementFormat::Q6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", {}},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", {}},
    {24, "I8", ElementFormat::I8},
    {25, "I16", ElementFormat::I16},
    {26, "I32", ElementFormat::I32},
    {27, "I64", ElementFormat::I64},
    {28, "F64", ElementFormat::F64},
    {29, "IQ1_M", {}},
    {30, "BF16", ElementFormat::BF16},
    {31, "Q4_0_4_4 (removed from GGML)", {}},
    {32, "Q4_0_4_8 (removed from GGML)", {}},
    {33, "Q4_0_8_8 (removed from GGML)", {}},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {36, "IQ4_NL_4_4 (removed from GGML)", {}},
    {37, "IQ4_NL_4_8 (removed from GGML)", {}},
    {38, "IQ4_NL_8_8 (removed from GGML)", {}},
    {39, "MXFP4", {}},
    {40, "NVFP4", {}},
    {41, "Q1_0", {}},
};

/// Bytes of a number or boolean of this type; 0 for the others.
constexpr uint64_t scalarBytes(GgufType type) {
  switch (type) {
  case GgufType::Uint8:
  case GgufType::Int8:
  case GgufType::Bool:
    return 1;
  case GgufType::Uint16:
  case GgufType::Int16:
    return 2;
  case GgufType::Uint32:
  case GgufType::Int32:
  case GgufType::Float32:
    return 4;
  case GgufType::Uint64:
  case GgufType::Int64:
  case GgufType::Float64:
    return 8;
  case GgufType::String:
  case GgufType::Array:
    return 0;
  }
  return 0;
}

/// Takes one thing after another from the header. The first failure sticks: what is taken after it is zero or empty,
/// so a caller may take several things and then look once at failed().
class Cursor {
public:
  explicit Cursor(std::span<const std::byte> file) : file(file) {}

  uint64_t position() const { return at; }
  uint64_t left() const { return file.size() - at; }
  bool failed() const { return problem.has_value(); }
  Error takeError() { return std::move(*problem); }

  void fail(std::string rule, std::string next = {}) {
    if (!problem)
      problem = badInput(std::move(rule), "byte " + std::to_string(at)).withNext(std::move(next));
  }

  std::span<const std::byte> take(uint64_t bytes, std::string_view what) {
    if (failed())
      return {};
    if (bytes > left()) {
      fail("the file ends inside " + std::string(what) + ", which takes " + std::to_string(bytes) + " bytes where " +
           std::to_string(left()) + " are left");
      return {};
    }
    at += bytes;
    return file.subspan(at - bytes, bytes);
  }

  template <typename T> T number(std::string_view what) {
    T value{};
    if (std::span<const std::byte> raw = take(sizeof(T), what); !raw.empty())
      std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }

  std::string_view string(std::string_view what) {
    auto length = number<uint64_t>(what);
    std::span<const std::byte> raw = take(length, what);
    return {reinterpret_cast<const char *>(raw.data()), raw.size()};
  }

  /// A key or a tensor's name: not empty, not too long, UTF-8.
  std::string_view name(std::string_view what) {
    std::string_view text = string(what);
    if (failed())
      return {};
    if (text.empty())
      fail(std::string(what) + " is empty");
    else if (text.size() > maxNameBytes)
      fail(std::string(what) + " has " + std::to_string(text.size()) + " bytes, where at most " +
           std::to_string(maxNameBytes) + " are read");
    else if (!isUtf8(text))
      fail(std::string(what) + " '" + escapeForMessage(text) + "' is not UTF-8");
    return text;
  }

  /// A count of items that take at least `smallest` bytes each: refused if that many cannot follow.
  uint64_t count(std::string_view what, uint64_t number, uint64_t smallest) {
    if (!failed() && number > left() / smallest)
      fail("the file claims " + std::to_string(number) + " " + std::string(what) + ", but the " +
           std::to_string(left()) + " bytes left hold at most " + std::to_string(left() / smallest));
    return failed() ? 0 : number;
  }

private:
  std::span<const std::byte> file;
  uint64_t at = 0;
  std::optional<Error> problem;
};

GgufType takeType(Cursor &cursor) {
  auto type = cursor.number<uint32_t>("a value's type");
  if (!cursor.failed() && type > static_cast<uint32_t>(GgufType::Float64))
    cursor.fail("unknown metadata value type " + std::to_string(type));
  return static_cast<GgufType>(type);
}

GgufArray takeArray(Cursor &cursor) {
  GgufType type = takeType(cursor);
  auto claimed = cursor.number<uint64_t>("an array's length");
  if (cursor.failed())
    return {GgufType::Uint8, {}};
  if (type == GgufType::Array) {
    cursor.fail("an array of arrays, which is not read");
    return {GgufType::Uint8, {}};
  }
  if (type == GgufType::String) {
    uint64_t count = cursor.count("strings in an array", claimed, sizeof(uint64_t));
    std::vector<std::string_view> strings;
    strings.reserve(count);
    for (uint64_t i = 0; i < count && !cursor.failed(); ++i)
      strings.push_back(cursor.string("a string in an array"));
    return {type, std::move(strings)};
  }
  uint64_t count = cursor.count("elements in an array", claimed, scalarBytes(type));
  std::span<const std::byte> raw = cursor.take(count * scalarBytes(type), "an array");
  if (type == GgufType::Bool && std::ranges::any_of(raw, [](std::byte byte) { return byte > std::byte{1}; }))
    cursor.fail("expected the booleans of an array to be 0 or 1, but got another byte");
  return {type, count, raw};
}

GgufValue takeValue(Cursor &cursor) {
  constexpr std::string_view what = "a metadata value";
  GgufType type = takeType(cursor);
  if (cursor.failed())
    return {GgufType::Uint8, uint64_t{0}};
  switch (type) {
  case GgufType::Uint8:
    return {type, uint64_t{cursor.number<uint8_t>(what)}};
  case GgufType::Uint16:
    return {type, uint64_t{cursor.number<uint16_t>(what)}};
  case GgufType::Uint32:
    return {type, uint64_t{cursor.number<uint32_t>(what)}};
  case GgufType::Uint64:
    return {type, cursor.number<uint64_t>(what)};
  case GgufType::Int8:
    return {type, int64_t{cursor.number<int8_t>(what)}};
  case GgufType::Int16:
    return {type, int64_t{cursor.number<int16_t>(what)}};
  case GgufType::Int32:
    return {type, int64_t{cursor.number<int32_t>(what)}};
  case GgufType::Int64:
    return {type, cursor.number<int64_t>(what)};
  case GgufType::Float32:
    return {type, double{cursor.number<float>(what)}};
  case GgufType::Float64:
    return {type, cursor.number<double>(what)};
  case GgufType::Bool: {
    auto byte = cursor.number<uint8_t>(what);
    if (byte > 1)
      cursor.fail("expected a boolean to be 0 or 1, but got " + std::to_string(byte));
    return {type, byte == 1};
  }
  case GgufType::String:
    return {type, cursor.string(what)};
  case GgufType::Array:
    return {type, takeArray(cursor)};
  }
  return {GgufType::Uint8, uint64_t{0}}; // takeType lets no other number through
}

/// One tensor's description. Its offset counts from the start of the data section.
Result<TensorEntry> takeTensor(Cursor &cursor) {
  std::string_view name = cursor.name("a tensor's name");
  if (cursor.failed())
    return cursor.takeError();
  TensorEntry entry{std::string(name), ElementFormat::F32, {}, 0, 0};
  auto fail = [&](Error error) { return std::move(error).in(tensorPlace(name)); };

  auto axes = cursor.number<uint32_t>("a tensor's axis count");
  if (axes > maxAxes)
    cursor.fail("a tensor of " + std::to_string(axes) + " axes, where at most " + std::to_string(maxAxes) +
                " are read");
  uint64_t lengths[maxAxes] = {};
  for (uint32_t i = 0; i < axes && !cursor.failed(); ++i)
    lengths[i] = cursor.number<uint64_t>("a tensor's shape");
  auto number = cursor.number<uint32_t>("a tensor's type");
  entry.offset = cursor.number<uint64_t>("a tensor's offset");
  if (cursor.failed())
    return fail(cursor.takeError());

  for (uint32_t i = axes; i-- > 0;) { // the file has the innermost axis first
    if (!std::in_range<int64_t>(lengths[i]))
      return fail(badInput("an axis of " + std::to_string(lengths[i]) + " elements, where at most 2^63 - 1 are read"));
    entry.shape.push_back(static_cast<int64_t>(lengths[i]));
  }
  const auto *type = std::ranges::find(tensorTypes, number, &TensorType::number);
  if (type == std::end(tensorTypes) || !type->format) {
    std::string named = type == std::end(tensorTypes) ? "" : " " + std::string(type->name);
    return fail(badInput("elements of GGUF type " + std::to_string(number) + named +
                         " are not read; F32, F16, BF16, F64, I8, I16, I32, I64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and "
                         "Q6_K are")
                    .withNext("convert the model to one of these types, for example F16 or Q8_0"));
  }
  entry.format = *type->format;
  Result<uint64_t> bytes = tensorBytes(entry.format, entry.shape);
  if (!bytes)
    return fail(bytes.takeError());
  entry.bytes = *bytes;
  return entry;
}

/// The alignment of the data section and of each tensor in it.
Result<uint64_t> readAlignment(const GgufMetadata &metadata) {
  const GgufValue *value = metadata.find(alignmentKey);
  if (!value)
    return defaultAlignment;
  std::optional<int64_t> alignment = value->integer();
  if (value->type() != GgufType::Uint32 || !alignment)
    return badInput("expected the metadata key 'general.alignment' to be a uint32, but got a value of type " +
                    std::string(toString(value->type())));
  if (!std::has_single_bit(static_cast<uint64_t>(*alignment)))
    return badInput("expected the metadata key 'general.alignment' to be a power of two, but got " +
                    std::to_string(*alignment));
  return static_cast<uint64_t>(*alignment);
}

/// Magic and version: what must hold before anything else can be trusted to be where it should.
void takePreamble(Cursor &cursor) {
  std::span<const std::byte> magic = cursor.take(4, "the magic \"GGUF\"");
  if (!cursor.failed() && std::memcmp(magic.data(), "GGUF", 4) != 0)
    cursor.fail("expected the magic \"GGUF\", but got \"" +
                escapeForMessage({reinterpret_cast<const char *>(magic.data()), 4}) + "\"");
  auto version = cursor.number<uint32_t>("the version");
  if (cursor.failed() || version == ggufVersion)
    return;
  uint32_t swapped = __builtin_bswap32(version);
  if (swapped <= ggufVersion && swapped != 0)
    cursor.fail("a big-endian GGUF file (version " + std::to_string(swapped) + "); only little-endian files are read",
                "convert the file to little-endian, for example with gguf-convert-endian from the gguf package");
  else
    cursor.fail("GGUF version " + std::to_string(version) + "; only version 3 is read",
                "convert the model again with a current llama.cpp");
}

} // namespace

Result<ArchiveHeader> readGguf(std::span<const std::byte> file) {
  Cursor cursor(file);
  takePreamble(cursor);
  auto claimedTensors = cursor.number<uint64_t>("the tensor count");
  auto claimedPairs = cursor.number<uint64_t>("the metadata count");
  uint64_t pairCount = cursor.count("metadata pairs", claimedPairs, smallestPair);
  cursor.count("tensors", claimedTensors, smallestTensor);

  std::vector<GgufMetadata::Pair> pairs;
  pairs.reserve(std::min(pairCount, mostReserved));
  for (uint64_t i = 0; i < pairCount && !cursor.failed(); ++i) {
    std::string_view key = cursor.name("a metadata key");
    GgufValue value = takeValue(cursor);
    if (cursor.failed())
      return cursor.takeError().in("metadata pair " + std::to_string(i) +
                                   (key.empty() ? "" : " ('" + escapeForMessage(key) + "')"));
    pairs.push_back({key, std::move(value)});
  }
  if (cursor.failed())
    return cursor.takeError();
  Result<GgufMetadata> metadata = GgufMetadata::create(std::move(pairs));
  if (!metadata)
    return metadata.takeError().in("metadata");
  Result<uint64_t> alignment = readAlignment(*metadata);
  if (!alignment)
    return alignment.takeError().in("metadata");

  ArchiveHeader header;
  header.kind = ArchiveKind::Gguf;
  header.gguf = std::move(*metadata);
  uint64_t tensorCount = cursor.count("tensors", claimedTensors, smallestTensor);
  header.tensors.reserve(std::min(tensorCount, mostReserved));
  for (uint64_t i = 0; i < tensorCount && !cursor.failed(); ++i) {
    Result<TensorEntry> entry = takeTensor(cursor);
    if (!entry)
      return entry.takeError().in("tensor description " + std::to_string(i));
    header.tensors.push_back(std::move(*entry));
  }
  if (cursor.failed())
    return cursor.takeError();

  // A file without tensors may end before the padding does.
  uint64_t dataStart = (cursor.position() + *alignment - 1) / *alignment * *alignment;
  bool needsData = std::ranges::any_of(header.tensors, [](const TensorEntry &entry) { return entry.bytes != 0; });
  if (dataStart > file.size() && needsData)
    return badInput("the file ends before its data section, which begins at byte " + std::to_string(dataStart),
                    "byte " + std::to_string(file.size()));
  header.bytes = std::min<uint64_t>(dataStart, file.size());
  if (Status status = placeTensors(header.tensors, header.bytes, file.size() - header.bytes, *alignment); !status)
    return status.takeError();
  return header;
}

} // namespace qopt
