// Edit distance, bounded so that a message about a missing name stays quick in a file of a million names.
#include "lib/Archive/NearestName.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace qopt {

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
static size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (char letter : a) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (letter != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

void NearestName::consider(std::string_view candidate) {
  constexpr size_t mostLooked = 4096, longest = 256;
  size_t difference = std::max(wanted.size(), candidate.size()) - std::min(wanted.size(), candidate.size());
  if (difference >= best || candidate.size() > longest || ++looked > mostLooked)
    return;
  if (size_t far = distance(wanted, candidate); far < best) {
    best = far;
    nearest = candidate;
  }
}

} // namespace qopt
