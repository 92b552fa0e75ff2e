#include "lib/Runtime/Context.h"

#include "lib/Runtime/Generate.h"
#include "tests/unit/Runtime/FakeModel.h"

#include <random>
#include <thread>

using namespace qopt;
using namespace qopt::fake;

namespace {

class ContextTest : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<Folder>();
    Parts().write(folder->file("model.qopt"));
    Result<std::shared_ptr<const Model>> opened = Model::open(folder->file("model.qopt"));
    ASSERT_TRUE(opened) << opened.error().format();
    model = std::move(*opened);
  }
  static void TearDownTestSuite() {
    model.reset();
    folder.reset();
  }

  static std::unique_ptr<Context> context(ContextOptions options = {}) {
    Result<std::unique_ptr<Context>> created = Context::create(model, options);
    EXPECT_TRUE(created) << created.error().format();
    return std::move(*created);
  }

  static inline std::unique_ptr<Folder> folder;
  static inline std::shared_ptr<const Model> model;
};

std::vector<int32_t> randomTokens(std::mt19937 &random, size_t count) {
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % 100); // not the probe
  return tokens;
}

/// Logits after each of `tokens`, row by row.
std::vector<float> expectedRows(std::span<const int32_t> tokens) {
  std::vector<float> rows;
  for (size_t i = 1; i <= tokens.size(); ++i) {
    std::vector<float> row = expectedLogits(tokens.first(i));
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

/// Appends tokens to one sequence; all rows.
std::vector<float> run(Context &context, SequenceId sequence, std::span<const int32_t> tokens) {
  std::vector<int32_t> rows(tokens.size());
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<int32_t>(i);
  std::vector<float> logits(tokens.size() * kVocabulary, -7);
  Result<ForwardOutcome> outcome =
      context.forward({.tokens = tokens, .sequences = {&sequence, 1}, .rows = rows, .logits = logits});
  EXPECT_TRUE(outcome) << outcome.error().format();
  EXPECT_EQ(*outcome, ForwardOutcome::Done);
  return logits;
}

/// Appends those of `tokens` that come after the first `done`, which the sequence holds: the logits are as ever.
void expectRest(Context &context, SequenceId sequence, std::span<const int32_t> tokens, size_t done) {
  std::vector<float> rest = run(context, sequence, tokens.subspan(done));
  std::vector<float> expected = expectedRows(tokens);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), expected.begin() + done * kVocabulary));
}

TEST_F(ContextTest, SameBitsAtAnyThreadsAndChunks) {
  std::mt19937 random(1);
  std::vector<int32_t> tokens = randomTokens(random, 50);
  std::vector<float> expected = expectedRows(tokens);
  for (int threads : {1, 2, 4, 8})
    for (int64_t chunk : {1, 3, 4, 7, 50, 512}) {
      for (int64_t chunkRows : {int64_t(0), int64_t(2)}) {
        auto one = context({.threads = threads, .chunkTokens = chunk, .chunkRows = chunkRows});
        EXPECT_EQ(one->workers(), threads);
        SequenceId sequence = *one->cache().createSequence();
        EXPECT_EQ(run(*one, sequence, tokens), expected) << threads << " threads, chunks of " << chunk;
      }
    }
}

TEST_F(ContextTest, SameBitsInSeveralCallsAndTokenByToken) {
  std::mt19937 random(2);
  std::vector<int32_t> tokens = randomTokens(random, 40);
  std::vector<float> expected = expectedRows(tokens), seen;
  auto one = context({.threads = 2});
  SequenceId sequence = *one->cache().createSequence();
  for (size_t at = 0, step = 1; at < tokens.size(); at += step, step = 1 + random() % 5) {
    size_t count = std::min(step, tokens.size() - at);
    std::vector<float> part = run(*one, sequence, std::span(tokens).subspan(at, count));
    seen.insert(seen.end(), part.begin(), part.end());
    step = count;
  }
  EXPECT_EQ(seen, expected);
}

