// Reads the files that tools/dev/make_numerics_fixtures.py made; their layout is stated there.
#ifndef QOPT_TESTS_UNIT_NUMERICS_FIXTURES_H
#define QOPT_TESTS_UNIT_NUMERICS_FIXTURES_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace qopt::test {

inline std::string readFixture(const std::string &name) {
  std::ifstream file(std::string(QOPT_NUMERICS_FIXTURES) + "/" + name, std::ios::binary);
  if (!file)
    throw std::runtime_error("no fixture " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Takes values off the front of a fixture.
class FixtureCursor {
public:
  explicit FixtureCursor(std::string text) : text(std::move(text)) {}

  template <typename T> std::vector<T> take(size_t count) {
    if (count > (text.size() - at) / sizeof(T))
      throw std::runtime_error("fixture ends early");
    std::vector<T> values(count);
    if (count != 0)
      std::memcpy(values.data(), text.data() + at, count * sizeof(T));
    at += count * sizeof(T);
    return values;
  }
  uint32_t takeU32() { return take<uint32_t>(1)[0]; }
  bool atEnd() const { return at == text.size(); }

private:
  std::string text;
  size_t at = 0;
};

} // namespace qopt::test

#endif // QOPT_TESTS_UNIT_NUMERICS_FIXTURES_H
