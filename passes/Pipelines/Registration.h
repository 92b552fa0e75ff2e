#ifndef QOPT_PASSES_PIPELINES_REGISTRATION_H
#define QOPT_PASSES_PIPELINES_REGISTRATION_H

namespace mlir {
class DialectRegistry;
}

namespace qopt {

/// Adds our dialects, and those of MLIR that our passes produce.
void registerDialects(mlir::DialectRegistry &registry);

/// Registers every pass and pipeline of ours by name, and those of MLIR that our pipelines use. Once per process.
void registerPasses();

/// Our dialects alone, for a host that brings MLIR's.
void registerOwnDialects(mlir::DialectRegistry &registry);

/// Our passes and pipelines alone, for a host that brings MLIR's. Once per process.
void registerOwnPasses();

} // namespace qopt

#endif // QOPT_PASSES_PIPELINES_REGISTRATION_H
