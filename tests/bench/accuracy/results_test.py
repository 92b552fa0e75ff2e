import contextlib
import dataclasses
import functools
import importlib.util
import io
import pathlib
import tempfile
import time
import unittest
from unittest import mock

import numpy as np
import texts
from scoring import activations, ingredients, intervals, lanes, ours, report, settings, steps, tensors
from scoring.settings import Work

# bench/run.py has the same name, and is found first.
PROGRAM = importlib.util.spec_from_file_location("accuracy_run", settings.HERE / "run.py")
run = importlib.util.module_from_spec(PROGRAM)
PROGRAM.loader.exec_module(run)


class Intervals(unittest.TestCase):
    def test_pairing_takes_the_windows_out(self):
        theirs = np.random.default_rng(0).uniform(0.1, 1, (2, 40))
        theirs[1] = theirs[0]  # seeds that are alike leave windows alone
        value, low, high = intervals.ratio([theirs[0] / 2] * 3, theirs)
        for each in (value, low, high):
            self.assertAlmostEqual(each, 0.5)

    def test_seeds_widen_it(self):
        random = np.random.default_rng(0)
        one = random.uniform(0.9, 1.1, (1, 40))
        apart = np.concatenate([one * factor for factor in (0.8, 0.9, 1.0, 1.1, 1.2)])
        _, low, high = intervals.ratio(one, one)
        self.assertAlmostEqual(low, high)
        value, low, high = intervals.ratio(apart, one)
        self.assertAlmostEqual(value, 1)
        self.assertTrue(0.8 < low < 0.93 and 1.07 < high < 1.2, (low, high))

    def test_covers_the_truth_as_often_as_it_says(self):
        random = np.random.default_rng(0)
        covered = 0
        for _ in range(200):
            text = random.lognormal(0, 0.5, 64)
            _, low, high = intervals.ratio([text * 0.7 * random.lognormal(0, 0.3, 64)], [text * random.lognormal(0, 0.3, 64)], 500)
            covered += low < 0.7 < high
        self.assertTrue(180 <= covered <= 199, covered)

    def test_covers_seeds_as_often_as_it_says(self):
        random, below = np.random.default_rng(1), 0
        for _ in range(1500):  # seeds alone differ, five of ours and two of theirs
            left, right = (1 + random.normal(0, 0.05, (count, 1)) * np.ones(8) for count in (5, 2))
            below += intervals.ratio(left, right, 400)[2] > 1
        self.assertTrue(1360 <= below <= 1400, below)  # 92%, of two seeds; 88% where they are taken for all that there are

    def test_covers_as_often_as_the_readme_says(self):
        """Five seeds of ours and two of theirs whose spreads differ; the middle of each range is README's figure."""
        random = np.random.default_rng(2)
        for windows, ours_, theirs, low, high in ((0, 0, 0.05, 0.77, 0.87), (0.09, 0, 0.02, 0.9, 0.97), (0.09, 0.02, 0.02, 0.91, 0.98)):
            below, count = 0, 400
            for _ in range(count):
                paired = 1 + random.normal(0, windows, 64)
                left = (1 + random.normal(0, ours_, (5, 1))) * paired
                below += intervals.ratio(left, (1 + random.normal(0, theirs, (2, 1))) * np.ones(64), 200)[2] > 1
            self.assertTrue(low < below / count < high, (windows, ours_, theirs, below / count))

    def test_refuses_other_windows(self):
        with self.assertRaisesRegex(ValueError, "expected the same windows"):
            intervals.ratio(np.ones((2, 5)), np.ones((2, 6)))


def record(side, seed, kl, digest="d", builds="b", weights="w", script="s", loss=3.0, tokens="t", noisy=None, windows=64):
    window_kl = (np.linspace(0.5, 1.5, windows) * kl).tolist()
    said = {"protocol": {"window": 512, "windows": windows}, "kl_divergence": {"value": kl}, "perplexity": {"value": 20.0},
            "top1_agreement": {"value": 0.9}, "window_kl": window_kl, "window_reference_loss": [loss] * windows}
    made_from = {"model": weights} if side == "ours" else {"run": {"model": weights, "script": script, "seed": seed, "tokens": tokens}}
    key = made_from | {"evaluation": {"texts": {"near": digest, "far": digest}}}
    return {"key": key, "builds": builds.split(), "side": side, "row": "w4-gptq", "model": "plain", "seed": seed, "texts": "development",
            "bits_per_weight": 4.25, "evaluation": {"near": said, "far": said},
            "tokens": tokens, "peer": {"cpus": 2},
            "cost": {"seconds": 10.0, "peak_kib": 2048, "cpus": 2, "noisy": side == "gptqmodel" if noisy is None else noisy}}


