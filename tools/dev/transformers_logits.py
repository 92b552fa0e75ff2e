#!/usr/bin/env python3
"""Logits of a model as Hugging Face transformers computes them, in f32 on the CPU: writes them, or compares with a file.

    transformers_logits.py write SOURCE [ALSO] -o FILE
    transformers_logits.py check SOURCE FILE [--tolerance 2e-3] [--bf16-activations]

SOURCE is a GGUF file or a directory with config.json. Needs transformers and torch, for GGUF also gguf and accelerate;
those in tests/model/fixtures were made with transformers 5.23.0, torch 2.15.0 and gguf 0.19.0, after `qopt export --to hf`
had made ORIGINAL of the imported GGUF file and W4A16 of what `qopt quantize --scheme w4a16:g64` made of that, by

    transformers_logits.py write SmolLM2-135M-Instruct.Q4_1.gguf ORIGINAL -o smollm2-original.safetensors
    transformers_logits.py write W4A16 -o smollm2-w4a16.safetensors

Each text of tests/model/texts is encoded, and its first 64 tokens are run as one sequence with eager attention. All
logits of three texts are 38 MB, so FILE holds of each NAME.txt
    NAME.ids         [n] i32        all tokens of the text
    NAME.top.ids     [64, 16] i32   the most likely tokens of each position, most likely first
    NAME.top         [64, 16] f32   their logits
    NAME.sample      [64, 128] f32  the logits of the tokens in `sample`, [128] i32, which are the same for every text
    NAME.logsumexp   [64] f32       of all logits
and as metadata the versions and the SHA-256 of every file that was read. ALSO is another form of the same model, whose
logits must be the same to the last bit. `check` compares all that FILE holds with what SOURCE gives, and that the chat
template makes chat.txt; FILE may also be one of tests/fixtures, with `tokens` and all `logits`. `--bf16-activations` rounds the input of every linear to bf16, as our A16 does, which shows how
far that alone moves logits. Exit code 1: something differs; 77: a package is missing.
"""
import argparse
import hashlib
import json
import pathlib
import sys

try:
    import numpy as np
    import safetensors
    import torch
    import transformers
    from safetensors.numpy import save_file
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

TEXTS = pathlib.Path(__file__).parents[2] / "tests/model/texts"
POSITIONS, TOP, SAMPLE = 64, 16, 128
# What chat.txt is the rendering of, with the prompt for an answer after it.
CHAT = [{"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Which is heavier, 1 kg of iron or 1 kg of wool?"},
        {"role": "assistant", "content": "Neither: both weigh the same."},
        {"role": "user", "content": "And which of them takes more room on a shelf?"}]
# Read by from_pretrained of a model or a tokenizer.
FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def open_source(source):
    """Model, tokenizer, and {file name: SHA-256} of what they were read from."""
    path = pathlib.Path(source)
    if path.is_dir():
        where, options = path, {}
        files = [path / name for name in FILES if (path / name).exists()]
    else:
        where, options, files = path.parent, {"gguf_file": path.name}, [path]
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, attn_implementation="eager",
                                                              local_files_only=True, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True, **options)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    digests = {}
    for file in files:
        with file.open("rb") as stream:
            digests[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return model.eval(), tokenizer, digests


def compute(model, tokenizer):
    """{name: array} of what the head comment says."""
    made = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    if made != (TEXTS / "chat.txt").read_text(encoding="utf-8"):
        sys.exit(f"the chat template makes another text than chat.txt: {made!r}")
    vocabulary = model.config.vocab_size
    sample = np.sort(np.random.default_rng(64).choice(vocabulary, SAMPLE, replace=False)).astype(np.int32)
    arrays = {"sample": sample}
    for file in sorted(TEXTS.glob("*.txt")):
        ids = tokenizer(file.read_text(encoding="utf-8"))["input_ids"]
        assert len(ids) >= POSITIONS, (file, len(ids))
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:POSITIONS]]), use_cache=False).logits[0].float()
        top = torch.topk(logits, TOP)
        arrays |= {f"{file.stem}.ids": np.array(ids, np.int32),
                   f"{file.stem}.top.ids": top.indices.numpy().astype(np.int32),
                   f"{file.stem}.top": top.values.numpy(),
                   f"{file.stem}.sample": np.ascontiguousarray(logits.numpy()[:, sample]),
                   f"{file.stem}.logsumexp": torch.logsumexp(logits.double(), -1).float().numpy(),
                   f"{file.stem}.all": logits.numpy()}
    return arrays


