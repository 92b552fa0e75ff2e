"""What peer.py does with a peer's files: reads all of them or refuses, and runs no peer for what is recorded."""

import contextlib
import dataclasses
import io
import pathlib
import tempfile
import unittest
from unittest import mock

import numpy as np
import packed
from scoring import peer, settings, steps, tensors, unpack
from scoring.settings import Work
from verify_test import GROUP, SHAPES, nearest


class Files(unittest.TestCase):
    """A model of one layer, and what a peer stores of it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = pathlib.Path(self.folder.name)
        self.work, self.stored = Work(root, root / "results"), root / "model"
        random = np.random.default_rng(0)
        self.linears = {f"model.layers.0.{name}": random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
        self.rest = {"model.embed_tokens.weight": random.standard_normal((50, 64)).astype(np.float32)}
        self.rest |= {f"model.{name}.weight": np.ones(64, np.float32)
                      for name in ("norm", "layers.0.input_layernorm", "layers.0.post_attention_layernorm")}
        self.work.model("plain").mkdir(parents=True)
        self.stored.mkdir()
        steps.write_json(self.work.model("plain") / "config.json", {"head_dim": 16})
        tensors.write(self.work.model("plain") / "model.safetensors",
                      self.rest | {f"{name}.weight": weights for name, weights in self.linears.items()}, {})

    def read(self, name, row, packs, **more):
        made = dict(self.rest)
        for linear, weights in self.linears.items():
            made |= packs(linear, nearest(weights, row.bits, row.group))
        made |= {key: np.asarray(value) for key, value in more.items()}
        for suffix, value in self.each.items():
            made |= {f"{linear}.{suffix}": value for linear in self.linears}
        tensors.write(self.stored / "model.safetensors", made, {})
        return peer.plain(self.work, self.stored, name, row, "plain", pathlib.Path(self.folder.name, "out"))

    each: dict = {}  # that all linears have beside

    def compressed(self, **more):
        return self.read("llmcompressor", dataclasses.replace(settings.ROWS["w4-gptq"], group=GROUP),
                         lambda name, linear: packed.compressed(name, linear.codes, linear.scales, 4), **more)

    def gptq(self, **more):
        return self.read("gptqmodel", dataclasses.replace(settings.ROWS["w4-gptq"], group=GROUP),
                         lambda name, linear: packed.gptq(name, linear.codes + 8, linear.scales, linear.zeros + 8, linear.groups, 4), **more)

    def of_8_bits(self, row):
        return self.read("llmcompressor", dataclasses.replace(settings.ROWS[row], rescaled=False),
                         lambda name, linear: {f"{name}.weight": linear.codes.astype(np.int8), f"{name}.weight_scale": linear.scales})

    def refuses(self, why, read, **more):
        with self.assertRaisesRegex(unpack.Malformed, why):
            read(**more)

    def test_reads_all_that_there_is(self):
        self.assertEqual([self.compressed().linears, self.gptq().linears, self.of_8_bits("w8a8-dynamic").linears], [7, 7, 7])

    def test_refuses_what_no_reader_knows(self):
        down = "model.layers.0.mlp.down_proj"
        for name in (f"{down}.weight_g_idx", f"{down}.bias", f"{down}.weight", "model.rotary.inverse", f"{down}.input_scale"):
            value = np.zeros((64, 96) if name.endswith("weight") else 64, np.float32)
            self.refuses(f"but 1 are not known here: {name}\n", self.compressed, **{name: value})
        self.refuses(f"but 1 are not known here: {down}.bias\n", self.gptq, **{f"{down}.bias": np.zeros(64, np.float16)})
        self.each = {"weight_g_idx": np.zeros(4, np.int32)}
        self.refuses("but 7 are not known here: model.layers.0.mlp.down_proj.weight_g_idx, .*, …", self.compressed)

    def test_scales_of_inputs_are_of_rows_that_have_one_each(self):
        self.refuses("input_scale: expected it, as the row has one scale", self.of_8_bits, row="w8a8-static")
        self.each = {"input_scale": np.array([0.25], np.float32)}
        self.of_8_bits("w8a8-static")
        self.assertEqual(peer._input_scales(self.work, settings.ROWS["w8a8-static"], "plain", self.stored), dict.fromkeys(sorted(self.linears), 0.25))
        self.assertEqual(peer._input_scales(self.work, settings.ROWS["w4a8"], "plain", self.stored), {})
        self.refuses("but 7 are not known here: .*input_scale", self.of_8_bits, row="w8a8-dynamic")
        for value in ([0.25, 0.25], [0.0], [np.nan]):
            self.each = {"input_scale": np.array(value, np.float32)}
            self.refuses("expected one positive number", self.of_8_bits, row="w8a8-static")

    def test_norms_and_embedding_are_the_originals(self):
        self.rest["model.layers.0.input_layernorm.weight"] = np.full(64, 1.05, np.float32)
        with self.assertRaisesRegex(peer.verify.Unfaithful, "input_layernorm.weight: expected it as it was, in F32, but it differs"):
            self.compressed()


class Runs(unittest.TestCase):
    """A peer takes up to two hours: what is recorded is not run again unless that is asked for."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.work = Work(pathlib.Path(self.folder.name), pathlib.Path(self.folder.name, "results"))
        self.row = settings.ROWS["w3-gptq"]
        self.records = [self.work.result("gptqmodel", "w3-gptq", "plain", 0, kind) for kind in settings.TEXTS]

    def runs(self, *, again=False, run="same"):
        """How often the peer is started where both kinds of texts have a record."""
        for path in self.records:
            steps.write_json(path, {"key": {"run": run}})

        def start(words, log, folder):
            steps.write_json(self.work.peer("gptqmodel", "w3-gptq", "plain", 0) / "peer.json", {"seconds": 1.0})
            started.append(words)
            return steps.Cost(1.0, 1.0, 1, 0.0)

        started = []
        with mock.patch.object(peer, "_run_key", return_value="same"), mock.patch.object(peer.ours, "calibrate"), \
                mock.patch.object(peer, "install"), mock.patch.object(steps, "command", start), \
                contextlib.redirect_stderr(io.StringIO()) as said:
            peer.run(mock.Mock(), self.work, "gptqmodel", self.row, "plain", 0, again)
        return len(started), said.getvalue(), [path.exists() for path in self.records]

    def test_what_is_recorded_is_not_run_again(self):
        ran, said, left = self.runs()
        self.assertEqual((ran, left), (0, [True, True]))
        self.assertIn("it is recorded in gptqmodel-w3-gptq-plain-0-development.json, gptqmodel-w3-gptq-plain-0-evaluation.json", said)

    def test_again_runs_it_and_takes_the_records_of_both_texts_away(self):
        self.assertEqual(self.runs(again=True)[::2], (1, [False, False]))

    def test_a_record_of_another_run_is_none(self):
        self.assertEqual(self.runs(run="another")[0], 1)


if __name__ == "__main__":
    unittest.main()