/// Many sequences with mixed tokens, forks in the middle, and rows asked for here and there.
TEST_F(ContextTest, SameBitsInABatchWithOthersAndThroughForks) {
  std::mt19937 random(3);
  for (int threads : {1, 2, 4, 8}) {
    auto one = context({.threads = threads, .cacheTokens = 2000, .chunkTokens = 16});
    std::vector<std::pair<SequenceId, std::vector<int32_t>>> sequences;
    for (int i = 0; i < 3; ++i)
      sequences.push_back({*one->cache().createSequence(), {}});
    for (int step = 0; step < 60; ++step) {
      if (step % 7 == 3 && sequences.size() < 9) {
        auto parent = sequences[random() % sequences.size()];
        sequences.push_back({*one->cache().fork(parent.first), parent.second});
      }
      if (step % 11 == 5) {
        auto &[id, tokens] = sequences[random() % sequences.size()];
        tokens.resize(tokens.size() / 2);
        ASSERT_TRUE(one->cache().truncate(id, tokens.size()));
      }
      std::vector<int32_t> tokens, rows;
      std::vector<SequenceId> ids;
      std::vector<float> expected;
      for (int i = 0, count = 1 + random() % 40; i < count; ++i) {
        auto &[id, history] = sequences[random() % sequences.size()];
        if (history.size() == kContext)
          continue;
        history.push_back(static_cast<int32_t>(random() % 100));
        tokens.push_back(history.back());
        ids.push_back(id);
        if (random() % 3 == 0) {
          rows.push_back(static_cast<int32_t>(tokens.size() - 1));
          std::vector<float> row = expectedLogits(history);
          expected.insert(expected.end(), row.begin(), row.end());
        }
      }
      std::vector<float> logits(rows.size() * kVocabulary);
      Result<ForwardOutcome> outcome =
          one->forward({.tokens = tokens, .sequences = ids, .rows = rows, .logits = logits});
      ASSERT_TRUE(outcome) << outcome.error().format();
      ASSERT_EQ(logits, expected) << "step " << step << " at " << threads << " threads";
    }
  }
}

TEST_F(ContextTest, HiddenStatesFollowTheRows) {
  auto one = context({.threads = 2, .chunkTokens = 3});
  SequenceId a = *one->cache().createSequence(), b = *one->cache().createSequence();
  std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 7}, all = {0, 1, 2, 3, 4, 5, 6}, some = {1, 5};
  std::vector<float> logits(7 * kVocabulary), allHidden(7 * kHidden), someHidden(2 * kHidden);
  ASSERT_TRUE(
      one->forward({.tokens = tokens, .sequences = {&a, 1}, .rows = all, .logits = logits, .hidden = allHidden}));
  ASSERT_TRUE(
      one->forward({.tokens = tokens, .sequences = {&b, 1}, .rows = some, .logits = logits, .hidden = someHidden}));
  for (int64_t j = 0; j < kHidden; ++j) {
    EXPECT_EQ(someHidden[j], allHidden[1 * kHidden + j]);
    EXPECT_EQ(someHidden[kHidden + j], allHidden[5 * kHidden + j]);
  }
  EXPECT_NE(someHidden[0], someHidden[kHidden]);
}

TEST_F(ContextTest, EveryWorkerRuns) {
  for (int threads : {1, 2, 4, 8}) {
    auto one = context({.threads = threads});
    std::vector<float> logits = run(*one, *one->cache().createSequence(), std::vector<int32_t>{kProbe});
    EXPECT_EQ(logits[0], threads) << "workers that entered the compiled code";
    EXPECT_EQ(logits[1], threads);
  }
}

/// One thread per worker and run, as a caller's own pool might do it.
class SlowPool final : public WorkerPool {
public:
  int workers() const override { return 3; }
  void run(Work work, void *argument) override {
    ++runs;
    std::vector<std::thread> threads;
    for (int worker = 0; worker < workers(); ++worker)
      threads.emplace_back(work, argument, worker);
    for (std::thread &thread : threads)
      thread.join();
  }
  int runs = 0;
};

TEST_F(ContextTest, CallersPoolIsUsed) {
  auto pool = std::make_shared<SlowPool>();
  auto one = context({.threads = 7, .pool = pool, .chunkTokens = 4});
  EXPECT_EQ(one->workers(), 3);
  std::vector<int32_t> tokens = {5, 6, 7, 8, 9, 10};
  EXPECT_EQ(run(*one, *one->cache().createSequence(), tokens), expectedRows(tokens));
  EXPECT_EQ(pool->runs, 2) << "one run per chunk";
}

TEST_F(ContextTest, AbortLeavesSequencesAsTheyWere) {
  std::mt19937 random(4);
  for (int threads : {1, 3}) {
    auto one = context({.threads = threads, .chunkTokens = 5});
    std::vector<int32_t> tokens = randomTokens(random, 30);
    SequenceId sequence = *one->cache().createSequence();
    std::vector<float> first = run(*one, sequence, std::span(tokens).first(6));
    int64_t freeBefore = one->cache().freeBlocks();
    // Chunks of 5 have 4 barriers and one question before: 22 more tokens ask 25 times.
    for (int stopAt = 0; stopAt < 25; ++stopAt) {
      int asked = 0;
      one->setAbort([&] { return asked++ == stopAt; });
      std::vector<float> logits(22 * kVocabulary);
      int32_t row = 21;
      Result<ForwardOutcome> outcome = one->forward({.tokens = std::span(tokens).subspan(6, 22),
                                                     .sequences = {&sequence, 1},
                                                     .rows = {&row, 1},
                                                     .logits = logits,
                                                     .hidden = {}});
      ASSERT_TRUE(outcome) << outcome.error().format();
      EXPECT_EQ(*outcome, ForwardOutcome::Aborted) << "stopped at " << stopAt;
      EXPECT_EQ(*one->cache().length(sequence), 6);
      EXPECT_EQ(one->cache().freeBlocks(), freeBefore);
    }
    one->setAbort(nullptr);
    expectRest(*one, sequence, tokens, 6);
  }
}