def round_inputs(model):
    """The input of each linear is rounded to bf16 from now on."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16().float(), *inputs[1:]))


def write(sources, output):
    arrays, digests = None, {}
    for source in sources:
        model, tokenizer, read = open_source(source)
        got = compute(model, tokenizer)
        arrays = arrays or got
        for name, array in got.items():
            if not np.array_equal(array, arrays[name]):
                sys.exit(f"{source}: other values than {sources[0]} for {name}")
        digests |= read
    arrays = {name: array for name, array in arrays.items() if not name.endswith(".all")}
    versions = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    save_file(arrays, output, {"made by": "tools/dev/transformers_logits.py", "versions": json.dumps(versions),
                               "sha256": json.dumps(digests, sort_keys=True)})
    print(f"{output}: {pathlib.Path(output).stat().st_size} bytes")


def check(model, tokenizer, path, tolerance):
    with safetensors.safe_open(path, "numpy") as file:
        expected = {name: file.get_tensor(name) for name in file.keys()}
    if "logits" in expected:
        with torch.inference_mode():
            logits = model(torch.tensor(expected["tokens"][None], dtype=torch.long), use_cache=False).logits[0].numpy()
        worst = float(np.abs(logits - expected["logits"]).max())
        print(f"greatest difference {worst:.3g}, allowed {tolerance:.3g}")
        return 0 if worst <= tolerance else 1
    arrays, worst = compute(model, tokenizer), 0.0
    assert np.array_equal(expected["sample"], arrays["sample"])
    for text in sorted(name[:-4] for name in expected if name.endswith(".ids") and name.count(".") == 1):
        if not np.array_equal(expected[f"{text}.ids"], arrays[f"{text}.ids"]):
            sys.exit(f"{text}: other tokens: {arrays[f'{text}.ids']} in place of {expected[f'{text}.ids']}")
        got = np.take_along_axis(arrays[f"{text}.all"], expected[f"{text}.top.ids"], -1)
        for what, values in (("top", got), ("sample", arrays[f"{text}.sample"]),
                             ("logsumexp", arrays[f"{text}.logsumexp"])):
            difference = float(np.abs(values - expected[f"{text}.{what}"]).max())
            print(f"{text}.{what}: greatest difference {difference:.3g}")
            worst = float(np.max([worst, difference]))  # NaN stays
    print(f"greatest difference {worst:.3g}, allowed {tolerance:.3g}")
    return 0 if worst <= tolerance else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["write", "check"])
    parser.add_argument("source", help="a GGUF file or a Hugging Face directory")
    parser.add_argument("second", nargs="?", help="write: another form of the model; check: the file to compare with")
    parser.add_argument("-o", "--output", help="the file to write")
    parser.add_argument("--bf16-activations", action="store_true", help="round the inputs of linears")
    parser.add_argument("--tolerance", type=float, default=2e-3, help="greatest difference of a logit (2e-3)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if (arguments.output if arguments.command == "write" else arguments.second) is None:
        parser.error("write needs -o FILE, check needs FILE")
    torch.set_num_threads(arguments.threads)
    if arguments.command == "write":
        write([source for source in (arguments.source, arguments.second) if source], arguments.output)
        return 0
    model, tokenizer, _ = open_source(arguments.source)
    if arguments.bf16_activations:
        round_inputs(model)
    return check(model, tokenizer, arguments.second, arguments.tolerance)


if __name__ == "__main__":
    sys.exit(main())
