// Temporary file, fsync, rename, fsync of the directory. The directory stays open from start to end, so that neither a
// change of the working directory nor a renamed parent separates the temporary file from its place.
#include "lib/Archive/OutputFile.h"

#include "lib/Archive/TemporaryFiles.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt {

struct OutputFile::State {
  std::string path;          ///< as the user gave it, for messages
  std::string finalName;     ///< in `directory`
  std::string temporaryName; ///< in `directory`; empty for devices and pipes
  std::string folder;        ///< whose `directory` it is: where a symbolic link leads, not where it lies
  int directory = -1;
  int file = -1;
  int ticket = -1; ///< of noteTemporaryFile
  uint64_t position = 0;
  uint64_t inode = 0; ///< once it is sealed
  bool regular = true;

  ~State() { close(); }

  /// Closes everything; removes the file unless it is to stay.
  void close() {
    if (file >= 0)
      ::close(std::exchange(file, -1));
    if (ticket >= 0)
      removeTemporaryFile(std::exchange(ticket, -1));
    if (directory >= 0)
      ::close(std::exchange(directory, -1));
  }

  /// The error for `code`, after giving up the output.
  Error fail(const char *action, int code) {
    bool started = file >= 0;
    close();
    Error error = resourceError(std::string(action) + ": " + std::strerror(code), escapeForMessage(path, 1000));
    if (code == ENOENT || code == ENOTDIR || code == EISDIR || code == ELOOP)
      error.errorClass = ErrorClass::Usage;
    error.outcome = regular   ? "no output was left behind; a file that had this name before is unchanged"
                    : started ? "the output is incomplete"
                              : "nothing was written";
    error.next = code == ENOSPC || code == EDQUOT ? "free some space there, or name a place on another file system"
                 : code == EFBIG                  ? "raise the limit on file sizes ('ulimit -f')"
                 : code == ENOENT                 ? "create the directory first"
                                                  : "name a place that can be written";
    return error;
  }

  Status openTemporary(mode_t mode);
  Status seal();
  Status publish();
  Status publishForNow();
  Status keep();
  Status writeAll(std::span<const std::byte> bytes, std::optional<uint64_t> offset);
};

/// A name beside `finalName` that nobody has; none where the system gives no random number.
static std::optional<std::string> temporaryNameFor(const std::string &finalName) {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    return std::nullopt;
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%016llx.partial", static_cast<unsigned long long>(number));
  return "." + finalName.substr(0, 200) + suffix;
}

/// Creates the temporary file, with the permissions `mode` (or, if 0, what the umask gives to a new file).
Status OutputFile::State::openTemporary(mode_t mode) {
  std::optional<std::string> name = temporaryNameFor(finalName);
  if (!name)
    return fail("cannot name a temporary file", errno);
  temporaryName = std::move(*name);
  ticket = noteTemporaryFile(directory, temporaryName.c_str(), finalName.c_str());
  if (ticket < 0)
    return fail("too many outputs are being written at once", EMFILE);
  file = ::openat(directory, temporaryName.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) {
    int code = errno;
    forgetTemporaryFile(std::exchange(ticket, -1)); // nothing of ours to remove
    return fail("cannot create the output", code);
  }
  if (mode != 0 && ::fchmod(file, mode) != 0)
    return fail("cannot set the output's permissions", errno);
  return {};
}

