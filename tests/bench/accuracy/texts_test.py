import pathlib
import tempfile
import unittest

import texts


class Pages(unittest.TestCase):
    def test_paragraphs_and_items_alone(self):
        page = b"""<html><head><title>no</title><script>no()</script></head><body><h1>no</h1>
        <p>One <em>and</em>
        two<p>never closed<ul><li>first<li><p>second</p></ul>no <table><tr><td>no</td></tr></table>
        <pre>no</pre><p>fish &amp; chips<br>again</p>no</body></html>"""
        self.assertEqual(texts.of_pages([page]).decode().split("\n\n"),
                         ["One and two", "never closed", "first", "second", "fish & chips again\n"])

    def test_pages_in_latin_1(self):
        self.assertEqual(texts.of_pages([b"<p>caf\xe9</p>", "<p>café</p>".encode()]).decode(), "café\n\ncafé\n")

    def test_digests_are_digests(self):
        self.assertEqual({len(text.sha256) for text in texts.TEXTS}, {64})
        self.assertEqual(len({text.sha256 for text in texts.TEXTS}), 6)

    def test_a_text_is_whole_or_refused(self):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            text = texts.Text("both", "package", "1", ("a", "b*"), texts.joined, "0" * 64)
            (root / "a").write_bytes(b"1")
            self.assertEqual(texts.found(text, root), [])
            with self.assertRaisesRegex(texts.Refused, "expected files a, b"):
                texts.make(text, root, root / "packages", other_versions=True)
            for name in ("b2", "b1"):
                (root / name).write_bytes(name.encode())
            self.assertEqual(texts.make(text, root, root / "packages", other_versions=True), b"1b1b2")
            with self.assertRaisesRegex(texts.Refused, "expected both with SHA-256 000"):
                texts.make(text, root, root / "packages", other_versions=False)


if __name__ == "__main__":
    unittest.main()
