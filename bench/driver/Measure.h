// What the two drivers (ours and the peer's) share: one command line, one clock, one way to write results, so that the
// same steps are timed on both sides. C++17, the standard library only: the peer's driver is built by its own script.
//
//   driver info                          version, compiler and processor features, as JSON
//   driver run MODEL [options]           load once, then time prefill and decode
//   driver first-token MODEL [options]   what a user waits for: load, encode the prompt's text, prefill, one token
//
// One line of JSON on the standard output; errors on the standard error, with a nonzero exit code.
#ifndef QOPT_BENCH_DRIVER_MEASURE_H
#define QOPT_BENCH_DRIVER_MEASURE_H

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace bench {

struct Arguments {
  std::string command, model, output;
  std::string prompt = "The capital of France is"; ///< of first-token
  int threads = 1;
  int promptTokens = 512;     ///< of a timed prefill
  int shortPromptTokens = 16; ///< before a timed decode
  int generateTokens = 128;   ///< decode steps that are timed
  int contextTokens = 1024;   ///< of the KV cache, on both sides
  int repeat = 1;             ///< times that prefill and decode are timed in one process
  std::vector<std::string> extra;
};

/// CLOCK_MONOTONIC in seconds: the clock of Python's time.monotonic() too, so a parent may subtract its own stamp.
inline double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Highest resident set of this process so far, in KiB (VmHWM; mapped file pages count).
inline long peakKiB() {
  long peak = -1;
  if (FILE *status = std::fopen("/proc/self/status", "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, status))
      if (std::sscanf(line, "VmHWM: %ld kB", &peak) == 1)
        break;
    std::fclose(status);
  }
  return peak;
}

/// `count` token ids below `vocabulary`, the same on both sides. Speed does not depend on which.
inline std::vector<int32_t> someTokens(int count, int vocabulary) {
  std::vector<int32_t> tokens;
  uint32_t state = 1;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocabulary)));
  }
  return tokens;
}

/// The most likely token; both sides pick it the same way, in the timed part.
inline int32_t mostLikely(const float *logits, int vocabulary) {
  return static_cast<int32_t>(std::max_element(logits, logits + vocabulary) - logits);
}

[[noreturn]] inline void fail(const std::string &message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(2);
}

inline Arguments parseArguments(int argc, char **argv) {
  Arguments arguments;
  if (argc < 2)
    fail("expected a command: info, run MODEL or first-token MODEL");
  arguments.command = argv[1];
  int next = 2;
  if (arguments.command != "info") {
    if (argc < 3)
      fail("expected a model after '" + arguments.command + "'");
    arguments.model = argv[next++];
  }
  for (; next < argc; ++next) {
    std::string option = argv[next];
    if (option.rfind("--", 0) != 0) {
      arguments.extra.push_back(option);
      continue;
    }
    if (next + 1 >= argc)
      fail("expected a value after " + option);
    std::string value = argv[++next];
    int number = std::atoi(value.c_str());
    if (option == "--prompt")
      arguments.prompt = value;
    else if (number < 1)
      fail("expected a positive number after " + option);
    else if (option == "--threads")
      arguments.threads = number;
    else if (option == "--prompt-tokens")
      arguments.promptTokens = number;
    else if (option == "--generate")
      arguments.generateTokens = number;
    else if (option == "--context")
      arguments.contextTokens = number;
    else if (option == "--repeat")
      arguments.repeat = number;
    else
      fail("unknown option " + option);
  }
  if (std::max(arguments.promptTokens, arguments.shortPromptTokens + arguments.generateTokens) >
      arguments.contextTokens)
    fail("the context is too short for what is asked");
  return arguments;
}

inline std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      result += ' ';
    else
      result += c;
  }
  return result + '"';
}

/// Times `repeat` prefills and decodes of one loaded model. `Side` is one of the two:
///   int vocabulary();
///   void clear();                                            forget all tokens
///   const float *forward(const int32_t *tokens, int count);  append them; logits after the last
template <typename Side> void timeLoaded(Side &side, const Arguments &arguments, double started, double loaded) {
  int vocabulary = side.vocabulary();
  std::vector<int32_t> prompt = someTokens(arguments.promptTokens, vocabulary);
  int shortTokens = std::min(arguments.shortPromptTokens, arguments.promptTokens);
  // Pages are touched, threads are there and clocks are up before anything is timed.
  int32_t token = mostLikely(side.forward(prompt.data(), shortTokens), vocabulary);
  side.forward(&token, 1);
  std::string prefill, decode;
  for (int i = 0; i < arguments.repeat; ++i) {
    side.clear();
    double start = now();
    mostLikely(side.forward(prompt.data(), arguments.promptTokens), vocabulary);
    double prefilled = now();
    side.clear();
    token = mostLikely(side.forward(prompt.data(), shortTokens), vocabulary);
    double decodeStart = now();
    for (int step = 0; step < arguments.generateTokens; ++step)
      token = mostLikely(side.forward(&token, 1), vocabulary);
    double end = now();
    const char *comma = i == 0 ? "" : ",";
    prefill += comma + std::to_string(arguments.promptTokens / (prefilled - start));
    decode += comma + std::to_string(arguments.generateTokens / (end - decodeStart));
  }
  std::printf("{\"load_s\":%.4f,\"prefill_tok_s\":[%s],\"decode_tok_s\":[%s],\"peak_kib\":%ld}\n", loaded - started,
              prefill.c_str(), decode.c_str(), peakKiB());
}

/// Writes when the first token was there. The parent subtracts the time at which it started this process.
inline void reportFirstToken(int32_t token, size_t promptTokens) {
  double stamp = now();
  std::printf("{\"monotonic_s\":%.6f,\"token\":%d,\"prompt_tokens\":%zu,\"peak_kib\":%ld}\n", stamp, token,
              promptTokens, peakKiB());
}

} // namespace bench

#endif // QOPT_BENCH_DRIVER_MEASURE_H
