// Turns runs of isomorphic blocks into one function, called once for each row of a table of parameters.
//
// Why here: passes before this one see every layer by name; code generation after it sees each distinct block once, so
// that compile time does not grow with depth. How: values of parameters and constants are leaves whose place does not
// matter; the remaining ops are a sequence, and a run is a stretch of it that equals itself shifted by a period. The
// comparison is exact, op by op, and derives what each block takes: its layer, what the block before it gave (carried),
// what is the same for all (invariant), and its row of parameters. See Passes.td for an example.
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"
#include "passes/Support/WantedRows.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace qopt {
#define GEN_PASS_DEF_OUTLINEBLOCKS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// Blocks shorter than this are not worth a function.
constexpr size_t kShortestBlock = 4;

bool isLeaf(Operation *op) { return isa<transformer::GetOp, arith::ConstantOp>(op); }

/// `count` consecutive stretches of `period` ops, the first at `start`.
struct Run {
  size_t start = 0, period = 0, count = 0;
  size_t saved() const { return count > 1 ? period * (count - 1) : 0; }
};

/// What a block takes and gives, and which op of a block an operand refers to.
struct Signature {
  int64_t firstLayer = 0;
  SmallVector<Value> invariants;
  SmallVector<std::pair<size_t, unsigned>> carried; // (op, result) of the block before
  SmallVector<Value> initial;                       // the first block's values of `carried`
  SmallVector<SmallVector<Attribute>> table;        // a row of parameters for each block
  SmallVector<Type> columnTypes;
  SmallVector<std::pair<size_t, unsigned>> columnUses; // (op, operand) that reads the column
};

