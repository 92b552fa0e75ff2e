// Whether text is UTF-8. Names reach messages, IR and JSON, all of which demand it.
#ifndef QOPT_LIB_ARCHIVE_UTF8_H
#define QOPT_LIB_ARCHIVE_UTF8_H

#include <string_view>

namespace qopt {

/// True if `text` is well-formed UTF-8 (Unicode 14, table 3-7: no surrogates, no overlong forms). U+0000 is allowed.
bool isUtf8(std::string_view text);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_UTF8_H