class Report(unittest.TestCase):
    def setUp(self):
        few = functools.partial(intervals.ratio, draws=200)  # what is compared here is the same with more, and takes longer
        patch = mock.patch.object(intervals, "ratio", few)
        patch.start()
        self.addCleanup(patch.stop)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.work = Work(pathlib.Path(self.folder.name), pathlib.Path(self.folder.name, "results"))

    def put(self, *records):
        for each in records:
            steps.write_json(self.work.result(each["side"], each["row"], each["model"], each["seed"], "development"), each)

    def markdown(self):
        return report.markdown(self.work, "development", list(report.comparisons(self.work, "development", "b")))

    def missing(self):
        return report.missing(self.work, "development", list(report.comparisons(self.work, "development", "b")))

    def test_compares_and_judges(self):
        self.put(record("ours", 0, 0.1), record("ours", 1, 0.12), record("gptqmodel", 0, 0.2), record("llmcompressor", 0, 0.14),
                 record("autoround", 0, 0.1) | {"row": "w4-best"})
        made = {(one["peer"], one["text"]): one for one in report.comparisons(self.work, "development", "b")}
        self.assertEqual(len(made), 4)
        self.assertAlmostEqual(made["gptqmodel", "near"]["ratio"], 0.55)
        self.assertTrue(made["gptqmodel", "near"]["holds"])
        self.assertFalse(made["llmcompressor", "far"]["holds"])
        table = self.markdown()
        self.assertIn("0.550 [0.479, 0.621] | < 0.75 | holds, of too few seeds or windows | 2 / 1 | 10 / 10* |", table)
        self.assertIn("| gptqmodel | near, 64 of 512 | 4.250 / 4.250 |", table)
        self.assertIn("| **does not hold** | 2 / 1 | 10 / 10 |", table)
        self.assertIn("not for publication", table)
        self.assertIn("- W3 g64, GPTQ, plain, gptqmodel: not both sides were measured", table)
        self.assertIn("- W4 g64, default GPTQ, dithered, llmcompressor: not both sides were measured", table)
        self.assertIn("best recipe, plain, autoround: not both sides were measured (autoround, seed 0, 4.250 bits: near 0.1000, far", table)
        self.assertIn("- W8A8, one scale for all activations, plain, llmcompressor: not both sides were measured", table)

    def test_time_is_judged_where_both_were_undisturbed(self):
        def said(*changed):
            for record_ in self.work.results.glob("*.json"):
                record_.unlink()
            self.put(*(each | {"row": "w4-best"} for each in changed))
            return next(report.comparisons(self.work, "development", "b"))["time"]

        def took(seconds, each):
            return each | {"cost": each["cost"] | {"seconds": seconds}}

        theirs, fast = record("autoround", 0, 0.2), took(2.0, record("ours", 0, 0.1))
        self.assertEqual(said(fast, theirs), {"ratio": 0.2, "bound": 0.25, "holds": True, "pairs": 1})
        self.assertEqual(said(record("ours", 0, 0.1), theirs), {"ratio": 1.0, "bound": 0.25, "holds": False, "pairs": 1})
        self.assertEqual(said(fast, record("autoround", 0, 0.2, noisy=True))["holds"], None)
        # Of other seeds one says nothing of the machine that the other had.
        self.assertEqual(said(fast, record("autoround", 1, 0.2))["holds"], None)
        pair = said(fast, theirs, took(6.0, record("ours", 1, 0.1)), took(30.0, record("autoround", 1, 0.2)), took(90.0, record("ours", 2, 0.1)))
        self.assertEqual(pair, {"ratio": 0.2, "bound": 0.25, "holds": True, "pairs": 2})
        theirs["peer"]["cpus"] = 1
        self.assertEqual(said(fast, theirs)["holds"], None)
        self.assertIn("Our seconds over autoround's, w4-best on plain: bound 0.25: not measured", self.markdown())

    def test_a_seed_is_the_same_windows_on_both_sides(self):
        self.refuses("with seed 1 to have calibrated on the same windows, but on others than the rest have\n  gptqmodel w4-gptq plain\nnext: ",
                     record("ours", 0, 0.1), record("ours", 1, 0.1), record("llmcompressor", 1, 0.1), record("gptqmodel", 0, 0.2),
                     record("gptqmodel", 1, 0.2, tokens="u"))

    def test_a_seed_is_the_same_windows_in_all_rows(self):
        self.refuses("with seed 1 to have calibrated", record("ours", 0, 0.1), record("gptqmodel", 0, 0.2), record("ours", 1, 0.1),
                     record("gptqmodel", 1, 0.2, tokens="u") | {"row": "w3-gptq"})

    def test_llama_cpp_takes_no_windows(self):
        self.put(record("ours", 0, 0.1) | {"row": "mixed"}, record("llamacpp", 0, 0.2, tokens="u") | {"row": "mixed"})
        self.assertIn("0.500", self.markdown())

    def test_refuses_what_the_sources_no_longer_say(self):
        row, qopt = settings.ROWS["w4-gptq"], mock.Mock(recipe=lambda row: f"recipe of {row.name}")
        sums = {text.name: text.sha256 for text in texts.TEXTS}
        evaluation = {"scoring": settings.SCORING, "texts": {"near": sums["development-near"], "far": sums["development-far"]}}
        filed = {"row": "w4-gptq", "seed": 1, "texts": "development", "model": "plain"}
        calibration = {"texts": [sums["calibration-technical"], sums["calibration-essays"]], "samples": 128, "length": 512, "seed": 1}
        ours_ = filed | {"side": "ours", "tokens": "t", "key": {"recipe": "recipe of w4-gptq", "budget": None, "row": "w4-gptq",
                                                               "evaluation": evaluation, **calibration}}
        sources = lanes.peer.of_sources("gptqmodel", row)
        theirs = filed | {"side": "gptqmodel", "key": sources | {"evaluation": evaluation, "run": sources["run"] | {
            "seed": 1, "row": "w4-gptq", "tokens": "t"}}}
        for current in (ours_, theirs, theirs | {"measured_with": activations.script()}):
            self.assertEqual(report.stale(qopt, current), [])
        for part, other in (("samples", 64), ("length", 256), ("seed", 0), ("texts", list(reversed(calibration["texts"]))), ("row", "w4-best-sym")):
            self.assertEqual(report.stale(qopt, ours_ | {"key": ours_["key"] | {part: other}}), [part])
        for side in (ours_, theirs):
            self.assertEqual(report.stale(qopt, side | {"texts": "evaluation"}), ["texts"])
            older = evaluation | {"texts": evaluation["texts"] | {"far": "0" * 64}}
            self.assertEqual(report.stale(qopt, side | {"key": side["key"] | {"evaluation": older}}), ["texts"])
        self.assertEqual(report.stale(qopt, theirs | {"seed": 0}), ["seed"])
        self.assertEqual(report.stale(qopt, theirs | {"measured_with": {"activations.py": "older"}}), ["activations.py"])
        self.assertEqual(report.stale(qopt, ours_ | {"row": "gone"}), ["row"])
        self.assertEqual(report.stale(qopt, ours_ | {"key": ours_["key"] | {"recipe": "older", "evaluation": evaluation | {"scoring": 0}}}),
                         ["recipe", "scoring"])
        for name in ("settings", "script", "requirements"):
            self.assertEqual(report.stale(qopt, theirs | {"key": theirs["key"] | {"run": theirs["key"]["run"] | {name: "older"}}}), [name])
        path = self.work.result("ours", "w4-gptq", "plain", 0, "development")
        steps.write_json(path, ours_ | {"key": {}})
        with self.assertRaisesRegex(steps.Failed, r"ours-w4-gptq-plain-0-development.json \(recipe, .*, scoring, texts, name\)"):
            report.check_current(qopt, self.work, "development")
        path.unlink()
        for current in (ours_, theirs):
            steps.write_json(self.work.result(current["side"], "w4-gptq", "plain", 1, "development"), current)
        report.check_current(qopt, self.work, "development")
        steps.write_json(self.work.result("ours", "w4-gptq", "plain", 2, "development"), ours_)  # a copy is not another seed
        with self.assertRaisesRegex(steps.Failed, r"ours-w4-gptq-plain-2-development.json \(name\)"):
            report.check_current(qopt, self.work, "development")

    def test_judges_the_interval_and_not_the_ratio(self):
        self.put(record("ours", 0, 0.1), record("ours", 1, 0.18), record("gptqmodel", 0, 0.2))
        made = next(report.comparisons(self.work, "development", "b"))
        self.assertTrue(made["ratio"] < made["bound"] < made["high"] and not made["holds"], made)

    def test_ours_of_more_bits_holds_nothing(self):
        for ours_, spare, holds in ((4.254, 0.005, True), (4.256, 0.005, False), (4.256, 0.01, True)):
            self.put(record("ours", 0, 0.1) | {"bits_per_weight": ours_}, record("gptqmodel", 0, 0.2))
            with mock.patch.dict(settings.ROWS, {"w4-gptq": dataclasses.replace(settings.ROWS["w4-gptq"], spare_bits=spare)}):
                self.assertEqual(next(report.comparisons(self.work, "development", "b"))["holds"], holds)
        self.assertIn("| **does not hold**, of more bits |", self.markdown())
        self.assertEqual({row.name for row in settings.ROWS.values() if row.spare_bits != 0.005}, set())

    def test_seeds_and_windows_that_a_claim_needs(self):
        theirs = [record("gptqmodel", seed, 0.2) for seed in (0, 1)]
        self.put(*(record("ours", seed, 0.1) for seed in (0, 1, 2, 3, 5)), *theirs)  # five, of which one is not asked for
        self.assertIn("W4 g64, default GPTQ, plain, gptqmodel: seed 4 of ours", self.missing())
        self.assertIn("| holds, of too few seeds or windows | 5 / 2 |", self.markdown())
        self.put(record("ours", 4, 0.1))
        self.assertFalse([line for line in self.missing() if "plain, gptqmodel" in line and line.startswith("W4 g64, default GPTQ")])
        self.assertIn("| holds | 6 / 2 |", self.markdown())
        self.work.result("gptqmodel", "w4-gptq", "plain", 0, "development").unlink()
        self.assertIn("W4 g64, default GPTQ, plain, gptqmodel: seed 0 of gptqmodel", self.missing())
        for path in self.work.results.glob("*.json"):
            path.unlink()
        self.put(record("ours", 0, 0.1, windows=8), record("gptqmodel", 0, 0.2, windows=8))
        self.assertIn("W4 g64, default GPTQ, plain, gptqmodel: seeds 1, 2, 3, 4 of ours; seed 1 of gptqmodel; windows: 8 of 64", self.missing())
        self.assertIn("near, 8 of 512 |", self.markdown())

    def test_llama_cpp_has_one_seed(self):
        self.put(*(record("ours", seed, 0.1) | {"row": "mixed"} for seed in range(5)), record("llamacpp", 0, 0.2) | {"row": "mixed"})
        self.assertIn("| holds | 5 / 1 |", self.markdown())

    def test_refuses_other_windows_of_the_same_text(self):
        for part, other in (("windows", 32), ("window", 256), ("spread", True)):
            theirs = record("gptqmodel", 0, 0.2)
            for said in theirs["evaluation"].values():
                said["protocol"][part] = other
            self.refuses("to be on the same windows of the same text", record("ours", 0, 0.1), theirs)
        theirs["evaluation"]["near"]["protocol"] = dict(record("ours", 0, 0.1)["evaluation"]["near"]["protocol"])
        theirs["evaluation"]["near"]["window_kl"].pop()
        self.refuses("expected 64 windows of gptqmodel, .*, as it says, but got 63", record("ours", 0, 0.1), theirs)

    def test_refuses_results_on_different_texts(self):
        self.put(record("ours", 0, 0.1), record("gptqmodel", 0, 0.2, digest="e"))
        with self.assertRaisesRegex(steps.Failed, "the same windows of the same text"):
            self.markdown()

    def refuses(self, why, *records):
        self.put(*records)
        with self.assertRaisesRegex(steps.Failed, why):
            self.markdown()

    def test_refuses_results_of_another_build(self):
        theirs = record("gptqmodel", 0, 0.2, builds="z")  # builds are of qopt: a peer's are of no interest
        self.refuses("1 are not\nnext: run.py confirm --rows w4-gptq --models … --seeds 0 --texts development, and where",
                     record("ours", 0, 0.1), record("ours", 1, 0.1, builds="c"), theirs)
        self.refuses("2 are not", record("ours", 0, 0.1, builds="c d"), record("ours", 1, 0.1, builds="d"), theirs)
        self.put(record("ours", 0, 0.1, builds="c d"), record("ours", 1, 0.1, builds="d b"))
        self.assertIn("0.500", self.markdown())

    def test_refuses_what_cannot_be_compared(self):
        ours = [record("ours", 0, 0.1), record("ours", 1, 0.1)]
        self.refuses("of one model, but they are of 2", *ours, record("gptqmodel", 0, 0.2, weights="x"))
        self.refuses("of one version and script of gptqmodel, but", *ours, record("gptqmodel", 0, 0.2),
                     record("gptqmodel", 1, 0.2, script="t"))
        self.refuses("one reference, but its loss on a window differs by 0.1 nats", *ours, record("gptqmodel", 0, 0.2),
                     record("gptqmodel", 1, 0.2, loss=3.1))
        self.refuses("its loss on a window differs by 0.0002 nats", *ours, record("gptqmodel", 0, 0.2), record("gptqmodel", 1, 0.2, loss=3.0002))
        self.put(*ours, record("gptqmodel", 1, 0.2, loss=3.00005))
        self.assertIn("0.500", self.markdown())

    def test_records_that_do_not_say_their_script_are_named(self):
        theirs = record("llmcompressor", 0, 0.2) | {"row": "w4a8"}
        self.put(record("ours", 0, 0.1) | {"row": "w4a8"}, theirs)
        self.assertIn("the records of llmcompressor w4a8 plain seed 0 do not say", self.markdown())
        self.put(theirs | {"measured_with": activations.script()})
        self.assertNotIn("do not say", self.markdown())

    def test_one_seed_of_each_side(self):
        self.put(record("ours", 0, 0.1), record("gptqmodel", 0, 0.2) | {"bits_per_weight": 4.3125}, record("gptqmodel", 1, 0.3))
        lines = report.one_seed(self.work, "development", 0).splitlines()
        self.assertIn("| `w4-gptq` | gptqmodel | 4.31 / 4.25 | 0.2000 / 0.2000 | 0.1000 / 0.1000 | 0.50 / 0.50 | not run | not run |  |", lines)
        self.assertIn("| `w4-gptq` | llmcompressor |  / 4.25 | not run | 0.1000 / 0.1000 |  | not run | not run |  |", lines)
        self.assertEqual(lines[-1], "Seed 0, development texts, near / far; ours of the builds b.")

    def test_the_exit_code_says_what_holds_and_what_is_missing(self):
        def code():
            with contextlib.redirect_stdout(io.StringIO()) as said, mock.patch.object(report, "check_current") as checked:
                returned = run.reported(mock.Mock(build=lambda: "b"), self.work, "development")
            self.assertTrue(checked.called)
            return returned, said.getvalue()

        rows = {"w4-gptq": settings.ROWS["w4-gptq"]}
        with mock.patch.object(report, "ROWS", rows):
            for model in settings.MODELS:
                for side, seeds in (("ours", range(5)), ("gptqmodel", (0, 1)), ("llmcompressor", (0, 1))):
                    self.put(*(record(side, seed, 0.1 if side == "ours" else 0.2) | {"model": model} for seed in seeds))
            self.assertEqual(code()[0], 0)
            self.assertNotIn("Missing", code()[1])
            late = self.work.result("llmcompressor", "w4-gptq", "dithered", 1, "development")
            late.unlink()
            self.assertEqual(code()[0], 3)
            self.assertIn("Missing, so that the whole is not claimed:\n- W4 g64, default GPTQ, dithered, llmcompressor: seed 1 of llmcompr", code()[1])
            self.put(*(record("llmcompressor", seed, 0.12) for seed in (0, 1)))
            self.assertEqual(code()[0], 4)  # also where something is missing
            rows["w4-gptq"] = dataclasses.replace(rows["w4-gptq"], bound=1.0, time_bound=0.5)
            self.assertEqual(code()[0], 4)  # 10 s of both sides
            for path in self.work.results.glob("*.json"):
                each = steps.read_json(path)
                each["cost"]["noisy"] = True
                steps.write_json(path, each)
            self.put(record("llmcompressor", 1, 0.2) | {"model": "dithered"})
            self.assertEqual(code()[0], 3)
            self.assertIn("- W4 g64, default GPTQ, plain, gptqmodel: undisturbed seconds of both sides with one seed on as many CPUs\n", code()[1])


    def test_the_program_ends_with_that_code(self):
        options = mock.Mock(command="report", work=self.work.base, qopt=pathlib.Path(__file__), texts=["development"], output=None, seed=None)
        for code in (0, 3, 4):
            with mock.patch.object(run, "arguments", return_value=options), mock.patch.object(run, "reported", return_value=code):
                self.assertEqual(run.main(), code)


