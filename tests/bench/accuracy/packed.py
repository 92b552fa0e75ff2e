"""Packed tensors made by another road than the one that unpacks them: each row is one Python integer."""
import numpy as np


def words(rows, bits):
    """[rows, words] i32 of unsigned numbers of `bits` bits: number i is at bit i·bits of the row's integer."""
    count = -(-len(rows[0]) * bits // 32)
    packed = []
    for row in rows:
        whole = sum(int(number) << (bits * place) for place, number in enumerate(row))
        packed.append([(whole >> (32 * word)) & 0xFFFFFFFF for word in range(count)])
    return np.array(packed, np.uint32).view(np.int32)


def gptq(name, codes, scales, zeros, order, bits):
    """Tensors of GPTQ's first format. codes : [out, in], scales, zeros : [out, groups]."""
    less_one = (np.asarray(zeros).T - 1) % (1 << bits)
    return {f"{name}.qweight": words(codes, bits).T, f"{name}.qzeros": words(less_one, bits),
            f"{name}.scales": np.asarray(scales, np.float16).T, f"{name}.g_idx": np.asarray(order, np.int32)}


def compressed(name, codes, scales, bits, zeros=None):
    """Tensors of compressed-tensors, pack-quantized. codes : [out, in], signed."""
    middle = 1 << (bits - 1)
    made = {f"{name}.weight_packed": words(np.asarray(codes) + middle, bits),
            f"{name}.weight_scale": np.asarray(scales, np.float32), f"{name}.weight_shape": np.array(np.shape(codes), np.int64)}
    if zeros is not None:
        made[f"{name}.weight_zero_point"] = words((np.asarray(zeros) + middle).T, bits).T
    return made
