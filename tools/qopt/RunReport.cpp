// See RunReport.h.
#include "tools/qopt/RunReport.h"

#include "lib/Runtime/App/ModelFile.h"
#include "lib/Runtime/UsableCpus.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/TargetParser/Host.h"

#include <unistd.h>

using namespace qopt;

Result<RunReport> RunReport::begin(const std::string &path, std::string command) {
  RunReport report(std::move(command));
  if (path.empty())
    return Result<RunReport>(std::move(report));
  Result<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  report.file.emplace(std::move(*file));
  return Result<RunReport>(std::move(report));
}

void RunReport::note(std::string name, Clock::time_point since) {
  std::chrono::duration<double> taken = Clock::now() - since;
  stages.push_back({std::move(name), taken.count(), peakResidentBytes()});
}

struct RunReport::Instrumentation : mlir::PassInstrumentation {
  explicit Instrumentation(RunReport &report) : report(report) {}
  void runBeforePass(mlir::Pass *, mlir::Operation *) override { since = Clock::now(); }
  void runAfterPass(mlir::Pass *pass, mlir::Operation *) override {
    if (!pass->getArgument().empty()) // adaptors have none
      report.note(pass->getArgument().str(), since);
  }
  RunReport &report;
  Clock::time_point since;
};

void RunReport::watch(mlir::PassManager &manager) {
  if (file)
    manager.addInstrumentation(std::make_unique<Instrumentation>(*this));
}

Status RunReport::write(OutputSet *outputs) {
  if (!file)
    return {};
  char host[256] = "", time[32] = "";
  (void)::gethostname(host, sizeof host - 1);
  std::tm utc{};
  ::gmtime_r(&started, &utc);
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::chrono::duration<double> taken = Clock::now() - start;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Stage &stage : stages)
    list.push_back({{"name", stage.name}, {"seconds", stage.seconds}, {"peak_resident_bytes", stage.peakBytes}});
  nlohmann::ordered_json report{
      {"command", command},
      {"started", time},
      {"host", {{"name", host}, {"cpu", llvm::sys::getHostCPUName().str()}, {"threads", usableCpus()}}},
      {"resumed_pieces", resumed},
      {"seconds", taken.count()},
      {"stages", std::move(list)},
      {"gates", gates}};
  // A host's name is whatever someone has called it.
  if (Status status = file->append(report.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
      !status)
    return status;
  return outputs ? outputs->add(std::move(*file)) : file->commit();
}