class Builds(unittest.TestCase):
    """What another build has left records of: not made again, confirmed or refused."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.work = Work(pathlib.Path(self.folder.name), pathlib.Path(self.folder.name, "results"))
        self.row, self.key = settings.ROWS["w4-gptq"], {"recipe": "r", "seed": 0}
        self.qopt = mock.Mock(build=lambda: "new")
        self.path = self.work.result("ours", self.row.name, "plain", 0, "development")
        for name, made in (("_row_key", self.key), ("_quantize", {"tensors": "t"}), ("evaluation_key", {"windows": 64})):
            patch = mock.patch.object(ours, name, return_value=made)
            setattr(self, name, patch.start())
            self.addCleanup(patch.stop)

    def record(self, **changed):
        made = {"key": self.key | {"evaluation": {"windows": 64}}, "tensors": "t", "builds": ["old"]} | changed
        steps.write_json(self.path, made)
        return made

    def confirm(self):
        return ours.confirm(self.qopt, self.work, [self.row], "plain", 0, ["development"], keep=True)

    def test_what_is_recorded_is_not_made_again(self):
        made = self.record()
        said = ours.run(self.qopt, self.work, [self.row], "plain", 0, ["development"], 64, keep=True)
        self.assertEqual((said, self._quantize.called), ([made], False))

    def test_rows_that_ask_for_the_same_model_are_evaluated_once(self):
        rows, said = [settings.ROWS["w4-gptq"], settings.ROWS["w4-best-sym"]], {"w4-gptq": {"near": "figures"}}
        with mock.patch.object(ours, "reference"), mock.patch.object(ours, "evaluate", return_value=said) as evaluate:
            made = ours.run(self.qopt, self.work, rows, "plain", 0, ["development"], 64, keep=True)
        self.assertEqual([(one["row"], one["evaluation"]) for one in made], [(row.name, {"near": "figures"}) for row in rows])
        artifacts = evaluate.call_args.args[2]
        self.assertEqual(artifacts, {"w4-gptq": self.work.ours("w4-gptq", "plain", 0) / "q.qopt"})

    def test_rows_of_other_recipes_or_budgets_are_made_alone(self):
        shared = {row.name for row in settings.ROWS.values() if ours.made_as(row) != row.name}
        self.assertEqual(shared, {"w4-best-sym"})

    def test_the_same_tensors_are_confirmed_once(self):
        self.record()
        self.assertEqual(self.confirm(), ours.Confirmed(["w4-gptq"], []))
        self.assertEqual(steps.read_json(self.path)["builds"], ["old", "new"])
        self.assertEqual((self.confirm(), self._quantize.call_count), (ours.Confirmed(["w4-gptq"], []), 1))

    def test_other_tensors_or_another_recipe_are_not(self):
        for changed in ({"tensors": "u"}, {"key": {"recipe": "s", "seed": 0}}):
            made = self.record(**changed)
            self.assertEqual(self.confirm(), ours.Confirmed(["w4-gptq"], ["w4-gptq"]))
            self.assertEqual(steps.read_json(self.path), made)

    def test_what_has_no_record_is_not_confirmed(self):
        def of(rows):
            options = mock.Mock(models=["plain"], seeds=[0], texts=["development"], keep=True, rows=rows)
            with contextlib.redirect_stderr(io.StringIO()):
                run.confirm(options, self.work, self.qopt, [settings.ROWS[name] for name in rows or ("w4-gptq", "w4-awq")])

        for rows, absent in ((["w4-gptq"], "w4-gptq"), (None, "w4-gptq, w4-awq")):
            with self.assertRaisesRegex(steps.Failed, f"expected records on development texts to confirm, but there is none of {absent} with"):
                of(rows)
        self.record()
        of(None)
        of(["w4-gptq"])
        with self.assertRaisesRegex(steps.Failed, "there is none of w4-awq with"):
            of(["w4-gptq", "w4-awq"])
        self.record(tensors="u")
        with self.assertRaisesRegex(steps.Failed, "but it does not, of w4-gptq, plain, seed 0\nnext: .* run.py ours --texts development"):
            of(["w4-gptq"])

    def test_digest_is_of_names_types_shapes_and_bytes(self):
        def of(**made):
            tensors.write(self.work.base / "t.safetensors", made, {"version": str(len(digests))})
            digests.append(ours.tensors_digest(self.work.base / "t.safetensors"))
            return digests[-1]

        digests: list[str] = []
        value = np.arange(4, dtype=np.int8)
        self.assertEqual(of(a=value), of(a=value))
        self.assertEqual(len({of(a=value), of(b=value), of(a=value.reshape(2, 2)), of(a=value + np.int8(1)), of(a=value.view(np.float16))}), 5)


class Ingredients(unittest.TestCase):
    def test_names_are_of_one_row(self):
        names = [row.name for table in ingredients.TABLES for row in table.rows]
        self.assertEqual(len(names), len(set(names)))

    def test_rows_are_made_once_and_share_the_reference(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        name = folder.name
        work, qopt = Work(pathlib.Path(name), pathlib.Path(name, "results")), mock.Mock(build=lambda: "b", builtin=lambda name: name)
        rows, evaluations = ["w4-rtn", "w4-asym-gptq", "gptq-rotated"], []

        def command(words, log):
            if words[1] == "quantize":
                recipe = words[words.index("--recipe") + 1].read_text()
                sources[recipe] = next((word for word in ("--statistics", "--text") if word in words), None)
            return mock.Mock(seconds=1.0)

        def evaluate(_, __, artifacts, model, texts, windows, ___):
            evaluations.append((sorted(artifacts), model, texts, windows))
            return {row: {where: {"kl_divergence": {"value": 0.125}} for where in ("near", "far")} for row in artifacts}

        sources: dict[str, object] = {}
        with mock.patch.multiple(ours, calibrate=mock.DEFAULT, calibration_key=lambda *_: {"seed": 0}, evaluate=evaluate,
                                 evaluation_key=lambda *_: {"windows": 16}, tensors_digest=lambda _: "t"), \
                mock.patch.object(steps, "command", command), mock.patch.object(ours, "of_overlay", lambda _: mock.Mock(body=4.25)):
            for until in (0.0, float("inf"), float("inf")):
                ingredients.run(qopt, work, ["plain"], rows, until)
            table = ingredients.markdown(qopt, work)
        self.assertEqual(evaluations, [(sorted(rows), "plain", "development", 16)])
        self.assertEqual([sources[recipe] for recipe in sorted(sources, key=lambda text: ("rotate" in text, "gptq" in text))],
                         [None, "--statistics", "--text"])
        self.assertIn("| round to nearest | 4.25 | 0.1250 | 0.1250 |  |  |  |  |", table)
        self.assertIn("| round to nearest, zero points |  |  |", table)
        self.assertIn("one run each, 1 build of qopt.", table)


class Lanes(unittest.TestCase):
    def test_what_has_no_record_is_missing(self):
        with tempfile.TemporaryDirectory() as name:
            work = Work(pathlib.Path(name), pathlib.Path(name, "results"))
            steps.write_json(work.result("gptqmodel", "w4-gptq", "plain", 0, "evaluation"), {"key": {"run": "same"}})
            steps.write_json(work.result("gptqmodel", "w3-gptq", "plain", 0, "evaluation"), {"key": {"run": "another"}})

            def missing(peers, texts, rows=None):
                with mock.patch.object(lanes.peer, "_score_key", return_value={"run": "same"}), \
                        mock.patch.object(lanes.peer, "_run_key", return_value="same"):
                    return [str(job) for job in lanes.missing(work, peers, rows, ["plain"], [0, 1], texts, 64)]

            self.assertEqual(missing(["gptqmodel"], ["evaluation"]),
                             ["gptqmodel w3-gptq plain seed 0", "gptqmodel w4-gptq plain seed 1", "gptqmodel w3-gptq plain seed 1"])
            self.assertEqual(missing(["gptqmodel"], ["evaluation", "development"], ["w4-gptq"]),
                             ["gptqmodel w4-gptq plain seed 0", "gptqmodel w4-gptq plain seed 1"])
            self.assertEqual(missing(["llamacpp"], ["evaluation"]), ["llamacpp mixed plain seed 0"])

    def test_a_bound_or_a_recipe_of_ours_makes_no_peer_run_again(self):
        row = settings.ROWS["w4a8"]
        self.assertEqual(lanes.peer._stored_as(row), lanes.peer._stored_as(dataclasses.replace(row, bound=0.5, recipe="other.yaml", title="x")))
        self.assertNotEqual(lanes.peer._stored_as(row), lanes.peer._stored_as(dataclasses.replace(row, activations="tensor")))

    def test_each_job_has_a_cpu_and_a_failure_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            work, row = Work(pathlib.Path(name), pathlib.Path(name, "results")), settings.ROWS["w4-gptq"]
            jobs = [lanes.Job("gptqmodel", row, "plain", seed) for seed in range(3)]
            qopt = mock.Mock(program=pathlib.Path("/nowhere/qopt"))
            with contextlib.redirect_stderr(io.StringIO()) as said:
                failed = lanes.run(qopt, work, jobs, ["evaluation"], 64, time.monotonic() + 60)
            self.assertEqual(sorted(text.split(" (")[0] for text in failed), [str(job) for job in jobs])  # in whatever order they end
            self.assertIn("gptqmodel w4-gptq plain seed 2: failed", said.getvalue())
            log = pathlib.Path(name, "lanes", "gptqmodel-w4-gptq-plain-2.log").read_text()
            self.assertIn("expected qopt at /nowhere/qopt, but there is none", log)
            self.assertEqual(lanes.run(qopt, work, jobs, ["evaluation"], 64, time.monotonic() - 1), [f"{job} (not begun)" for job in jobs])


class Agreement(unittest.TestCase):
    def test_refuses_what_two_programs_measure_differently(self):
        compiled = {"window_kl": [0.1, 0.2], "window_reference_loss": [3.0, 3.5]}
        plain = [{"kl_divergence": 0.1005, "reference_loss": 3.00005}, {"kl_divergence": 0.2, "reference_loss": 3.5}]
        self.assertAlmostEqual(activations.agree(plain, plain, compiled, "near"), 0.3005 / 0.3)
        with self.assertRaisesRegex(activations.Disagree, "expected 2 windows with plain activations and .* got 1 and 2"):
            activations.agree(plain[:1], plain, compiled, "near")
        with self.assertRaisesRegex(activations.Disagree, "expected 2 windows"):
            activations.agree(plain, plain[:1], compiled, "near")
        with self.assertRaisesRegex(activations.Disagree, "window 1: expected a divergence of 0.200000"):
            activations.agree([plain[0], plain[1] | {"kl_divergence": 0.21}], plain, compiled, "near")
        with self.assertRaisesRegex(activations.Disagree, "window 0: expected the reference's loss of 3.00000"):
            activations.agree(plain, [plain[0] | {"reference_loss": 3.1}, plain[1]], compiled, "near")
        with self.assertRaisesRegex(activations.Disagree, "window 1: expected the reference's loss of 3.50000.* but got 3.50020"):
            activations.agree(plain, [plain[0], plain[1] | {"reference_loss": 3.5002}], compiled, "near")

    def test_windows_that_both_measure_are_among_all(self):
        for whole in (5, 8, 63, 64, 65, 149, 635):
            every, some = activations.spread(whole, 64), activations.spread(whole, activations.CHECKED)
            self.assertTrue(set(some) <= set(every) and every == sorted(set(every)), (whole, every))
            self.assertEqual((len(every), len(some), every[-1] < whole), (min(64, whole), min(8, whole), True))

    def test_windows_that_qopt_eval_has_not_measured_are_counted(self):
        compiled = {"protocol": {"window": 512, "windows": 8, "predictions": 8 * 511, "seed": 0}, "window_kl": [0.25] * 8,
                    "window_reference_loss": [3.0] * 8, "kl_divergence": {"value": 0.25}}
        window = {"kl_divergence": 0.25, "reference_loss": 3.0, "loss": 3.1, "top1_agreement": 0.9}

        def run(command, log):
            asked.append(command[command.index("--plain") + 1])
            steps.write_json(pathlib.Path(command[command.index("--out") + 1]),
                             {"linears": 210, "plain": [window] * 8, "quantized": [window] * measured})

        def evaluate():
            said = activations.evaluate("qopt", self.work, "python", self.work.base, self.work.base / "plain", "plain", "evaluation", 64,
                                        "token", {}, {"near": compiled, "far": compiled}, linears)
            return said["far"]["protocol"], said["far"]["kl_divergence"]["value"], len(said["near"]["window_kl"])

        with tempfile.TemporaryDirectory() as name, mock.patch.object(activations, "windows", return_value=np.zeros((20, 512), np.int32)), \
                mock.patch.object(steps, "command", run):
            self.work, measured, linears, asked = Work(pathlib.Path(name), pathlib.Path(name, "results")), 20, 210, []
            self.assertEqual(evaluate(), ({"window": 512, "windows": 20, "predictions": 20 * 511, "seed": 0}, 0.25, 20))
            self.assertEqual(asked, ["0,2,5,7,10,12,15,17"] * 2)
            linears = 211
            with self.assertRaisesRegex(activations.Disagree, "expected the inputs of 211 linears to be quantized, but they are of 210"):
                evaluate()
            measured, linears = 19, 210
            with self.assertRaisesRegex(activations.Disagree, "expected 20 windows, but got 19"):
                evaluate()


class Once(unittest.TestCase):
    def test_a_folder_is_of_one_build_at_a_time(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name, "build")
            held = [steps.one_build(path, "a"), steps.one_build(path, "a")]
            while held:
                with self.assertRaisesRegex(steps.Failed, "another build of qopt is at work: a, and this is b"):
                    steps.one_build(path, "b")
                held.pop().close()
            steps.one_build(path, "b").close()

    def test_runs_again_for_another_key_or_a_file_that_is_gone(self):
        with tempfile.TemporaryDirectory() as name:
            folder, runs = pathlib.Path(name), []

            def make():
                runs.append(1)
                (folder / "made").touch()
                return {"value": len(runs)}

            def once(key):
                return steps.once(folder / "record.json", key, make, [folder / "made"])["value"]

            self.assertEqual([once({"a": (1, 2)}), once({"a": [1, 2]}), once({"a": [1, 3]})], [1, 1, 2])
            (folder / "made").unlink()
            self.assertEqual(once({"a": [1, 3]}), 3)

    def test_what_is_outdated_is_removed(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name, "r.json")
            steps.keep(path, {"a": 1}, {"value": 2})
            self.assertFalse(steps.outdated(path, {"a": 1}))
            self.assertTrue(path.exists())
            self.assertTrue(steps.outdated(path, {"a": 2}))
            self.assertFalse(path.exists())

    def test_a_run_that_fails_leaves_no_record(self):
        with tempfile.TemporaryDirectory() as name:
            log = pathlib.Path(name, "log")
            with self.assertRaisesRegex(steps.Failed, "expected exit code 0, but got 3"):
                steps.once(pathlib.Path(name, "r.json"), {}, lambda: steps.command(["sh", "-c", "echo why >&2; exit 3"], log))
            self.assertEqual([log.read_text(), pathlib.Path(name, "r.json").exists()], ["why\n", False])


class Tensors(unittest.TestCase):
    def test_bf16_rounds_to_nearest_even(self):
        one, step = 1.0, 2.0**-7
        values = np.array([one + step / 2, one + 3 * step / 2, one + step / 2 + 1e-6, -one - step / 4, 3.0], np.float32)
        np.testing.assert_array_equal(tensors.bf16(values), np.array([one, one + 2 * step, one + step, -one, 3.0], np.float32))

    def test_what_is_written_is_read(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name, "t.safetensors")
            made = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([[-3]], np.int8)}
            tensors.write(path, made, {"format": "pt"})
            read = tensors.Checkpoint(path)
            self.assertEqual((list(read), read.metadata, read.kind("a")), (["a", "b"], {"format": "pt"}, "I8"))
            for key, value in made.items():
                np.testing.assert_array_equal(read[key], value)
            self.assertNotIn("c", read)


if __name__ == "__main__":
    unittest.main()
