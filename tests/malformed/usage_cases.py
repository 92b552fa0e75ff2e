"""Command lines that say nothing sensible, sources of the wrong kind, and places that cannot be written."""
from check import Case, base, fixture, raw

MODEL = {"llama-tied": fixture("llama-tied"), "model.mlir": base("model.mlir")}
TEXT = MODEL | {"t.txt": raw("A text. " * 100)}
QUANTIZED = {"llama-tied": fixture("llama-tied"), "q.mlir": base("q.mlir"), "q.safetensors": base("q.safetensors")}


def cases():
    usage = lambda name, command, rule, next="--help", files=MODEL, where=".+": Case(name, files, command, 1, rule, where, next)
    folder = lambda bench, path: path.mkdir()
    return [
        usage("no source", "qopt import -o {out}/m.mlir", "SOURCE is required"),
        usage("no output", "qopt import {in}/llama-tied", "--output is required"),
        usage("an unknown flag", "qopt quantize {in}/model.mlir --shceme w4a8 -o {out}/q.mlir", "--shceme"),
        usage("a value of another type", "qopt-run x.qopt --prompt a --max-tokens many", "--max-tokens"),
        usage("a number out of its range", "qopt-run x.qopt --prompt a --threads 0", "--threads"),
        usage("two flags that exclude each other", 'qopt-run x.qopt --prompt a --prompt-ids "1"', "--prompt"),
        usage("an unknown stage", "qopt compile {in}/model.mlir --emit=elf -o {out}/x", "--emit"),
        usage("an unknown format", "qopt export {in}/model.mlir --to onnx -o {out}/x", "--to"),
        usage("an unknown target", "qopt compile {in}/model.mlir --target z80 -o {out}/m.qopt", 'expected a target, one of native, generic, .*, but got "z80"', ".+"),
        usage("no target", "qopt compile {in}/model.mlir --target '' -o {out}/m.qopt", ".", ".+"),
        usage("an unknown option of MLIR", "qopt compile {in}/model.mlir --mlir-nonsense -o {out}/m.qopt", "Unknown command line argument '--mlir-nonsense'",
              "qopt --help-hidden"),
        usage("a pipeline that does not parse", "qopt compile {in}/model.mlir --pass-pipeline='builtin.module(nonsense)' "
              "-o {out}/m.qopt", "nonsense", "qopt --help lists the passes", where="--pass-pipeline"),
        usage("no scheme and no recipe", "qopt quantize {in}/model.mlir -o {out}/q.mlir", "expected a scheme or a recipe, but got neither", "say for"),
        usage("IR to the standard output without an overlay's name", "qopt quantize {in}/model.mlir --scheme w4a8:g32 -o -",
              "expected --overlay, because the IR goes to the standard output", "say --overlay"),
        usage("an overlay over the model's own weights", "qopt quantize {in}/model.mlir --scheme w4a8:g32 -o {out}/q.mlir "
              "--overlay {in}/llama-tied/model.safetensors", "expected the overlay to be a file that this command does not read, but it reads it",
              "name another file"),
        *[usage(f"{what} over {input}", command, f"expected {named} to be a file that this command does not read, but it reads it",
                "name another file", files, where)
          for what, command, named, input, files, where in (
              ("statistics", "qopt calibrate {in}/model.mlir --text {in}/t.txt -o {in}/llama-tied/model.safetensors", "the output",
               "the weights", TEXT, r"model\.safetensors"),
              ("statistics", "qopt calibrate {in}/model.mlir --text {in}/t.txt@2 -o {in}/t.txt", "the output", "a text", TEXT, r"t\.txt"),
              ("statistics", "qopt calibrate {in}/model.mlir --text {in}/t.txt -o {in}/model.mlir", "the output", "the IR", TEXT,
               r"model\.mlir"),
              ("an artifact", "qopt build {in}/llama-tied --scheme w4a8:g32 -o {in}/llama-tied/model.safetensors", "the output",
               "the weights", MODEL, r"model\.safetensors"),
              ("an artifact", "qopt compile {in}/q.mlir -o {in}/q.safetensors", "the output", "the overlay", QUANTIZED, r"q\.safetensors"),
              ("IR", "qopt import {in}/llama-tied -o {in}/llama-tied/config.json", "the output", "the configuration", MODEL, r"config\.json"),
              ("a report", "qopt quantize {in}/model.mlir --scheme w4a8:g32 --report {in}/llama-tied/model.safetensors -o {out}/q.mlir",
               "--report", "the weights", MODEL, r"model\.safetensors"))],
        usage("the overlay over a far text", "qopt quantize {in}/model.mlir --scheme w4a8:g32 --far-text {in}/t.txt --overlay {in}/t.txt "
              "-o {out}/q.mlir", "expected the overlay to be a file that this command does not read, but it reads it",
              "name another file", TEXT, r"t\.txt"),
        usage("the overlay over the text of a recipe's gate", "qopt quantize {in}/model.mlir --recipe {in}/r.yaml --overlay {in}/t.txt "
              "-o {out}/q.mlir", "expected the overlay to be a file that this command does not read, but it reads it", "name another file",
              TEXT | {"r.yaml": raw("version: 1\nscheme: w4a8:g32\ngates:\n  - {text: t.txt, kl: 1}\n")}, r"t\.txt"),
        *[usage(f"{what} where nothing is quantized", "qopt build {in}/llama-tied " + what + " -o {out}/m.qopt",
                "expected no --statistics, --text, --jsonl, --far-text, --no-gates, --max-fallback or --resume where nothing is quantized",
                "say what shall be done", TEXT) for what in ("--text {in}/t.txt", "--far-text {in}/t.txt", "--no-gates", "--scheme keep --resume {out}/r",
                                                            "--max-fallback 2", "--statistics {in}/s")],
        usage("one name for IR and overlay", "qopt quantize {in}/model.mlir --scheme w4a8:g32 --overlay {out}/q.mlir -o {out}/q.mlir",
              "expected the overlay and the output to be two files, but got one", "name another file"),
        usage("one name for IR and report", "qopt quantize {in}/model.mlir --scheme w4a8:g32 --report {out}/q.mlir -o {out}/q.mlir",
              "expected --report and the output to be two files, but got one", "name another file"),
        usage("a negative bound of fallbacks", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --method gptq --max-fallback=-1 -o {out}/q.mlir",
              "--max-fallback"),
        *[usage(f"a shard of {samples} samples", f"qopt calibrate {{in}}/model.mlir --text {{in}}/t.txt --samples={samples} --shard 1/2 -o {{out}}/s",
                f"expected 1 to 16777216 samples, but got {samples}", files=TEXT, where="--samples", next=".+")
          for samples in (-5, 0, 2**63 - 1)],
        usage("a negative seed", "qopt calibrate {in}/model.mlir --text {in}/t.txt --seed=-1 -o {out}/s", "--seed", files=TEXT),
        usage("memory below nothing", "qopt calibrate {in}/model.mlir --text {in}/t.txt --memory=-1 -o {out}/s", "--memory", files=TEXT),
        usage("no samples", "qopt calibrate {in}/model.mlir --text {in}/t.txt --samples 0 --length 64 -o {out}/s",
              "expected 1 to 16777216 samples of 2 to 1048576 tokens, but got 0 of 64", files=TEXT),
        usage("samples of one token", "qopt calibrate {in}/model.mlir --text {in}/t.txt --samples 4 --length 1 -o {out}/s",
              "expected 1 to 16777216 samples of 2 to 1048576 tokens, but got 4 of 1", files=TEXT),
        usage("more samples than can be counted", "qopt calibrate {in}/model.mlir --text {in}/t.txt --samples 100000000 --length 2 -o {out}/s",
              "expected 1 to 16777216 samples of 2 to 1048576 tokens, but got 100000000 of 2", files=TEXT),
        usage("samples longer than the context", "qopt calibrate {in}/model.mlir --text {in}/t.txt --samples 4 --length 129 -o {out}/s",
              "expected samples of at most 128 tokens, the model's context, but got 129", "say --length 128, or less", TEXT, "--length"),
        usage("a weight of a text that is not finite", "qopt calibrate {in}/model.mlir --text {in}/t.txt@inf -o {out}/s",
              "expected a weight above 0, but got inf", files=TEXT, where=r"t\.txt@inf"),
        usage("texts for a search by Hessians", "qopt search {in}/model.mlir --scheme w4a16:g32 --sensitivity hessian --bits 4 --text {in}/t.txt "
              "--statistics {in}/s -o {out}/r.yaml", "expected no --text or --jsonl with --sensitivity hessian, which reads none", files=TEXT),
        usage("a budget of more than weights have", "qopt search {in}/model.mlir --scheme w4a16:g32 --sensitivity hessian --bits 33 "
              "--statistics {in}/s -o {out}/r.yaml", "expected --bits above 0 and at most 32, the budget per weight"),
        usage("statistics for round to nearest", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --statistics {in}/s -o {out}/q.mlir",
              "expected no --statistics, --text or --jsonl for round to nearest", "say --method gptq or --scales awq, or leave it out"),
        usage("statistics beside texts", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --method gptq --statistics {in}/s --text {in}/t.txt "
              "-o {out}/q.mlir", "expected either --statistics or texts to calibrate on, but got both", files=TEXT),
        usage("gptq without statistics", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --method gptq -o {out}/q.mlir",
              "expected statistics, or text to calibrate on", "say --text FILE, or --statistics"),
        usage("fallbacks of round to nearest", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --max-fallback 1 -o {out}/q.mlir",
              "expected no --max-fallback without gptq, which alone falls back to round to nearest", "say --method gptq, or leave it out"),
        usage("a far text that nothing is judged on", "qopt quantize {in}/model.mlir --scheme w4a16:g32 --method gptq --text {in}/t.txt "
              "--far-text {in}/t.txt --no-gates -o {out}/q.mlir", "expected either --far-text, which a gate is on, or --no-gates, but got both",
              files=TEXT),
        usage("an export over the model itself", "qopt export {in}/model.mlir --to hf -o {in}/llama-tied",
              "expected a directory without archives of the model itself", "name another directory"),
        Case("a plugin that is none", MODEL, "qopt compile {in}/model.mlir --load-pass-plugin={in}/model.mlir -o {out}/m.qopt", 2,
             "cannot load the plugin", r"model\.mlir", "build it against this version"),
        Case("a source that is not there", {}, "qopt import {in}/nowhere -o {out}/m.mlir", 2, "cannot read the file: No such file",
             "nowhere"),
        Case("a source that is an empty folder", {"model": folder}, "qopt import {in}/model -o {out}/m.mlir", 2,
             "cannot read the file: No such file", r"model/config\.json", "name a directory with config.json"),
        Case("a source that is a safetensors file", {"m.safetensors": fixture("llama-tied/model.safetensors")},
             "qopt import {in}/m.safetensors -o {out}/m.mlir", 2,
             "expected a GGUF file or the directory of a Hugging Face checkpoint, but got a safetensors file", r"m\.safetensors"),
        Case("a source that is a device", {}, "qopt import /dev/null -o {out}/m.mlir", 2,
             "expected a regular file, but got a device", "/dev/null"),
        Case("a checkpoint to compile", {"m.gguf": fixture("llama-tiny.gguf")}, "qopt compile {in}/m.gguf -o {out}/m.qopt", 2,
             "expected an IR file, but got a GGUF file", r"m\.gguf", "make IR of it: qopt import SOURCE"),
        Case("JSON to inspect", {"c.json": raw("{}")}, "qopt inspect {in}/c.json", 2, "but got a JSON file", r"c\.json",
             "name the directory"),
        Case("a ledger that is not there", MODEL, "qopt inspect {in}/model.mlir --ledger", 2, "expected a ledger, but there is none",
             r"model\.mlir", "quantize the model"),
        usage("an output in a folder that is not there", "qopt import {in}/llama-tied -o {out}/none/m.mlir",
              "cannot open the output's directory: No such file", "create the directory first", where="none/m.mlir"),
        usage("an output that is a folder", "qopt import {in}/llama-tied -o {out}", "cannot write the output: Is a directory",
              "name a place that can be written", where="out"),
        Case("an export below a folder that is not there", QUANTIZED, "qopt export {in}/q.mlir --to hf -o {out}/none/hf", 1,
             "cannot make the output directory", "none/hf", "name a directory in one that exists"),
        Case("an export to a file", QUANTIZED, "qopt export {in}/q.mlir --to hf -o {in}/q.mlir", 1,
             "cannot make the output directory", r"q\.mlir", "name a directory"),
    ]
