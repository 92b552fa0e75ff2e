#ifndef QOPT_DIALECTS_TRANSFORMER_ENTRY_H
#define QOPT_DIALECTS_TRANSFORMER_ENTRY_H

namespace qopt::transformer {

/// The arguments of a model's entry, @forward, by their places. The inputs of a part of a model follow.
enum ModelArgument : unsigned { Tokens, Positions, Sequences, BlockTables, WantedRows, Cache };
constexpr unsigned kModelArguments = 6;

} // namespace qopt::transformer

#endif // QOPT_DIALECTS_TRANSFORMER_ENTRY_H
