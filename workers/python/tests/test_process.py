"""Marks, orders and forks, without an engine."""

import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from backline import process, zygote

from .support import FOLDER, FolderTest

MARKED = {"PYTHONPATH": str(FOLDER), "BACKLINE_WARD": "mark.0001", "PATH": os.environ.get("PATH", "")}


def python(text: str, **environment: str) -> str:
    """What a new interpreter prints."""
    command = [sys.executable, "-c", text]
    return subprocess.run(
        command, env={**MARKED, **environment}, capture_output=True, text=True, check=True
    ).stdout


class Marks(unittest.TestCase):
    def test_a_mark_is_written_where_the_kernel_and_children_look(self):
        told = python(
            "import os, subprocess\n"
            "from backline import process\n"
            "process.write_mark('mark.0042')\n"
            "own = open('/proc/self/environ').read().split('\\0')\n"
            "child = subprocess.run(['env'], capture_output=True, text=True).stdout.split('\\n')\n"
            "print([e for e in own if 'WARD' in e], [e for e in child if 'WARD' in e], os.environ['BACKLINE_WARD'])"
        )
        self.assertEqual(told.strip(), "['BACKLINE_WARD=mark.0042'] ['BACKLINE_WARD=mark.0042'] mark.0042")

    def test_a_mark_that_does_not_fit_is_refused_in_words(self):
        told = python(
            "from backline import process\n"
            "try:\n    process.write_mark('mark.00042')\n"
            "except process.NoMark as error:\n    print(error)"
        )
        self.assertIn("a mark of 10 bytes does not fit", told)


class Signals(unittest.TestCase):
    def test_signals_do_again_what_they_do_in_a_new_process(self):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            process.reset_signals()
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.WTERMSIG(status), signal.SIGTERM)


class Orders(unittest.TestCase):
    def test_an_order_is_four_words_and_a_mark(self):
        line = json.dumps({"fork": {"words": ["name", "0", "1", "77"], "mark": "m"}}).encode()
        self.assertEqual(zygote._order(line), (["name", "0", "1", "77"], "m"))
        for bad in (
            b"",
            b"[]",
            b'{"fork":{"words":["a","0","1","x"],"mark":"m"}}',
            b'{"fork":{"words":["a","0","1","7"]}}',
        ):
            with self.assertRaises(zygote.NotForked):
                zygote._order(bad)


class WithoutSdk(FolderTest):
    """Whatever is missing, a zygote says so, and stays until the engine has heard it."""

    def zygote(self, **environment: str) -> tuple[list[dict], int]:
        ours, theirs = socket.socketpair()
        with theirs:
            started = subprocess.Popen(
                [sys.executable, "-m", "backline", "--zygote"],
                stdin=theirs, stdout=subprocess.DEVNULL, env={**MARKED, **environment},
            )  # fmt: skip
        lines = []
        with ours, ours.makefile("rw") as talk:
            for line in talk:
                lines.append(json.loads(line))
                if "ready" in lines[-1]:
                    break
            print(
                json.dumps({"fork": {"words": ["n", "0", "0", "1"], "mark": "mark.0002"}}),
                file=talk,
                flush=True,
            )
            lines.append(json.loads(talk.readline()))
        return lines, started.wait()

    def test_a_library_that_is_missing(self):
        lines, code = self.zygote(BACKLINE_SDK="/nowhere/libbackline_sdk.so")
        self.assertEqual((lines[-2], code), ({"ready": 0}, 0))
        self.assertIn("cannot be loaded", lines[-3]["fault"]["reason"])
        self.assertIn("cannot be loaded", lines[-1]["not_forked"])

    def test_numpy_that_is_missing(self):
        self.write("numpy.py", "raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n")
        lines, code = self.zygote(PYTHONPATH=f"{FOLDER}:{self.folder}")
        self.assertEqual((lines[-2], code), ({"ready": 0}, 0))
        self.assertEqual(lines[-3]["fault"]["name"], "numpy")
        self.assertIn("apt install python3-numpy", lines[-3]["fault"]["reason"])

    def test_a_wrong_command_line(self):
        wrong = subprocess.run(
            [sys.executable, "-m", "backline", "what"], env=MARKED, capture_output=True, text=True
        )
        self.assertEqual(wrong.returncode, 64)
        self.assertIn("NAME SLOT CORE ENGINE_PID", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
