// Checks of schemes, their text form, and the storage of scales.
#include "lib/Numerics/Scheme.h"

#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Float.h"

#include <cstring>
#include <optional>

namespace qopt {

static bool isScaleFormat(ElementFormat format) {
  return format == ElementFormat::F16 || format == ElementFormat::BF16 || format == ElementFormat::F32;
}

uint64_t WeightScheme::bitsPerRow(int64_t cols) const {
  uint64_t perGroup = 8u * info(scale).blockBytes + (symmetric ? 0u : static_cast<unsigned>(zeroPointBits(bits)));
  return static_cast<uint64_t>(bits) * static_cast<uint64_t>(cols) +
         perGroup * static_cast<uint64_t>(groupsPerRow(cols));
}

Status WeightScheme::validate() const {
  if (!packedCodeBytes(bits, 0))
    return badInput("expected weights of 2, 3, 4, 5, 6 or 8 bits, but got " + std::to_string(bits));
  if (group != 0 && group != 32 && group != 64 && group != 128 && group != 256)
    return badInput("expected a group of 32, 64, 128 or 256 weights, or one per row, but got " + std::to_string(group));
  if (!isScaleFormat(scale))
    return badInput("expected scales in f16, bf16 or f32, but got " + std::string(info(scale).name));
  return {};
}

Status WeightScheme::validate(int64_t cols) const {
  if (Status status = validate(); !status)
    return status;
  if (cols < 1)
    return badInput("expected rows of at least one weight, but got " + std::to_string(cols));
  if (group != 0 && cols % group != 0)
    return badInput("expected a group that divides the row, but " + std::to_string(group) + " does not divide " +
                    std::to_string(cols));
  return {};
}

static constexpr std::string_view grammarHint =
    "a scheme is w2, w3, w4, w5, w6 or w8, then a8, a8g32, a8s, a16 or a32, then optionally :g32 :g64 :g128 :g256 or "
    ":channel, :sym or :asym, :f16 :bf16 or :f32; for example w4a8:g64:asym:f16";

static Error schemeError(std::string_view text, std::string_view part, std::string_view expected) {
  std::string rule = "expected " + std::string(expected) + ", but got '" + escapeForMessage(part) + "'";
  return usageError(std::move(rule), "scheme '" + escapeForMessage(text) + "'").withNext(std::string(grammarHint));
}

static std::optional<ActivationKind> parseActivations(std::string_view text) {
  if (text == "8" || text == "8t")
    return ActivationKind::I8PerToken;
  if (text == "8g32")
    return ActivationKind::I8PerGroup;
  if (text == "8s")
    return ActivationKind::I8Static;
  if (text == "16")
    return ActivationKind::BF16;
  if (text == "32")
    return ActivationKind::F32;
  return std::nullopt;
}

static std::optional<int64_t> parseGroup(std::string_view part) {
  if (part == "channel")
    return 0;
  for (int64_t group : {32, 64, 128, 256})
    if (part == "g" + std::to_string(group))
      return group;
  return std::nullopt;
}

Result<Scheme> parseScheme(std::string_view text) {
  Scheme scheme;
  std::string_view head = text.substr(0, text.find(':'));
  if (head.size() < 4 || head[0] != 'w' || std::string_view("234568").find(head[1]) == std::string_view::npos ||
      head[2] != 'a')
    return schemeError(text, head, "w2a…, w3a…, w4a…, w5a…, w6a… or w8a…");
  scheme.weights.bits = head[1] - '0';
  std::optional<ActivationKind> activations = parseActivations(head.substr(3));
  if (!activations)
    return schemeError(text, head.substr(2), "activations a8, a8t, a8g32, a8s, a16 or a32");
  scheme.activations = *activations;

  bool groupSeen = false, symmetrySeen = false, scaleSeen = false;
  std::string_view rest = text.substr(head.size());
  while (!rest.empty()) {
    rest.remove_prefix(1); // the colon
    std::string_view part = rest.substr(0, rest.find(':'));
    rest.remove_prefix(part.size());
    bool *seen = nullptr;
    std::optional<ElementFormat> format = parseElementFormat(part);
    if (std::optional<int64_t> group = parseGroup(part)) {
      scheme.weights.group = *group;
      seen = &groupSeen;
    } else if (part == "sym" || part == "asym") {
      scheme.weights.symmetric = part == "sym";
      seen = &symmetrySeen;
    } else if (format && isScaleFormat(*format)) {
      scheme.weights.scale = *format;
      seen = &scaleSeen;
    } else {
      return schemeError(text, part, "a group (g32, g64, g128, g256, channel), sym, asym, f16, bf16 or f32");
    }
    if (*seen)
      return schemeError(text, part, "each of group, symmetry and scale format at most once");
    *seen = true;
  }
  return scheme;
}

std::string_view activationName(ActivationKind kind) {
  switch (kind) {
  case ActivationKind::F32:
    return "a32";
  case ActivationKind::BF16:
    return "a16";
  case ActivationKind::I8PerToken:
    return "a8";
  case ActivationKind::I8PerGroup:
    return "a8g32";
  case ActivationKind::I8Static:
    return "a8s";
  }
  return {};
}

std::string printScheme(const Scheme &scheme) {
  const WeightScheme &weights = scheme.weights;
  std::string text = "w" + std::to_string(weights.bits);
  text += activationName(scheme.activations);
  text += weights.group == 0 ? std::string(":channel") : ":g" + std::to_string(weights.group);
  text += weights.symmetric ? ":sym:" : ":asym:";
  text += info(weights.scale).name;
  return text;
}

float roundScale(ElementFormat format, float scale) {
  switch (format) {
  case ElementFormat::F16:
    return halfToFloat(floatToHalf(scale));
  case ElementFormat::BF16:
    return bfloat16ToFloat(floatToBfloat16(scale));
  default:
    return scale;
  }
}

void storeScale(ElementFormat format, float scale, std::byte *to) {
  if (format == ElementFormat::F32) {
    std::memcpy(to, &scale, sizeof scale);
    return;
  }
  uint16_t bits = format == ElementFormat::F16 ? floatToHalf(scale) : floatToBfloat16(scale);
  std::memcpy(to, &bits, sizeof bits);
}

float loadScale(ElementFormat format, const std::byte *from) {
  if (format == ElementFormat::F32) {
    float scale = 0;
    std::memcpy(&scale, from, sizeof scale);
    return scale;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof bits);
  return format == ElementFormat::F16 ? halfToFloat(bits) : bfloat16ToFloat(bits);
}

} // namespace qopt