TEST_F(ContextTest, AnExceptionLeavesSequencesAsTheyWere) {
  std::mt19937 random(5);
  std::vector<int32_t> tokens = randomTokens(random, 30);
  auto one = context({.threads = 1, .chunkTokens = 5});
  SequenceId sequence = *one->cache().createSequence();
  run(*one, sequence, std::span(tokens).first(6));
  int64_t freeBefore = one->cache().freeBlocks();
  for (int throwAt : {0, 5}) { // the questions before the first chunk and before the second
    int asked = 0;
    one->setAbort([&] { return asked++ == throwAt ? throw std::bad_alloc() : false; });
    Batch batch{.tokens = std::span(tokens).subspan(6, 22), .sequences = {&sequence, 1}};
    EXPECT_THROW((void)one->forward(batch), std::bad_alloc);
    EXPECT_EQ(*one->cache().length(sequence), 6);
    EXPECT_EQ(one->cache().freeBlocks(), freeBefore);
  }
  one->setAbort(nullptr);
  expectRest(*one, sequence, tokens, 6);
}

TEST_F(ContextTest, RefusesWhatDoesNotFit) {
  auto one = context({.threads = 1, .contextTokens = 20, .cacheTokens = 30});
  SequenceId sequence = *one->cache().createSequence(), other = *one->cache().createSequence();
  std::vector<float> logits(2 * kVocabulary);
  auto refused = [&](Batch batch, ErrorClass expected, const char *text) {
    Result<ForwardOutcome> outcome = one->forward(batch);
    ASSERT_FALSE(outcome) << text;
    EXPECT_EQ(outcome.error().errorClass, expected) << text;
    EXPECT_NE(outcome.error().rule.find(text), std::string::npos) << outcome.error().rule;
    EXPECT_EQ(*one->cache().length(sequence), 0);
    EXPECT_EQ(*one->cache().length(other), 0);
  };
  std::vector<int32_t> two = {1, 2}, high = {1, kVocabulary}, negative = {-1}, tooMany(21, 3), full(16, 3),
                       twice(40, 3);
  std::vector<int32_t> rows = {0, 1}, backwards = {1, 0}, beyond = {2}, same = {1, 1};
  std::span<const SequenceId> mine(&sequence, 1);
  refused({high, mine, {}, {}, {}}, ErrorClass::Usage, "token ids below 101");
  refused({negative, mine, {}, {}, {}}, ErrorClass::Usage, "token ids below 101");
  refused({two, mine, backwards, logits, {}}, ErrorClass::Usage, "ascending");
  refused({two, mine, same, logits, {}}, ErrorClass::Usage, "ascending");
  refused({two, mine, beyond, logits, {}}, ErrorClass::Usage, "below 2");
  refused({two, mine, rows, std::span(logits).first(kVocabulary * 2 - 1), {}}, ErrorClass::Usage, "logits");
  std::vector<float> hidden(2 * kHidden - 1);
  refused({two, mine, rows, logits, hidden}, ErrorClass::Usage, "hidden");
  refused({two, {}, {}, {}, {}}, ErrorClass::Usage, "one sequence");
  SequenceId dead = sequence + 100;
  refused({two, {&dead, 1}, {}, {}, {}}, ErrorClass::Usage, "live sequence");
  refused({tooMany, mine, {}, {}, {}}, ErrorClass::BadInput, "at most 20 tokens");
  std::vector<SequenceId> ids(40, sequence);
  std::fill(ids.begin() + 20, ids.end(), other);
  refused({twice, ids, {}, {}, {}}, ErrorClass::Resource, "cache is full");
}

TEST_F(ContextTest, RefusesAbsurdOptions) {
  for (ContextOptions options : {ContextOptions{.contextTokens = kContext + 1}, ContextOptions{.contextTokens = -1},
                                 ContextOptions{.chunkTokens = 0}, ContextOptions{.chunkRows = -3},
                                 ContextOptions{.cacheTokens = -1}, ContextOptions{.threads = -2}}) {
    Result<std::unique_ptr<Context>> created = Context::create(model, options);
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().errorClass, ErrorClass::Usage);
  }
}