Status OutputFile::State::writeAll(std::span<const std::byte> bytes, std::optional<uint64_t> offset) {
  if (file < 0)
    return Error{ErrorClass::Bug,
                 "an output was written after it was committed or given up",
                 escapeForMessage(path, 1000),
                 {},
                 {}};
  while (!bytes.empty()) {
    size_t piece = std::min<size_t>(bytes.size(), 1 << 30);
    ssize_t written =
        offset ? ::pwrite(file, bytes.data(), piece, static_cast<off_t>(*offset)) : ::write(file, bytes.data(), piece);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return fail("cannot write the output", written == 0 ? EIO : errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    if (offset)
      *offset += static_cast<uint64_t>(written);
  }
  return {};
}

/// Gives `file` its size, with the blocks allocated where the file system can. Returns 0 or an errno.
static int allocate(int file, uint64_t size) {
  if (size == 0)
    return 0;
  int result;
  do
    result = ::fallocate(file, 0, 0, static_cast<off_t>(size));
  while (result != 0 && errno == EINTR);
  if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
    result = ::ftruncate(file, static_cast<off_t>(size));
  return result == 0 ? 0 : errno;
}

/// Where `path` leads through symbolic links, also to what does not exist yet. Only the last component is looked at:
/// the system follows the others. None: in a circle.
static std::optional<std::string> followLinks(const std::string &path) {
  std::filesystem::path target = path;
  for (int links = 0; links <= 40; ++links) { // as many as Linux follows
    std::error_code code;
    std::filesystem::path next = std::filesystem::read_symlink(target, code);
    if (code) // no link, or nothing that has this name
      return target.string();
    target = target.parent_path() / next;
  }
  return std::nullopt;
}

Result<OutputFile> OutputFile::create(const std::string &path, std::optional<uint64_t> size) {
  auto state = std::make_unique<State>();
  state->path = path;
  struct stat status;
  bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode))
    return state->fail("cannot write the output", EISDIR);
  if (exists && !S_ISREG(status.st_mode)) {
    state->regular = false;
    state->file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (state->file < 0)
      return state->fail("cannot open the output", errno);
    return OutputFile(std::move(state));
  }
  // A rename would get around a file's own permissions, and would replace a symbolic link instead of what it names.
  if (exists && ::access(path.c_str(), W_OK) != 0)
    return state->fail("cannot write the output", errno);
  std::optional<std::string> target = followLinks(path);
  if (!target)
    return state->fail("cannot write the output", ELOOP);
  size_t slash = target->rfind('/');
  std::string folder = slash == std::string::npos ? "." : target->substr(0, slash + 1);
  state->finalName = slash == std::string::npos ? *target : target->substr(slash + 1);
  if (state->finalName.empty())
    return state->fail("cannot write the output", path.empty() ? ENOENT : EISDIR);
  state->folder = folder;
  state->directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (state->directory < 0)
    return state->fail("cannot open the output's directory", errno);
  if (Status opened = state->openTemporary(exists ? status.st_mode & 0777 : 0); !opened)
    return opened.takeError();
  if (int code = size ? allocate(state->file, *size) : 0)
    return state->fail("cannot allocate the output's space", code);
  return OutputFile(std::move(state));
}

OutputFile::OutputFile(std::unique_ptr<State> state) : state(std::move(state)) {}
OutputFile::OutputFile(OutputFile &&) noexcept = default;
OutputFile &OutputFile::operator=(OutputFile &&) noexcept = default;
OutputFile::~OutputFile() = default;

const std::string &OutputFile::path() const { return state->path; }
bool OutputFile::isRegular() const { return state->regular; }
uint64_t OutputFile::position() const { return state->position; }
void OutputFile::abandon() { state->close(); }

Status OutputFile::append(std::span<const std::byte> bytes) {
  std::optional<uint64_t> offset;
  if (state->regular)
    offset = state->position;
  if (Status status = state->writeAll(bytes, offset); !status)
    return status;
  state->position += bytes.size();
  return {};
}

Status OutputFile::writeAt(uint64_t offset, std::span<const std::byte> bytes) {
  if (!state->regular)
    return state->fail("cannot write out of order", ESPIPE);
  return state->writeAll(bytes, offset);
}

/// Makes the bytes durable; nothing can be written afterwards.
Status OutputFile::State::seal() {
  if (file < 0)
    return writeAll({}, {}); // says what is wrong
  struct stat status;
  if (regular && (::fsync(file) != 0 || ::fstat(file, &status) != 0))
    return fail("cannot make the output durable", errno);
  // Closing is where some devices and network file systems report what went wrong.
  if (::close(std::exchange(file, -1)) != 0)
    return fail("cannot finish the output", errno);
  if (regular)
    inode = status.st_ino;
  return {};
}

/// Gives the file its name, in place of one that had it before. It stays, also if an interrupt comes before keep().
Status OutputFile::State::publish() {
  if (regular && ::renameat(directory, temporaryName.c_str(), directory, finalName.c_str()) != 0)
    return fail("cannot give the output its name", errno);
  return {};
}

/// Whether linkat's `code` says that there is no file, or that it can have no second name; anything else (no space) is
/// better known before something was replaced.
static bool cannotBeLinked(int code) {
  return code == ENOENT || code == EPERM || code == EACCES || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK;
}

