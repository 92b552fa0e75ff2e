"""Reads off a disassembly for aarch64 whether the hot loops are vector code.

A loop is a run of instructions that ends in a jump back to its first; innermost is one that holds no other. In a kernel that
multiplies matrices, nearly all time is spent in those.
"""
import re
import sys

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s*(\S+)\s*(.*)")
JUMP = re.compile(r"^(b(\.\w+)?|cbn?z|tbn?z)$")
# Multiply-adds of whole registers, for integers and for floats; and the same of one value at a time.
VECTOR_MULTIPLY = re.compile(r"^(mla|fmla|smlal2?|umlal2?|sdot|udot|smmla|bfdot|bfmmla)$")
SCALAR_ARITHMETIC = re.compile(r"^(f?madd|f?mul|f?msub|smull|umull|fadd|scvtf|ucvtf|sxtb|uxtb|ldrs?b)$")
VECTOR_REGISTER = re.compile(r"\bv\d+\.")
LEAST_SHARE = 0.8  # the rest is loads, addresses and the jump


def functions(disassembly):
    """{name: [(address, operation, operands)]}"""
    found, current = {}, None
    for line in disassembly.splitlines():
        if match := FUNCTION.match(line):
            current = found.setdefault(match[1], [])
        elif current is not None and (match := INSTRUCTION.match(line)):
            current.append((int(match[1], 16), match[2], match[3]))
    return found


def innermost_loops(instructions):
    loops = []
    for address, operation, operands in instructions:
        target = re.search(r"0x([0-9a-f]+) <", operands)
        if JUMP.match(operation) and target and int(target[1], 16) <= address:
            loops.append((int(target[1], 16), address))
    inner = [(begin, end) for begin, end in loops
             if not any((other != (begin, end)) and begin <= other[0] and other[1] <= end for other in loops)]
    return [[one for one in instructions if begin <= one[0] <= end] for begin, end in inner]


def check(disassembly):
    """Exits with a message where an innermost loop of a kernel that multiplies is not vector code."""
    kernels = {name: body for name, body in functions(disassembly).items() if ".matmul" in name}
    if not kernels:
        sys.exit("expected kernels with .matmul in their names, but the object has none")
    for name, body in kernels.items():
        loops = innermost_loops(body)
        multiplying = 0
        for loop in loops:
            vector = sum(bool(VECTOR_REGISTER.search(operands)) for _, _, operands in loop)
            products = sum(bool(VECTOR_MULTIPLY.match(operation) and VECTOR_REGISTER.search(operands))
                           for _, operation, operands in loop)
            scalar = [operation for _, operation, operands in loop
                      if SCALAR_ARITHMETIC.match(operation) and not VECTOR_REGISTER.search(operands)]
            where = f"{name}: loop at {loop[0][0]:#x}"
            if scalar:
                sys.exit(f"{where}: expected vector code, but got scalar {', '.join(sorted(set(scalar)))}")
            if products and vector < LEAST_SHARE * len(loop):
                sys.exit(f"{where}: expected {LEAST_SHARE:.0%} vector instructions, but got {vector} of {len(loop)}")
            multiplying += products > 0
            print(f"{where}: {len(loop)} instructions, {vector} on vectors, {products} of them multiply-adds")
        if not multiplying:
            sys.exit(f"{name}: expected an innermost loop with NEON multiply-adds, but none of {len(loops)} has one")
