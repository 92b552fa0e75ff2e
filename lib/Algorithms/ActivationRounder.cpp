// See ActivationRounder.h.
#include "lib/Algorithms/ActivationRounder.h"

#include "lib/Numerics/Activations.h"
#include "lib/Numerics/Float.h"

#include <algorithm>

using namespace qopt;

ActivationRounder::ActivationRounder(ActivationKind kind, int64_t tokens, int64_t channels)
    : kind(kind), tokens(tokens), channels(channels), rounded(kind == ActivationKind::F32 ? 0 : tokens * channels) {
  if (kind == ActivationKind::BF16) {
    halves.resize(rounded.size());
  } else if (kind != ActivationKind::F32) {
    codes.resize(rounded.size());
    scales.resize(rounded.size() / group());
  }
}

int64_t ActivationRounder::group() const { return kind == ActivationKind::I8PerGroup ? activationGroup : channels; }

Result<MatrixView> ActivationRounder::round(MatrixView x, std::optional<float> fixed) {
  std::span<const float> values(x.data, tokens * channels);
  if (kind == ActivationKind::F32)
    return x;
  if (kind == ActivationKind::BF16) {
    if (Status status = encodeActivationsBF16(values, halves); !status)
      return status.takeError();
    std::transform(halves.begin(), halves.end(), rounded.begin(), bfloat16ToFloat);
  } else {
    Status status = kind == ActivationKind::I8Static
                        ? encodeActivationsStatic(*fixed, tokens, channels, values, codes, scales)
                        : encodeActivationsI8(tokens, channels, group(), values, codes, scales);
    if (!status)
      return status.takeError();
    int64_t size = group();
    for (size_t g = 0; g < scales.size(); ++g)
      std::transform(codes.data() + g * size, codes.data() + (g + 1) * size, rounded.data() + g * size,
                     [&](int8_t code) { return scales[g] * static_cast<float>(code); });
  }
  return MatrixView{rounded.data(), tokens, channels, channels};
}
