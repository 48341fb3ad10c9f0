"""The author's files, good and bad."""

import os
import time
import unittest
from unittest import mock

from backline import library, trial
from backline.library import Library

from .support import EXAMPLES, FolderTest, descriptors

GOOD = """
    from backline import Module

    class {name}(Module):
        def render(self, inputs, params, out):
            {body}
"""


class Faults(FolderTest):
    def test_a_good_file_gives_its_classes_in_order(self):
        found = self.load(
            "two.py",
            """
            from backline import Module

            class Zeta(Module):
                def render(self, inputs, params, out):
                    out[:] = 1

            class _Helper(Module):
                def render(self, inputs, params, out):
                    pass

            class Abstract(Module):
                pass

            class Alpha(Zeta):
                name = "first"
            """,
        )
        self.assertEqual([of.name for of in found.types], ["zeta", "first"])
        self.assertEqual(found.faults, [])
        self.assertEqual(found.types[0].origin, str(self.folder / "two.py"))

    def test_every_way_in_which_an_import_fails_is_a_line_with_file_and_line(self):
        cases = [
            (r"SyntaxError: .* \(bad.py, line 2\)", "x = 1\nclass Broken(:\n"),
            (r"ZeroDivisionError: division by zero \(bad.py, line 3\)", "import math\n\n1 / 0\n"),
            (r"SystemExit: 3 \(bad.py, line 2\)", "import sys\nsys.exit(3)\n"),
            (r"ModuleNotFoundError: No module named 'nowhere' \(bad.py, line 1\)", "import nowhere\n"),
            (r"ends the process: exit code 9", "import os\nos._exit(9)\n"),
            (r"ends the process: SIGSEGV", "import ctypes\nctypes.string_at(0)\n"),
            (r"MemoryError.* \(bad.py, line 2\)", "import numpy\nnumpy.ones(10 << 30)\n"),
            (
                r"starts a thread",
                "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
            ),
            (r"no class in it is a backline.Module", "x = 1\n"),
            (r"source code string cannot contain null bytes", "x = '\0'\n"),
        ]
        for expected, text in cases:
            with self.subTest(expected):
                self.assertRegex(self.fault("bad.py", text), expected)

    def test_a_class_that_is_no_module_type_is_a_line_and_the_others_are_there(self):
        found = self.load(
            "mixed.py",
            """
            from backline import Module, Param

            class Good(Module):
                def render(self, inputs, params, out):
                    pass

            class Bad(Good):
                params = [Param("gain", max=1, default=2)]

            class Twin(Good):
                name = "good"
            """,
        )
        self.assertEqual([of.name for of in found.types], ["good"])
        names = [(fault.name, fault.reason) for fault in found.faults]
        self.assertEqual([name for name, _ in names], ["mixed.py: Bad", "mixed.py: Twin"])
        self.assertIn("already", names[1][1])

    def test_what_would_take_every_worker_with_it_is_refused(self):
        cases = {
            r"its first block ends the process: exit code 4": "import os; os._exit(4)",
            r"its first block ends the process: SIGKILL": "import os; os.kill(os.getpid(), 9)",
            r"its first block takes more memory .*MemoryError.*\(bad.py, line 5\)": "import numpy; numpy.ones(10 << 30)",
        }
        for expected, body in cases.items():
            with self.subTest(expected):
                self.assertRegex(self.fault("bad.py", GOOD.format(name="Bad", body=body)), expected)

    def test_a_module_that_raises_is_a_type_all_the_same(self):
        self.assertEqual(len(self.load("bad.py", GOOD.format(name="Bad", body="1 / 0")).types), 1)

    def test_what_does_not_end_is_stopped_and_the_line_is_told(self):
        with mock.patch.object(trial, "IMPORT_LIMIT_S", 0.2), mock.patch.object(trial, "GRACE_S", 0.2):
            self.assertRegex(
                self.fault("loop.py", "x = 1\nwhile True:\n    pass\n"),
                r"does not end: .*0\.2 s \(loop.py, line [23]\)",
            )
            stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n"
            self.assertRegex(self.fault("loop.py", stubborn), r"does not end: stopped after 0\.2 s")
            body = "while True: pass"
            self.assertRegex(
                self.fault("loop.py", GOOD.format(name="Loop", body=body)),
                r"its first block does not end: .*\(loop.py, line 5\)",
            )

    def test_nothing_is_left_of_a_trial(self):
        before = descriptors()
        pid_file = self.folder / "pid"
        self.load(
            "parent.py",
            f"""
            import subprocess
            child = subprocess.Popen(["sleep", "600"])
            open({str(pid_file)!r}, "a").write(f"{{child.pid}} ")
            raise RuntimeError
            """,
        )
        (child,) = map(int, pid_file.read_text().split())
        for _ in range(1000):
            try:
                with open(f"/proc/{child}/stat", encoding="ascii") as stat:
                    if stat.read().rpartition(")")[2].split()[0] == "Z":
                        break
            except FileNotFoundError:
                break
            time.sleep(0.01)
        else:
            self.fail("the child of an author's file lives on")
        self.assertEqual(descriptors(), before)

    def test_files_are_found_by_name_and_helpers_are_left_to_who_imports_them(self):
        for name in ("b.py", "a.py", "_helper.py", ".hidden.py", "notes.txt"):
            self.write(name, "")
        (self.folder / "folder.py").mkdir()
        os.mkfifo(self.folder / "fifo.py")
        into = Library()
        found = list(library.files([str(self.folder), str(EXAMPLES / "comb.py"), "/nowhere"], into))
        self.assertEqual([os.path.basename(path) for path in found], ["a.py", "b.py", "comb.py"])
        self.assertEqual([fault.name for fault in into.faults], ["/nowhere"])

    def test_a_file_may_be_called_like_a_module_of_python_and_import_its_neighbour(self):
        self.write("_shared_by_two.py", "LEVEL = 0.5\n")
        found = self.load(
            "random.py",
            "from _shared_by_two import LEVEL\n"
            + GOOD.format(name="Dice", body="pass").replace("\n    ", "\n"),
        )
        self.assertEqual([of.name for of in found.types], ["dice"], found.faults)
        import random

        self.assertTrue(hasattr(random, "Random"))

    def test_a_preload_that_is_missing_names_the_package(self):
        into = Library()
        library.preload(["numpy", "nowhere.signal"], into, lambda words: None)
        (fault,) = into.faults
        self.assertEqual(fault.name, "nowhere.signal")
        self.assertIn("apt install python3-nowhere", fault.reason)

    def test_patience_with_files_that_hang_ends(self):
        self.assertEqual([trial.limit_after(spent) for spent in (0, 30, 35, 100)], [10, 10, 5, 1])

    def test_render_ahead_is_read_from_words(self):
        self.assertEqual(library.ahead_of("comb=4, slow=2,,bad,worse=x"), {"comb": 4, "slow": 2})
        self.assertEqual(library.ahead_of(None), {})


if __name__ == "__main__":
    unittest.main()
