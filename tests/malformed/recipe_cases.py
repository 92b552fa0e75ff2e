"""Recipes and schemes: syntax, keys, values, and what a model's shapes cannot give."""
from check import Case, base, fixture, raw

QUANTIZE = "qopt quantize {in}/model.mlir --recipe {in}/r.yaml -o {out}/q.mlir"
SCHEME = "qopt quantize {in}/model.mlir -o {out}/q.mlir "
MODEL = {"llama-tied": fixture("llama-tied"), "model.mlir": base("model.mlir")}


def recipe(name, text, code, rule, where, next=".+"):
    return Case(name, {**MODEL, "r.yaml": raw(text)}, QUANTIZE, code, rule, r"r\.yaml" + where, next)


def scheme(name, options, code, rule, where=".+", next=".+"):
    return Case(name, MODEL, SCHEME + options, code, rule, where, next)


HEAD = "version: 1\nscheme: w4a8:g32\n"


def cases():
    return [
        recipe("an empty recipe", "", 1, "expected a recipe to be a mapping of keys to values, but got", ""),
        recipe("a recipe that is no YAML", HEAD + 'rules: "open\n', 1, "expected YAML", ":[0-9]+:[0-9]+"),
        recipe("tabs for indentation", HEAD + "rules:\n\t- match: x\n", 1, ".", ":[0-9]+:[0-9]+"),
        recipe("deep YAML", HEAD + "rules: " + "[" * 100000, 1, "expected YAML that is nested at most 64 deep", ":3:[0-9]+"),
        recipe("deep YAML by indentation", HEAD + "rules:\n" + "- " * 100000 + "x\n", 1, "nested at most 64 deep", ":4:[0-9]+"),
        recipe("deep YAML by lines", HEAD + "rules:\n" + "".join(" " * depth + "a:\n" for depth in range(300)), 1,
               "nested at most 64 deep|expected", ":[0-9]+:[0-9]+"),
        recipe("a large recipe", HEAD + "#" * (2 << 20), 1, "expected a recipe of at most 1 MiB, but got 2097180 bytes", ""),
        recipe("an unknown key", HEAD + "shceme: w4a8\n", 1, r'expected a key that a recipe has \(.*\), but got "shceme"',
               ":3:1", 'write "scheme" if that is meant'),
        recipe("an unknown key in a rule", HEAD + "rules:\n  - match: model.layers.0\n    shceme: w8a8:g32\n", 1,
               r'expected a key that a rule has \(match, scheme, keep, method, reason\), but got "shceme"', ":5:5",
               'write "scheme" if that is meant'),
        recipe("a key of a recipe given twice", HEAD + "scheme: w8a8\n", 1, 'expected each key once, but got "scheme" again',
               ":3:1"),
        recipe("no version", "scheme: w4a8:g32\n", 1, 'expected a key "version"', "", "begin the recipe with version: 1"),
        recipe("version 2 of a recipe", "version: 2\nscheme: w4a8:g32\n", 1, 'expected version 1, but got "2"', ":1:10"),
        recipe("no scheme", "version: 1\n", 1, 'expected a key "scheme"', "", "add for example scheme: w4a8:g64"),
        recipe("a scheme that does not parse", "version: 1\nscheme: w4a9\n", 1, "w4a9|a9", ":2:9"),
        recipe("a rule without a match", HEAD + "rules:\n  - keep: true\n", 1, 'expected a rule with a key "match"', ":4:5"),
        recipe("a rule without a scheme", HEAD + "rules:\n  - match: x\n", 1, '"scheme", "method" or both, or with "keep: true"', ":4:5"),
        recipe("keep that is not true", HEAD + "rules:\n  - match: x\n    keep: maybe\n", 1,
               'expected keep to be true, but got "maybe"', ":5:11"),
        recipe("rules that are no list", HEAD + "rules: all\n", 1, "expected rules to be a list", ":3:8"),
        recipe("a rule that matches nothing", HEAD + "rules:\n  - match: model.layers.7\n    keep: true\n", 2,
               'expected a pattern that matches a weight of the model, but "model.layers.7" matches none', ":4:5"),
        recipe("a glob that does not parse", HEAD + "rules:\n  - match: 'a[b'\n    keep: true\n", 1,
               "expected a glob, but got", ":4:5", "write a pattern"),
        recipe("a glob that explodes", HEAD + "rules:\n  - match: '" + "{a,b}" * 20 + "'\n    keep: true\n", 1,
               "expected a glob, but got", ":4:5"),
        recipe("an alias", HEAD + "rules:\n  - match: *x\n    keep: true\n", 1,
               "expected match to be text, but got an alias", ":5:5"),
        recipe("two documents", HEAD + "---\nversion: 1\n", 1, "expected one document, but got another", ":4:"),
        scheme("a group that does not divide", "--scheme w4a8:g64", 2, "expected a group that divides the 96 inputs, but got 64",
               r"parameter @model\.layers\.0\.mlp\.down_proj\.weight", "use a group that divides it"),
        Case("a recipe that is not there", MODEL, QUANTIZE, 2, "cannot read the file: No such file", r"r\.yaml"),
        Case("a recipe that is a folder", {**MODEL, "r.yaml": lambda bench, path: path.mkdir()}, QUANTIZE, 2,
             "expected a regular file, but got a directory", r"r\.yaml"),
        scheme("a scheme on the command line that does not parse", "--scheme w4a9", 1, "w4a9|a9"),
        scheme("5 bits", "--scheme w5a16:g32", 1, "w5a16"),
        scheme("a group of 48", "--scheme w4a16:g48", 1, "48"),
        scheme("a group of an absurd size", "--scheme w4a16:g99999999999999999999", 1, "."),
        scheme("a recipe beside a scheme", "--scheme w4a16 --recipe {in}/r.yaml", 1,
               "expected either --recipe or --scheme, --head, --method, --scales and --keep, but got both"),
        scheme("keep that matches nothing", "--scheme w4a16:g32 --keep nothing.like.it", 2,
               'expected a pattern that matches a weight of the model, but "nothing.like.it" matches none', "keep"),
    ]
