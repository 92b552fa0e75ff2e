// Reads a file from tests/unit/Text/fixtures.
#ifndef QOPT_TESTS_UNIT_TEXT_FIXTURES_H
#define QOPT_TESTS_UNIT_TEXT_FIXTURES_H

#include <fstream>
#include <iterator>
#include <string>

/// The file's bytes; empty if it cannot be read, which every test that uses one would notice.
inline std::string readFixture(const std::string &name) {
  std::ifstream in(QOPT_TEXT_FIXTURES "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

#endif // QOPT_TESTS_UNIT_TEXT_FIXTURES_H
