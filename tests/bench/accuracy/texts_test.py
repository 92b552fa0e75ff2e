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


if __name__ == "__main__":
    unittest.main()
