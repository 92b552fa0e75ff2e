// See ResumeFolder.h.
#include "lib/Parameters/ResumeFolder.h"

#include "lib/Archive/ContentDigest.h"
#include "lib/Archive/Json.h"
#include "lib/Archive/Sha256.h"

#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/file.h>
#include <unistd.h>

using namespace qopt;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

static constexpr std::string_view kIdentityFile = "identity.json", kLockFile = "lock";
static constexpr std::string_view kPieceKey = "qopt.piece", kTextKey = "qopt.text", kDigestKey = "qopt.digest";
static constexpr size_t kNameDigits = 32;                  // of a piece's file, of its name's digest
static constexpr std::string_view kFileDigest = ".sha256"; // behind a whole file's name

static Error folderError(const std::string &path, std::error_code code) {
  Error error = resourceError("cannot use the folder: " + code.message(), escapeForMessage(path, 1000));
  if (code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory ||
      code == std::errc::file_exists)
    error.errorClass = ErrorClass::Usage;
  return std::move(error).withNext("name a folder, or a new one within a folder that is there");
}

/// What identity.json says, or nothing where there is none.
static Result<std::optional<Json>> readIdentity(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return std::optional<Json>();
  std::string text((std::istreambuf_iterator<char>(file)), {});
  Result<Json> parsed = parseJson(text);
  if (!parsed || !parsed->is_object())
    return badInput("expected a JSON object", escapeForMessage(path, 1000))
        .withNext("remove the folder, and begin anew");
  return std::optional(std::move(*parsed));
}

static Status compareIdentity(const std::string &path, const Json &there, const Json &wanted) {
  std::string differing;
  for (const auto &[key, value] : wanted.items())
    if (!there.contains(key) || there[key] != value)
      differing += (differing.empty() ? "" : ", ") + key;
  for (const auto &[key, value] : there.items())
    if (!wanted.contains(key))
      differing += (differing.empty() ? "" : ", ") + escapeForMessage(key);
  if (differing.empty())
    return {};
  Error error =
      badInput("expected what this command has finished earlier, but got that of one that differs in " + differing,
               escapeForMessage(path, 1000));
  error.outcome = "the folder is as it was";
  return std::move(error).withNext("go on with the command that the folder was begun with, or name another folder");
}

/// Whether a file is left from a process that was killed while it wrote.
static bool isPartial(const fs::path &file) { return file.extension() == ".partial"; }

/// Whether anything is finished.
static bool holdsWork(const std::string &path) {
  std::error_code code;
  for (const fs::directory_entry &entry : fs::directory_iterator(path, code))
    if (entry.path().extension() == ".safetensors")
      return true;
  return false;
}

Result<std::unique_ptr<ResumeFolder>> ResumeFolder::open(const std::string &path, const Json &identity) {
  std::error_code code;
  fs::create_directory(path, code); // one, which remove() takes away again
  if (code)
    return folderError(path, code);
  std::string identityPath = (fs::path(path) / kIdentityFile).string(),
              lockPath = (fs::path(path) / kLockFile).string();
  Result<std::optional<Json>> there = readIdentity(identityPath);
  if (!there)
    return there.takeError();
  if (!*there)
    for (const fs::directory_entry &entry : fs::directory_iterator(path, code))
      if (entry.path().filename() != kLockFile && !isPartial(entry.path()))
        return badInput("expected a new or empty folder, or one that --resume has made, but got one with other files",
                        escapeForMessage(path, 1000))
            .withNext("name another folder");
  if (code)
    return folderError(path, code);
  int lock = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0)
    return folderError(lockPath, {errno, std::generic_category()});
  std::unique_ptr<ResumeFolder> folder(new ResumeFolder(path, lock));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0)
    return resourceError("another process works on the folder", escapeForMessage(path, 1000))
        .withNext("wait until it has ended, or name another folder");
  bool begins = !*there;
  if (*there)
    if (Status status = compareIdentity(path, **there, identity); !status) {
      if (holdsWork(path))
        return status.takeError();
      begins = true; // nothing is lost: a command that was refused before it did anything has left this
    }
  if (begins) {
    Result<OutputFile> file = OutputFile::create(identityPath);
    if (!file)
      return file.takeError();
    if (Status status = file->append(identity.dump(2) + "\n"); !status)
      return status.takeError();
    if (Status status = file->commit(); !status)
      return status.takeError();
  }
  // Nobody else writes here: we hold the lock.
  for (const fs::directory_entry &entry : fs::directory_iterator(path, code)) {
    std::error_code ignored;
    if (isPartial(entry.path()))
      fs::remove(entry.path(), ignored);
    else if (entry.path().extension() == ".safetensors")
      ++folder->foundPieces;
  }
  return folder;
}

ResumeFolder::~ResumeFolder() { ::close(lock); }

std::string ResumeFolder::pathOf(std::string_view file) const { return (fs::path(path) / file).string(); }

