#ifndef QOPT_LIB_ARTIFACT_MANIFEST_H
#define QOPT_LIB_ARTIFACT_MANIFEST_H

#include "lib/Archive/Json.h"
#include "lib/Support/Error.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// The version of the artifact's format that this code writes, and the only one that it reads (docs/ArtifactFormat.md).
inline constexpr int64_t kArtifactFormatVersion = 1;

/// What a manifest's text keeps to. Depth: the deepest of our own is provenance with a recipe in it.
inline constexpr JsonLimits kManifestLimits{.maxBytes = 16 << 20, .maxDepth = 32, .maxValues = 1 << 20};
/// Levels of it around what an overlay says of how it was made: the manifest, its provenance, the list of overlays.
inline constexpr unsigned kLevelsAroundOverlays = 3;

/// Code for one kind of processor.
struct ArtifactTarget {
  std::string name;                  ///< "x86-64-v4+vnni+bf16"
  std::string architecture;          ///< "x86-64" or "aarch64"
  std::vector<std::string> features; ///< all of them must be there (names: lib/Runtime/CpuFeatures.h)
  std::string tensor;                ///< "code.N"
};

/// What the runtime must know of a compiled model; "qopt.manifest" of an artifact's metadata.
struct Manifest {
  struct Model {
    std::string name;         ///< for people
    std::string architecture; ///< "llama"
    int64_t vocabulary = 0;   ///< token ids are below it; logits per row, if there are logits
    int64_t hidden = 0;       ///< width of a hidden state; 0: the code hands none out
    int64_t layers = 0;
    int64_t context = 0; ///< most positions of one sequence
  };
  struct Cache {
    int64_t blockTokens = 0; ///< positions per block
    int64_t blockBytes = 0;  ///< all layers, keys and values; a multiple of 64
    std::string format;      ///< "f16", "f32": for people, the layout is the target's
  };
  /// A forward over T tokens with R wanted rows needs constant + perToken * T + perRow * R bytes.
  struct Arena {
    int64_t constant = 0, perToken = 0, perRow = 0;
  };
  /// One kernel of the forward: what runs between two barriers.
  struct Dispatch {
    std::string kernel;      ///< its name in the code
    bool overRows = false;   ///< its work grows with the wanted rows, not with the tokens
    int64_t weightBytes = 0; ///< of the matrix that it multiplies with; 0 where it multiplies with none
    int64_t operations = 0;  ///< multiplications and additions with that matrix, per token or row
  };
  /// Dispatches in their order, all of them `times` over: once, or a layer of several that are alike.
  struct Steps {
    int64_t times = 1;
    std::vector<Dispatch> dispatches;
  };

  /// A tensor of floats beside tokens and logits: [tokens, channels].
  struct Stream {
    std::string name; ///< for people
    int64_t channels = 0;
  };

  Model model;
  Cache cache;
  Arena arena;
  std::vector<Stream> inputs, outputs; ///< of a part of a model; a part with outputs has no logits
  int64_t counters = 0;                ///< 8-byte work claims per forward
  std::vector<Steps> schedule;         ///< what a forward runs, a barrier after each dispatch; for profiles
  std::string entry = "qopt_forward";  ///< the symbol of a QoptForwardFn
  int64_t weightBytes = 0;             ///< the end of the last weight, from the start of the data section
  std::vector<ArtifactTarget> targets; ///< best first
  nlohmann::ordered_json provenance = nlohmann::ordered_json::object(); ///< digests, versions, scheme: opaque here

  nlohmann::ordered_json toJson() const;
  /// Reads and checks every field: types, ranges, unknown and missing keys. Bad input names the field.
  static Result<Manifest> fromJson(const nlohmann::ordered_json &json);
  /// The same of text, within kManifestLimits.
  static Result<Manifest> parse(std::string_view text);
};

} // namespace qopt

#endif // QOPT_LIB_ARTIFACT_MANIFEST_H