TEST_F(ContextTest, SeveralContextsRunAtOnce) {
  std::vector<std::thread> users;
  std::atomic<int> wrong{0};
  auto shared = std::shared_ptr<WorkerPool>(std::move(*ThreadPool::create(2)));
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      std::mt19937 random(user);
      auto one = context({.threads = 2, .pool = user < 2 ? shared : nullptr, .chunkTokens = 9});
      for (int round = 0; round < 10; ++round) {
        std::vector<int32_t> tokens = randomTokens(random, 33);
        SequenceId sequence = *one->cache().createSequence();
        wrong += run(*one, sequence, tokens) != expectedRows(tokens);
        wrong += !one->cache().freeSequence(sequence);
      }
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ContextTest, GeneratesUntilToldToStop) {
  auto one = context({.threads = 2, .cacheTokens = 1000});
  auto greedy = [](std::span<const float> logits) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end() - 1) - logits.begin()); // no probe
  };
  std::vector<int32_t> prompt = {3, 1, 4, 1, 5}, expected = prompt;
  for (int i = 0; i < 10; ++i)
    expected.push_back(greedy(expectedLogits(expected)));
  std::vector<int32_t> made(expected.begin() + 5, expected.end());

  SequenceId first = *one->cache().createSequence();
  std::vector<int32_t> told;
  auto tell = [&](int32_t token) {
    told.push_back(token);
    return true;
  };
  Result<GenerateResult> result = generate(*one, first, prompt, {.maxTokens = 10}, greedy, tell);
  ASSERT_TRUE(result) << result.error().format();
  EXPECT_EQ(result->tokens, made);
  EXPECT_EQ(told, made);
  EXPECT_EQ(result->end, GenerateEnd::MaxTokens);
  EXPECT_EQ(result->decodeForwards, 9);
  EXPECT_EQ(*one->cache().length(first), 14) << "the last token is not in the sequence";

  SequenceId second = *one->cache().createSequence();
  result = generate(*one, second, prompt, {.maxTokens = 10, .stopTokens = {made[3]}}, greedy, tell);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, GenerateEnd::StopToken);
  EXPECT_EQ(result->tokens.back(), made[3]);

  SequenceId third = *one->cache().createSequence();
  result = generate(*one, third, prompt, {.maxTokens = 1000}, greedy, tell);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, GenerateEnd::ContextFull);
  EXPECT_EQ(*one->cache().length(third), kContext);

  result = generate(*one, third, prompt, {}, greedy, tell);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errorClass, ErrorClass::BadInput) << "a prompt longer than the context";
  EXPECT_FALSE(generate(*one, first, {}, {}, greedy, tell));
}

TEST_F(ContextTest, ProfileCountsWhatTheManifestNames) {
  auto context = this->context({.threads = 2, .chunkTokens = 3});
  Profile profile(model->manifest());
  context->setProfile(&profile);
  SequenceId sequence = *context->cache().createSequence();
  std::vector<int32_t> tokens{1, 2, 3, 4, 5};
  std::vector<float> logits = run(*context, sequence, tokens);
  EXPECT_EQ(logits, expectedRows(tokens)) << "profiling changes nothing";
  // Four barriers in each of two chunks; "finish" is after the third and the fourth.
  EXPECT_TRUE(profile.agrees());
  std::vector<DispatchTime> times = profile.byTime();
  ASSERT_EQ(times.size(), 3u);
  double sum = 0;
  for (const DispatchTime &time : times) {
    bool finish = time.kernel == "finish", mix = time.kernel == "mix";
    EXPECT_EQ(time.calls, finish ? 4 : 2) << time.kernel;
    EXPECT_EQ(time.weightBytes, finish ? 4 * 3 : mix ? 2 * 448 : 0) << time.kernel;
    EXPECT_EQ(time.operations, finish ? 5 * 2 * 7 : mix ? 5 * 10 : 0) << time.kernel;
    sum += time.seconds;
  }
  EXPECT_GT(sum, 0);
  EXPECT_LE(sum, profile.seconds());

  context->setProfile(nullptr);
  run(*context, sequence, tokens);
  EXPECT_EQ(profile.byTime()[0].calls + profile.byTime()[1].calls + profile.byTime()[2].calls, 8);

  // The probe has one barrier more than the manifest says.
  context->setProfile(&profile);
  std::vector<int32_t> probe{kProbe};
  run(*context, sequence, probe);
  EXPECT_FALSE(profile.agrees());
}

} // namespace