std::string ResumeFolder::fileOf(std::string_view kind, std::string_view name) const {
  // Names of parameters may hold anything.
  std::string digest = toString(sha256(std::as_bytes(std::span(name)))).substr(strlen("sha256:"), kNameDigits);
  return pathOf(std::string(kind) + "-" + digest + ".safetensors");
}

bool ResumeFolder::contains(std::string_view kind, std::string_view name) const {
  std::error_code code;
  return fs::exists(fileOf(kind, name), code);
}

static Error damagedFile(std::string rule, const std::string &file) {
  return badInput(std::move(rule), escapeForMessage(file, 1000))
      .withNext("remove this file, and run the command again");
}

Result<bool> ResumeFolder::containsFile(std::string_view file) const {
  std::string path = pathOf(file), digestPath = path + std::string(kFileDigest);
  std::ifstream digest(digestPath, std::ios::binary);
  std::error_code code;
  if (!digest || !fs::exists(path, code))
    return false; // whatever is there was never finished
  std::string wanted((std::istreambuf_iterator<char>(digest)), {});
  Result<std::string> got = contentDigest(path);
  if (!got)
    return got.takeError();
  if (*got != wanted)
    return damagedFile("expected a file with digest " + escapeForMessage(wanted) + ", but got " + *got, path);
  return true;
}

Status ResumeFolder::finishFile(std::string_view file) {
  Result<std::string> digest = contentDigest(pathOf(file));
  if (!digest)
    return digest.takeError();
  Result<OutputFile> output = OutputFile::create(pathOf(file) + std::string(kFileDigest));
  if (!output)
    return output.takeError();
  if (Status status = output->append(*digest); !status)
    return status;
  return output->commit();
}

Error ResumeFolder::Piece::damaged(std::string rule) const { return damagedFile(std::move(rule), archive->path()); }

Result<ResumeFolder::Piece> ResumeFolder::read(std::string_view kind, std::string_view name) const {
  std::string file = fileOf(kind, name);
  Result<std::shared_ptr<const Archive>> archive = Archive::open(file);
  if (!archive)
    return damagedFile(archive.error().rule, file);
  std::optional<std::string_view> piece = (*archive)->metadata(kPieceKey), text = (*archive)->metadata(kTextKey),
                                  digest = (*archive)->metadata(kDigestKey);
  if (!piece || *piece != name || !text || !digest)
    return damagedFile("expected the finished " + std::string(kind) + " \"" + escapeForMessage(name) + "\"", file);
  Sha256 sum;
  sum.update(std::as_bytes(std::span(*text)));
  for (const TensorEntry &entry : (*archive)->tensors())
    sum.update((*archive)->bytes(entry));
  if (toString(sum.finish()) != *digest)
    return damagedFile("expected tensors with digest " + std::string(*digest) + ", but got others", file);
  return Piece{*archive, std::string(*text)};
}

Status ResumeFolder::write(std::string_view kind, std::string_view name, std::span<const Part> parts,
                           std::string text) {
  std::vector<TensorDeclaration> declarations;
  Sha256 sum;
  sum.update(std::as_bytes(std::span(text)));
  for (const Part &part : parts) {
    declarations.push_back(part.declaration);
    sum.update(part.bytes);
  }
  Result<SafetensorsPlan> plan = planSafetensors(std::move(declarations));
  if (!plan)
    return plan.takeError();
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(fileOf(kind, name), std::move(*plan),
                                                               {{std::string(kPieceKey), std::string(name)},
                                                                {std::string(kTextKey), std::move(text)},
                                                                {std::string(kDigestKey), toString(sum.finish())}});
  if (!writer)
    return writer.takeError();
  for (const Part &part : parts)
    if (Status status = writer->append(part.declaration.name, part.bytes); !status)
      return status;
  return writer->commit();
}

/// Whether a file is a piece, a whole file that was finished, its digest, or what a killed process has left.
static bool isOwn(const fs::path &file) {
  auto isHex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  std::string stem = file.stem().string(), digest = stem.substr(stem.rfind('-') + 1);
  bool isPiece = file.extension() == ".safetensors" && stem != digest && digest.size() == kNameDigits &&
                 std::ranges::all_of(digest, isHex);
  std::error_code code;
  return isPiece || isPartial(file) || file.extension() == kFileDigest ||
         fs::exists(file.string() + std::string(kFileDigest), code);
}

Status ResumeFolder::remove() {
  std::error_code code;
  // The identity goes last but one: a folder that still has pieces can still be gone on with.
  std::vector<fs::path> files;
  for (const fs::directory_entry &entry : fs::directory_iterator(path, code))
    if (isOwn(entry.path()))
      files.push_back(entry.path());
  files.push_back(pathOf(kIdentityFile));
  files.push_back(pathOf(kLockFile));
  for (const fs::path &file : files)
    if (!fs::remove(file, code) && code) {
      Error error = folderError(file.string(), code);
      error.outcome = "what was made stands";
      return std::move(error).withNext("remove the folder");
    }
  fs::remove(path, code); // which stays if somebody has put something there
  return {};
}
