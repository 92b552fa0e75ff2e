// The runner: answers a prompt with an artifact. No LLVM in it; it needs libc, libm, libstdc++ and pthreads only.
#include "lib/Archive/OutputFile.h"
#include "lib/Runtime/App/RunCommand.h"

int main(int argc, char **argv) {
  qopt::installInterruptCleanup();
  return qopt::runMain(argc, argv, "qopt-run", nullptr);
}