struct OutlineBlocks : qopt::impl::OutlineBlocksBase<OutlineBlocks>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override {
    return {{"functions-outlined", outlinedFunctions}, {"blocks-replaced", replacedBlocks}};
  }

  void runOnOperation() override {
    outlinedFunctions = replacedBlocks = 0;
    SymbolTable symbols(getOperation());
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (!function.isExternal() && function.getBody().hasOneBlock())
        while (outlineBest(function, symbols))
          ;
  }

  static SmallVector<Operation *> sequenceOf(func::FuncOp function) {
    SmallVector<Operation *> sequence;
    for (Operation &op : function.getBody().front().without_terminator())
      if (!isLeaf(&op))
        sequence.push_back(&op);
    return sequence;
  }

  /// Equal but for operands: name, attributes, types.
  static bool looksAlike(Operation *a, Operation *b) {
    return a->getName() == b->getName() && a->getAttrDictionary() == b->getAttrDictionary() &&
           a->getPropertiesAsAttribute() == b->getPropertiesAsAttribute() &&
           a->getOperandTypes() == b->getOperandTypes() && a->getResultTypes() == b->getResultTypes() &&
           a->getNumRegions() == 0 && b->getNumRegions() == 0;
  }

  /// The run that saves the most code, over all periods.
  static Run findRun(ArrayRef<Operation *> sequence) {
    // Ops that look alike get the same number.
    SmallVector<unsigned> kinds;
    SmallVector<Operation *> representatives;
    for (Operation *op : sequence) {
      auto same = llvm::find_if(representatives, [&](Operation *other) { return looksAlike(op, other); });
      kinds.push_back(same - representatives.begin());
      if (same == representatives.end())
        representatives.push_back(op);
    }
    Run best;
    for (size_t period = kShortestBlock; period * 2 <= sequence.size(); ++period)
      for (size_t i = 0; i + period < sequence.size(); ++i) {
        size_t length = 0;
        while (i + length + period < sequence.size() && kinds[i + length] == kinds[i + length + period])
          ++length;
        Run run{i, period, length / period + 1};
        if (run.saved() > best.saved())
          best = run;
        i += length;
      }
    return best;
  }

  bool outlineBest(func::FuncOp function, SymbolTable &symbols) {
    SmallVector<Operation *> sequence = sequenceOf(function);
    Run run = findRun(sequence);
    if (run.saved() == 0)
      return false;
    llvm::DenseSet<Value> overRows = wantedRows(function);
    // Equal kinds need not be equal def-use chains: shorten the run, or start it later, until they are.
    for (; run.count > 1; --run.count) {
      size_t slack = run.period; // rotations of the block within the run
      for (size_t shift = 0; shift < slack; ++shift) {
        Run candidate{run.start + shift, run.period, run.count};
        if (candidate.start + candidate.period * candidate.count > sequence.size())
          break;
        if (auto signature = match(sequence, candidate, overRows)) {
          outline(function, symbols, sequence, candidate, *signature);
          ++outlinedFunctions, replacedBlocks += candidate.count;
          return true;
        }
      }
    }
    return false;
  }

  /// Whether a block, whose ops `inBlock` tells, reads what it is given before `successor` is written over it. The
  /// successor itself may read it as a residual, element by element in their places.
  static bool givesWayTo(Value given, Operation *successor, llvm::function_ref<bool(Operation *)> inBlock) {
    return llvm::all_of(given.getUsers(), [&](Operation *user) {
      if (!inBlock(user))
        return true;
      if (isa<transformer::SliceOp>(user))
        return user != successor && !llvm::is_contained(user->getUsers(), successor) &&
               givesWayTo(user->getResult(0), successor, inBlock);
      return user->isBeforeInBlock(successor) || (user == successor && isa<transformer::ResidualOp>(user));
    });
  }

  /// The signature under which all blocks of the run are the same function, if there is one.
  static std::optional<Signature> match(ArrayRef<Operation *> sequence, Run run,
                                        const llvm::DenseSet<Value> &overRows) {
    for (size_t i = 0; i < run.period; ++i)
      for (size_t block = 1; block < run.count; ++block)
        if (!looksAlike(sequence[run.start + i], sequence[run.start + block * run.period + i]))
          return std::nullopt;
    llvm::DenseMap<Operation *, size_t> position;
    for (size_t i = 0; i < run.period * run.count; ++i)
      position[sequence[run.start + i]] = i;
    // The types of a function's arguments do not say that their tokens are the wanted rows, by which form-dispatches
    // would know how many there are.
    for (Operation *op : sequence.slice(run.start, run.period * run.count))
      for (Value operand : op->getOperands())
        if (overRows.contains(operand) && !position.contains(operand.getDefiningOp()))
          return std::nullopt;

    Signature signature;
    signature.table.resize(run.count);
    bool layerKnown = false;
    llvm::SetVector<Value> invariants;
    llvm::SetVector<std::pair<size_t, unsigned>> carried;
    llvm::DenseMap<std::pair<size_t, unsigned>, Value> initial;
    for (size_t i = 0; i < run.period; ++i) {
      Operation *first = sequence[run.start + i];
      for (unsigned operand = 0; operand < first->getNumOperands(); ++operand) {
        auto operandOf = [&](size_t block) {
          return sequence[run.start + block * run.period + i]->getOperand(operand);
        };
        Value value = operandOf(0);
        if (value.getDefiningOp<transformer::GetOp>()) {
          for (size_t block = 0; block < run.count; ++block) {
            auto get = operandOf(block).getDefiningOp<transformer::GetOp>();
            if (!get)
              return std::nullopt;
            signature.table[block].push_back(get.getParameterAttr());
          }
          signature.columnTypes.push_back(value.getType());
          signature.columnUses.push_back({i, operand});
          continue;
        }
        if (auto constant = value.getDefiningOp<arith::ConstantOp>()) {
          auto layer = dyn_cast<IntegerAttr>(constant.getValue());
          if (!layer || !layer.getType().isIndex())
            return std::nullopt;
          if (layerKnown && layer.getInt() != signature.firstLayer)
            return std::nullopt;
          signature.firstLayer = layer.getInt(), layerKnown = true;
          for (size_t block = 1; block < run.count; ++block) {
            auto other = operandOf(block).getDefiningOp<arith::ConstantOp>();
            auto number = other ? dyn_cast<IntegerAttr>(other.getValue()) : IntegerAttr();
            if (!number || number.getInt() != layer.getInt() + static_cast<int64_t>(block))
              return std::nullopt;
          }
          continue;
        }
        // Where the second block's operand comes from decides what the operand is.
        Value next = operandOf(1);
        auto result = dyn_cast<OpResult>(next);
        auto found = result ? position.find(result.getOwner()) : position.end();
        if (found == position.end()) {
          for (size_t block = 0; block < run.count; ++block)
            if (operandOf(block) != next)
              return std::nullopt;
          if (next.getDefiningOp<transformer::SliceOp>()) // a view has no buffer to hand in
            return std::nullopt;
          invariants.insert(next);
          continue;
        }
        size_t at = found->second;
        bool local = at >= run.period; // in the second block itself, else in the first: carried
        std::pair<size_t, unsigned> source{at % run.period, result.getResultNumber()};
        if (at >= 2 * run.period)
          return std::nullopt;
        for (size_t block = local ? 0 : 1; block < run.count; ++block) {
          size_t from = local ? block : block - 1;
          if (operandOf(block) != sequence[run.start + from * run.period + source.first]->getResult(source.second))
            return std::nullopt;
        }
        if (local)
          continue;
        auto known = initial.find(source);
        if (known != initial.end() && known->second != value)
          return std::nullopt;
        if (position.contains(value.getDefiningOp())) // the first block makes itself what later ones are given
          return std::nullopt;
        initial[source] = value;
        carried.insert(source);
      }
    }
    // What leaves a block goes to the next one, or, from the last block, anywhere.
    llvm::SetVector<std::pair<size_t, unsigned>> leaving;
    for (size_t i = 0; i < run.period * run.count; ++i)
      for (OpResult result : sequence[run.start + i]->getResults())
        for (Operation *user : result.getUsers()) {
          auto at = position.find(user);
          size_t block = i / run.period;
          if (at != position.end() && (at->second / run.period == block || at->second / run.period == block + 1))
            continue;
          if (at != position.end() || block + 1 != run.count)
            return std::nullopt;
          leaving.insert({i % run.period, result.getResultNumber()});
        }
    for (auto source : leaving)
      if (!carried.contains(source))
        return std::nullopt;
    // What a block gives to the next has a buffer of its own, which a slice has not.
    for (auto [op, result] : carried)
      if (isa<transformer::SliceOp>(sequence[run.start + op]))
        return std::nullopt;
    for (auto [op, result] : carried) {
      Value given = sequence[run.start + op]->getResult(result);
      auto inSecond = [&](Operation *user) { return position.lookup(user) / run.period == 1; };
      if (!isa<transformer::CacheType>(given.getType()) && // written in place
          !givesWayTo(given, sequence[run.start + run.period + op], inSecond))
        return std::nullopt;
    }
    // What the first block is given lives on in the buffer that its results get: each has one, which nobody else reads
    // afterwards, and which is not the caller's.
    bool isForward = cast<func::FuncOp>(sequence.front()->getParentOp()).getSymName() == "forward";
    llvm::DenseSet<Value> given;
    for (auto &[source, value] : initial) {
      if (value.getDefiningOp<transformer::SliceOp>() || !given.insert(value).second || invariants.contains(value))
        return std::nullopt;
      SmallVector<Operation *> users(value.getUsers());
      for (size_t i = 0; i < users.size(); ++i) {
        if (isa<transformer::SliceOp>(users[i]))
          llvm::append_range(users, users[i]->getUsers());
        else if (!position.contains(users[i]) && !users[i]->isBeforeInBlock(sequence[run.start]))
          return std::nullopt;
      }
      if (!isForward || isa<transformer::CacheType>(value.getType()))
        continue;
      Value last = sequence[run.start + (run.count - 1) * run.period + source.first]->getResult(source.second);
      if (isa<BlockArgument>(value) || llvm::any_of(last.getUsers(), llvm::IsaPred<func::ReturnOp>))
        return std::nullopt;
    }
    signature.invariants = llvm::to_vector(invariants);
    signature.carried = llvm::to_vector(carried);
    for (auto source : signature.carried)
      signature.initial.push_back(initial[source]);
    return signature;
  }

  void outline(func::FuncOp function, SymbolTable &symbols, ArrayRef<Operation *> sequence, Run run,
               Signature &signature) {
    MLIRContext *context = &getContext();
    SmallVector<Type> inputs{IndexType::get(context)};
    for (Value value : signature.initial)
      inputs.push_back(value.getType());
    for (Value value : signature.invariants)
      inputs.push_back(value.getType());
    llvm::append_range(inputs, signature.columnTypes);
    SmallVector<Type> results;
    for (Value value : signature.initial)
      results.push_back(value.getType());

    Location loc = sequence[run.start]->getLoc();
    OpBuilder builder(context);
    builder.setInsertionPointAfter(function);
    auto block = func::FuncOp::create(builder, loc, (function.getSymName() + ".block").str(),
                                      builder.getFunctionType(inputs, results));
    block.setPrivate();
    StringAttr name = symbols.insert(block, Block::iterator(function->getNextNode()));
    Block *body = block.addEntryBlock();
    builder.setInsertionPointToStart(body);

    // The second block is the pattern: all its operands from outside are arguments, the first block's results included.
    IRMapping mapping;
    size_t argument = 1;
    for (auto [op, result] : signature.carried)
      mapping.map(sequence[run.start + op]->getResult(result), body->getArgument(argument++));
    for (Value value : signature.invariants)
      mapping.map(value, body->getArgument(argument++));
    llvm::DenseMap<std::pair<size_t, unsigned>, Value> columns;
    for (auto use : signature.columnUses)
      columns[use] = body->getArgument(argument++);
    for (size_t i = 0; i < run.period; ++i) {
      Operation *op = sequence[run.start + run.period + i];
      Operation *copy = builder.clone(*op, mapping);
      for (unsigned operand = 0; operand < op->getNumOperands(); ++operand) {
        if (Value column = columns.lookup({i, operand}))
          copy->setOperand(operand, column);
        else if (op->getOperand(operand).getDefiningOp<arith::ConstantOp>())
          copy->setOperand(operand, body->getArgument(0));
      }
    }
    SmallVector<Value> yielded;
    for (auto [op, result] : signature.carried)
      yielded.push_back(mapping.lookup(sequence[run.start + run.period + op]->getResult(result)));
    func::ReturnOp::create(builder, loc, yielded);

    // Everything that the first block takes is defined before it.
    builder.setInsertionPoint(sequence[run.start]);
    SmallVector<Attribute> rows;
    for (auto &row : signature.table)
      rows.push_back(builder.getArrayAttr(row));
    auto repeat = kernel::RepeatOp::create(builder, loc, results, name.getValue(), signature.firstLayer,
                                           signature.initial, signature.invariants, builder.getArrayAttr(rows));
    size_t last = run.start + (run.count - 1) * run.period;
    for (auto [index, source] : llvm::enumerate(signature.carried))
      sequence[last + source.first]->getResult(source.second).replaceAllUsesWith(repeat.getResult(index));
    SmallVector<Operation *> leaves;
    for (size_t i = run.period * run.count; i-- > 0;) {
      Operation *op = sequence[run.start + i];
      for (Value operand : op->getOperands())
        if (Operation *leaf = operand.getDefiningOp(); leaf && isLeaf(leaf))
          leaves.push_back(leaf);
      op->dropAllUses();
      op->erase();
    }
    for (Operation *leaf : llvm::SetVector<Operation *>(leaves.begin(), leaves.end()))
      if (leaf->use_empty())
        leaf->erase();
  }
  int64_t outlinedFunctions = 0, replacedBlocks = 0;
};
} // namespace
