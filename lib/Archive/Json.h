// JSON from files that nobody vouches for: nlohmann's parser behind limits, with duplicate keys refused.
//
// nlohmann::ordered_json keeps the order of keys, and its own parser looks every new key up among all the earlier ones:
// seconds for a vocabulary of 50,000. Here each object is built in linear time. Looking up a key in an object (`find`,
// `at`, `[]`, `contains`) is still a linear search, so large objects are to be iterated.
#ifndef QOPT_LIB_ARCHIVE_JSON_H
#define QOPT_LIB_ARCHIVE_JSON_H

#include "lib/Support/Error.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace qopt {

struct JsonLimits {
  uint64_t maxBytes = 256 << 20; ///< length of the text
  unsigned maxDepth = 64;        ///< nested objects and arrays
  uint64_t maxValues = 16 << 20; ///< values of any kind, keys not counted: bounds memory at some 100 bytes each
};

/// Parses one JSON value (RFC 8259; no comments) that fills `text`. Errors (BadInput) name the byte, counted from 0:
/// a syntax error, broken UTF-8, text after the value, a key given twice in one object, a limit exceeded.
Result<nlohmann::ordered_json> parseJson(std::string_view text, const JsonLimits &limits = {});

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_JSON_H
