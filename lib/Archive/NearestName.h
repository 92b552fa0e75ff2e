// Finds the name that a reader may have meant, for the last line of a message.
#ifndef QOPT_LIB_ARCHIVE_NEARESTNAME_H
#define QOPT_LIB_ARCHIVE_NEARESTNAME_H

#include <optional>
#include <string_view>

namespace qopt {

class NearestName {
public:
  explicit NearestName(std::string_view wanted) : wanted(wanted), best(wanted.size() / 2 + 1) {}

  /// Keeps `candidate`, which must outlive this object, if it is nearer than all before. Only the first few thousand
  /// are looked at, so that a message never takes long.
  void consider(std::string_view candidate);

  /// The nearest name, unless more than half of it would have to change.
  std::optional<std::string_view> found() const { return nearest; }

private:
  std::string_view wanted;
  size_t best;
  size_t looked = 0;
  std::optional<std::string_view> nearest;
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_NEARESTNAME_H
