// JSON as we accept it from a file: bounded in size, depth and number of values, every key once, nothing after the end.
// nlohmann-json alone keeps the last of duplicate keys and bounds nothing, so its event parser is used with checks of
// ours.
#ifndef QOPT_LIB_RUNTIME_TEXT_STRICTJSON_H
#define QOPT_LIB_RUNTIME_TEXT_STRICTJSON_H

#include "lib/Support/Error.h"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <string_view>

namespace qopt {

struct StrictJsonLimits {
  size_t bytes = 256u << 20;
  size_t depth = 64;
  /// Of any kind, keys not counted: bounds memory at some 100 bytes each. The largest tokenizers (256k tokens, 500k
  /// merges as pairs) have 1.8 million.
  size_t values = 4u << 20;
};

/// `Json` is nlohmann::json (sorted keys, right for large vocabularies) or nlohmann::ordered_json (keeps the order;
/// finding a key is linear). Errors: BadInput naming the byte, `what` first in `where`.
template <typename Json>
Result<Json> parseStrictJson(std::string_view text, std::string_view what, const StrictJsonLimits &limits = {});

extern template Result<nlohmann::json> parseStrictJson(std::string_view, std::string_view, const StrictJsonLimits &);
extern template Result<nlohmann::ordered_json> parseStrictJson(std::string_view, std::string_view,
                                                               const StrictJsonLimits &);

/// Errors for a key of `object` that is not in `known`. `where` names the object.
Status refuseUnknownKeys(const nlohmann::json &object, std::initializer_list<std::string_view> known,
                         std::string_view where);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_STRICTJSON_H
