// See ImportedTokenizer.h.
#include "lib/Parameters/ImportedTokenizer.h"

#include "lib/Parameters/ArchivePaths.h"

using namespace qopt;

Result<LoadedTokenizer> qopt::loadImportedTokenizer(transformer::TokenizerOp op, const std::string &directory) {
  std::string path = resolvePath(op.getPath(), directory);
  Result<std::optional<LoadedTokenizer>> loaded = loadTokenizer(path);
  if (!loaded)
    return loaded.takeError();
  std::string digest = *loaded ? tokenizerDigest((*loaded)->spec) : "none";
  if (!*loaded || digest != op.getDigest().str())
    return badInput("expected the tokenizer that was imported, " + op.getDigest().str() + ", but got " + digest,
                    escapeForMessage(path, 1000))
        .withNext("import the model again, or put the file back that it was imported from");
  return std::move(**loaded);
}