/// As publish(); but until keep() the file goes away as the temporary file would, and the old one comes back.
Status OutputFile::State::publishForNow() {
  if (!regular)
    return {};
  std::optional<std::string> oldName = temporaryNameFor(finalName);
  if (!oldName)
    return fail("cannot name a temporary file", errno);
  noteRename(ticket, inode, oldName->c_str());
  if (::linkat(directory, finalName.c_str(), directory, oldName->c_str(), 0) != 0 && !cannotBeLinked(errno))
    return fail("cannot keep the old output until the new one is complete", errno);
  return publish();
}

/// The file stays.
Status OutputFile::State::keep() {
  if (!regular)
    return {};
  forgetTemporaryFile(std::exchange(ticket, -1));
  if (::fsync(directory) != 0 && errno != EINVAL) { // EINVAL: this file system has no such thing
    Error error = fail("cannot make the output's name durable", errno);
    error.outcome = "the output is complete, but a power cut now might lose it";
    return error;
  }
  close();
  return {};
}

Status OutputFile::commit() {
  Status status = state->seal();
  if (status)
    status = state->publish();
  return status ? state->keep() : status;
}

OutputSet::OutputSet() = default;

OutputSet::~OutputSet() {
  files.clear();
  if (folderTicket >= 0)
    removeTemporaryFile(folderTicket);
  if (folderParent >= 0)
    ::close(folderParent);
}

Status OutputSet::makeFolder(const std::string &path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return {};
  auto fail = [&](int code) {
    Error error = resourceError(std::string("cannot make the output directory: ") + std::strerror(code),
                                escapeForMessage(path, 1000));
    if (code == ENOENT || code == ENOTDIR || code == EEXIST)
      error.errorClass = ErrorClass::Usage;
    error.outcome = "nothing was written";
    error.next = "name a directory in one that exists and can be written";
    return error;
  };
  std::string trimmed = path.substr(0, path.find_last_not_of('/') + 1);
  size_t slash = trimmed.rfind('/');
  std::string parent = slash == std::string::npos ? "." : trimmed.substr(0, slash + 1),
              name = trimmed.substr(slash + 1);
  folderParent = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folderParent < 0)
    return fail(errno);
  if (::fstatat(folderParent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
    return fail(EEXIST);
  // Under a temporary name first, as files are: there is no moment at which it exists and nobody would remove it.
  std::optional<std::string> temporary = temporaryNameFor(name);
  if (!temporary)
    return fail(errno);
  folderTicket = noteTemporaryFile(folderParent, temporary->c_str(), name.c_str(), /*folder=*/true);
  if (folderTicket < 0)
    return fail(EMFILE);
  if (::mkdirat(folderParent, temporary->c_str(), 0777) != 0 ||
      ::fstatat(folderParent, temporary->c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(errno);
  noteRename(folderTicket, status.st_ino);
  if (::renameat(folderParent, temporary->c_str(), folderParent, name.c_str()) != 0)
    return fail(errno);
  return {};
}

Status OutputSet::add(OutputFile file) {
  Status status = file.state->seal();
  if (status)
    files.push_back(std::move(file));
  return status;
}

std::string OutputSet::pendingPath(const std::string &path) const {
  for (const OutputFile &file : files)
    if (file.path() == path && !file.state->temporaryName.empty())
      return (file.state->folder == "." ? "" : file.state->folder) + file.state->temporaryName;
  return path;
}

Status OutputSet::publish() {
  leader = folderTicket;
  for (OutputFile &file : files)
    if (int ticket = file.state->ticket; ticket >= 0) {
      leader = leader < 0 ? ticket : leader;
      joinTemporaryFiles(ticket, leader);
    }
  for (OutputFile &file : files)
    if (Status status = file.state->publishForNow(); !status) {
      files.clear(); // takes the names of those before it away again
      return status;
    }
  return {};
}

Status OutputSet::keep() {
  if (leader >= 0)
    keepTemporaryFiles(leader); // from here on an interrupt leaves all of them
  Status result;
  // The leader is the folder or the first file: forgotten last.
  for (size_t i = files.size(); i-- > 0;)
    if (Status status = files[i].state->keep(); !status && result)
      result = std::move(status);
  files.clear();
  if (folderTicket >= 0)
    forgetTemporaryFile(std::exchange(folderTicket, -1));
  return result;
}

} // namespace qopt
