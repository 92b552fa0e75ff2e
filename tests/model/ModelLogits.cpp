// model-logits: a compiled model's logits against the reference evaluator's on the IR that it was compiled from.
//
// Usage: model-logits MODEL.mlir MODEL.qopt TOLERANCE ID...
//
// The logits of every position of the prompt may differ by at most TOLERANCE, relative to the largest logit, and the
// most likely token must be the same wherever the reference's lead exceeds what that leaves open. Exit code 4
// otherwise.
#include "tests/model/Logits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace qopt;

static int report(const Error &error) {
  std::fputs(error.format().c_str(), stderr);
  return static_cast<int>(error.errorClass);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: model-logits MODEL.mlir MODEL.qopt TOLERANCE ID...\n");
    return 1;
  }
  double tolerance = std::atof(argv[3]);
  std::vector<int32_t> ids;
  for (int i = 4; i < argc; ++i)
    ids.push_back(std::atoi(argv[i]));

  Result<std::vector<float>> wanted = referenceLogits(argv[1], ids);
  if (!wanted)
    return report(wanted.error());
  Result<std::vector<float>> got = compiledLogits(argv[2], ids);
  if (!got)
    return report(got.error());
  if (got->size() != wanted->size()) {
    std::fprintf(stderr, "expected %zu logits, but got %zu\n", wanted->size(), got->size());
    return 4;
  }

  double largest = 0, worst = 0;
  for (size_t i = 0; i < wanted->size(); ++i) {
    largest = std::max<double>(largest, std::fabs((*wanted)[i]));
    double distance = std::fabs(static_cast<double>((*wanted)[i]) - (*got)[i]);
    worst = std::isnan(distance) ? INFINITY : std::max(worst, distance);
  }
  size_t width = wanted->size() / ids.size(), clear = 0, same = 0;
  for (size_t row = 0; row < ids.size(); ++row) {
    Leader leader = leaderOf(wanted->data() + row * width, width);
    if (leader.lead <= 2 * tolerance * largest)
      continue;
    ++clear;
    same += leaderOf(got->data() + row * width, width).column == leader.column;
  }
  std::printf(
      "greatest difference %.3g of the largest logit, allowed %.3g; most likely token equal at %zu of %zu clear "
      "positions, %zu in all\n",
      worst / largest, tolerance, same, clear, ids.size());
  return worst <= tolerance * largest && same == clear ? 0 : 4;
}
