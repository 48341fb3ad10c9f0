"""The page for authors says what is so: its modules are loaded from files, and play."""

import re
import unittest

import numpy as np

from .support import BLOCK_FRAMES, FOLDER, RATE_HZ, FolderTest, Stand

PAGE = FOLDER.parents[1] / "docs" / "write-a-module-in-python.md"


def saw(blocks: int) -> np.ndarray:
    """55 Hz, as the page plays it."""
    phase = np.arange(blocks * BLOCK_FRAMES) * 55 / RATE_HZ
    return (2 * (phase % 1) - 1).astype(np.float32).reshape(blocks, BLOCK_FRAMES)


class Page(FolderTest):
    def test_its_modules_play(self):
        blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        names, sound = [], saw(200)
        for index, text in enumerate(blocks):
            found = self.load(f"page{index}.py", text)
            self.assertEqual(found.faults, [])
            for of in found.types:
                names.append(of.name)
                stand = Stand(of)
                heard = []
                for block in sound:
                    stand.patch(0, block)
                    heard.append(stand.block())
                heard = np.concatenate(heard, axis=1)[0]
                self.assertTrue(np.isfinite(heard).all() and 0.05 < np.ptp(heard) < 10, of.name)
                if of.name == "ladder":
                    self.assertLess(np.abs(np.diff(heard)).max(), 0.2, "the edges of the saw are round")
                if of.name == "echo":
                    late = round(0.2 * RATE_HZ)
                    level = heard[late:] - sound.ravel()[late:]
                    self.assertTrue(
                        np.allclose(level, 0.4 * sound.ravel()[:-late], atol=1e-6), "identity 7 is 0.4"
                    )
        self.assertEqual(names, ["ladder", "echo", "whisper"])

    def test_it_saves_the_first_file_under_the_name_that_it_creates(self):
        text = PAGE.read_text()
        self.assertIn("modules/ladder.py", text)
        self.assertIn("backline send create ladder", text)


if __name__ == "__main__":
    unittest.main()
