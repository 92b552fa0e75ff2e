// The side report of a quantization: where and when it ran, what each stage took. None of it goes into what a
// quantization writes, so that two runs can be compared byte by byte.
#ifndef QOPT_TOOLS_QOPT_RUNREPORT_H
#define QOPT_TOOLS_QOPT_RUNREPORT_H

#include "lib/Archive/OutputFile.h"
#include "lib/Support/Error.h"

#include "mlir/Pass/PassManager.h"

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

class RunReport {
public:
  /// For the file at `path`, which is not there before write(); empty: nothing is noted. Errors: as OutputFile, now and
  /// not after hours of work.
  static Result<RunReport> begin(const std::string &path, std::string command);

  /// Runs `stage` and notes what it took.
  template <typename Stage> auto time(const char *name, Stage &&stage) {
    Clock::time_point since = Clock::now();
    auto result = stage();
    note(name, since);
    return result;
  }
  /// Notes what each pass of `manager` takes, by its argument. The report outlives the manager, and stays in its place.
  void watch(mlir::PassManager &manager);

  void setResumed(int64_t pieces) { resumed = pieces; }

  /// What was found on a gate's text.
  void addGate(nlohmann::ordered_json found) { gates.push_back(std::move(found)); }

  /// Writes the file, if there is one; with `outputs`, as one of that set. Errors: as OutputFile.
  Status write(OutputSet *outputs = nullptr);

private:
  using Clock = std::chrono::steady_clock;
  struct Instrumentation;
  struct Stage {
    std::string name;
    double seconds;
    int64_t peakBytes; ///< of the process until then
  };
  explicit RunReport(std::string command)
      : command(std::move(command)), started(std::time(nullptr)), start(Clock::now()) {}
  void note(std::string name, Clock::time_point since);

  std::optional<OutputFile> file;
  std::string command;
  std::time_t started;
  Clock::time_point start;
  int64_t resumed = 0;
  std::vector<Stage> stages;
  nlohmann::ordered_json gates = nlohmann::ordered_json::array();
};

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_RUNREPORT_H
