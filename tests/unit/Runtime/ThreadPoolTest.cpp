#include "lib/Runtime/ThreadPool.h"
#include "lib/Runtime/CpuFeatures.h"
#include "lib/Runtime/UsableCpus.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <thread>
#include <unistd.h>

using namespace qopt;

namespace {

class ThreadPoolAt : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolAt, RunsEveryWorkerOnAThreadOfItsOwn) {
  int workers = GetParam();
  auto pool = std::move(*ThreadPool::create(workers));
  ASSERT_EQ(pool->workers(), workers);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::thread::id> threads(workers);
    std::vector<int> calls(workers, 0);
    pool->runEach([&](int worker) {
      threads[worker] = std::this_thread::get_id();
      ++calls[worker];
    });
    EXPECT_EQ(calls, std::vector<int>(workers, 1));
    EXPECT_EQ(std::set(threads.begin(), threads.end()).size(), static_cast<size_t>(workers));
    EXPECT_EQ(threads[0], std::this_thread::get_id()) << "the caller is worker 0";
  }
}

TEST_P(ThreadPoolAt, BarrierSeparatesSteps) {
  int workers = GetParam();
  auto pool = std::move(*ThreadPool::create(workers));
  for (int spin : {0, kSpinMicroseconds}) {
    Barrier barrier(workers, spin);
    constexpr int kSteps = 500;
    std::vector<int> values(workers, 0); // not atomic: the barrier orders them
    std::atomic<int> wrong{0};
    pool->runEach([&](int worker) {
      for (int step = 1; step <= kSteps; ++step) {
        values[worker] = step;
        if (barrier.wait() != 0)
          ++wrong;
        for (int other : values)
          wrong += other != step;
        if (barrier.wait() != 0)
          ++wrong;
      }
    });
    EXPECT_EQ(wrong, 0);
  }
}

TEST_P(ThreadPoolAt, StopReachesAllWorkersAtTheSameBarrier) {
  int workers = GetParam();
  auto pool = std::move(*ThreadPool::create(workers));
  Barrier barrier(workers, 0);
  for (int round = 0; round < 50; ++round) {
    barrier.reset();
    std::vector<int> stoppedAt(workers, -1);
    pool->runEach([&](int worker) {
      for (int step = 0; step < 20; ++step) {
        if (step == round % 10 && worker == workers - 1)
          barrier.stop();
        if (barrier.wait() != 0) {
          stoppedAt[worker] = step;
          return;
        }
      }
    });
    // The one that stops has not arrived yet, so this very barrier answers.
    EXPECT_EQ(stoppedAt, std::vector<int>(workers, round % 10));
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, ThreadPoolAt, testing::Values(1, 2, 4, 8));

TEST(ThreadPool, SeveralCallersTakeTurns) {
  auto pool = std::move(*ThreadPool::create(3));
  int total = 0; // guarded by the pool's turns: worker 1 alone adds
  auto caller = [&] {
    for (int i = 0; i < 200; ++i)
      pool->runEach([&](int worker) {
        if (worker == 1)
          ++total;
      });
  };
  std::thread first(caller), second(caller);
  first.join();
  second.join();
  EXPECT_EQ(total, 400);
}

TEST(ThreadPool, RefusesAbsurdCounts) {
  for (int count : {0, -1, 100000}) {
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(count);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().errorClass, ErrorClass::Usage);
  }
}

TEST(ThreadPool, DoesNotSpinWhereWorkersOutnumberCpus) {
  EXPECT_EQ(spinMicrosecondsFor(usableCpus()), kSpinMicroseconds);
  EXPECT_EQ(spinMicrosecondsFor(usableCpus() + 1), 0);
}

/// A tree of files that looks like /proc and /sys.
class FakeRoot {
public:
  FakeRoot() : path(testing::TempDir() + "qopt-cgroup-" + std::to_string(getpid())) {
    std::filesystem::remove_all(path);
  }
  ~FakeRoot() { std::filesystem::remove_all(path); }
  void file(const std::string &name, const std::string &text) {
    std::filesystem::create_directories(std::filesystem::path(path + name).parent_path());
    std::ofstream(path + name) << text;
  }
  const std::string path;
};

TEST(UsableCpus, ReadsQuotaOfVersion2AtEveryLevel) {
  FakeRoot root;
  root.file("/proc/self/cgroup", "0::/outer/inner\n");
  root.file("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n");
  root.file("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroupCpuQuota(root.path), 0);
  root.file("/sys/fs/cgroup/outer/cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroupCpuQuota(root.path), 2.5);
  root.file("/sys/fs/cgroup/outer/inner/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroupCpuQuota(root.path), 0.5);
}

TEST(UsableCpus, ReadsQuotaOfVersion1ThroughAContainersMount) {
  FakeRoot root;
  root.file("/proc/self/cgroup", "3:memory:/box/7\n2:cpu,cpuacct:/box/7\n0::/\n");
  root.file("/proc/self/mountinfo", "32 31 0:29 /box/7 /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
                                    "33 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
  root.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  root.file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroupCpuQuota(root.path), 0);
  root.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(cgroupCpuQuota(root.path), 3);
}

TEST(UsableCpus, CountsTheAffinityMask) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  int seen = usableCpus();
  sched_setaffinity(0, sizeof before, &before);
  EXPECT_EQ(seen, 1);
}

/// The kernel's own list is the witness.
TEST(CpuFeatures, AgreeWithTheKernel) {
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; std::getline(file, line) && flags.empty();)
    if (line.starts_with("flags") || line.starts_with("Features")) {
      std::istringstream words(line.substr(line.find(':') + 1));
      for (std::string word; words >> word;)
        flags.insert(word);
    }
  if (flags.empty())
    GTEST_SKIP() << "/proc/cpuinfo tells no features";
  CpuFeatures cpu = hostCpu();
  std::vector<std::pair<std::string, std::string>> names; // ours, the kernel's
  if (cpu.architecture == "x86-64")
    names = {{"avx2", "avx2"},
             {"fma", "fma"},
             {"f16c", "f16c"},
             {"avx512f", "avx512f"},
             {"avx512bw", "avx512bw"},
             {"avx512dq", "avx512dq"},
             {"avx512vl", "avx512vl"},
             {"avx512vbmi", "avx512vbmi"},
             {"avx512vnni", "avx512_vnni"},
             {"avx512bf16", "avx512_bf16"}};
  else if (cpu.architecture == "aarch64")
    names = {{"neon", "asimd"}, {"dotprod", "asimddp"}, {"i8mm", "i8mm"}, {"bf16", "bf16"}};
  else
    GTEST_SKIP() << "no features are known for this architecture";
  for (const auto &[ours, kernels] : names)
    EXPECT_EQ(cpu.has(ours), flags.contains(kernels)) << ours;
  std::vector<std::string> wanted = {names[0].first, "no-such-feature"};
  EXPECT_EQ(cpu.missing(wanted).back(), "no-such-feature") << "what nobody knows is missing";
}

} // namespace
