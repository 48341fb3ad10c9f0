"""From a class to its panel."""

import ctypes
import unittest

import numpy as np

from backline import Input, Module, Output, Param
from backline.binding import BacklineRack
from backline.module import snake_case
from backline.panels import Unfit, c_types, describe

from .support import a_type


class Everything(Module):
    """Has one of each.

    This line is for readers of the file.
    """

    inputs = ["in", Input("side", "opens it")]
    outputs = [Output("low"), Output("high")]
    params = [
        Param("cutoff", "where", unit="Hz", min=20, max=8000, default=440, modulation="octaves"),
        Param("mode", choices=["lp", "hp"], default="hp"),
    ]
    state = {"phase": float, "count": 3, "ring": ("float32", (2, 5)), "zi": np.ones(4), "is_loud": True}
    gated = True
    channels = 2

    def render(self, inputs, params, out):
        pass


def of(**attributes):
    """A class with these attributes."""
    attributes.setdefault("render", lambda self, inputs, params, out: None)
    return type("Made", (Module,), attributes)


class Panels(unittest.TestCase):
    def test_a_class_is_named_in_snake_case_unless_it_says_otherwise(self):
        for name, expected in [
            ("Comb", "comb"),
            ("LadderVoice", "ladder_voice"),
            ("FMVoice2", "fm_voice2"),
            ("EQ", "eq"),
        ]:
            self.assertEqual(snake_case(name), expected)
        self.assertEqual(a_type(of(name="another")).name, "another")

    def test_a_class_becomes_a_panel(self):
        panel = a_type(Everything)
        self.assertEqual((panel.name, panel.summary), ("everything", "Has one of each."))
        self.assertEqual([port.name for port in panel.inputs], ["in", "side"])
        self.assertEqual(
            [(param.min, param.max, param.default) for param in panel.params], [(20, 8000, 440), (0, 1, 1)]
        )
        self.assertTrue(panel.is_gated and panel.is_exact)
        self.assertEqual(panel.channels, 2)
        head, phase, count, ring = 64, 8, 8, 40
        self.assertGreaterEqual(panel.layout.words * 4, head + phase + count + ring + 32 + 1)

    def test_a_class_that_says_so_or_is_rendered_ahead_is_not_exact(self):
        self.assertFalse(a_type(of(exact=False)).is_exact)
        self.assertFalse(a_type(of(render_ahead=3)).is_exact)
        self.assertEqual(describe(of(), "", {"made": 5}).render_ahead, 5)

    def test_types_are_written_as_c_has_them(self):
        types = c_types([a_type(Everything)])
        kind = types[0]
        self.assertEqual((kind.name, kind.summary, kind.input_count), (b"everything", b"Has one of each.", 2))
        self.assertEqual(kind.inputs[1].summary, b"opens it")
        self.assertEqual((kind.outputs[1].name, kind.param_count), (b"high", 2))
        self.assertEqual(
            (kind.params[0].unit, kind.params[0].modulation, kind.params[0].max), (b"Hz", 1, 8000)
        )
        mode = kind.params[1]
        self.assertEqual([mode.choices[index] for index in range(mode.choice_count)], [b"lp", b"hp"])
        self.assertEqual(ctypes.sizeof(BacklineRack) % 8, 0)

    def test_what_is_no_panel_is_refused_in_words(self):
        cases = {
            "called 'Two Words'": of(name="Two Words"),
            "9 inputs": of(inputs=[f"in{index}" for index in range(9)]),
            "0 outputs": of(outputs=[]),
            "33 params": of(params=[Param(f"p{index}") for index in range(33)]),
            "two of its inputs and params are called 'in'": of(inputs=["in"], params=[Param("in")]),
            "two of its outputs": of(outputs=["out", "out"]),
            "which is no Param": of(params=["gain"]),
            "not a list of Param": of(params=Param("gain")),
            "not a list of Input": of(inputs="in"),
            "the default must lie between": of(params=[Param("gain", max=1, default=2)]),
            "from inf": of(params=[Param("gain", min=float("inf"))]),
            "not all numbers": of(params=[Param("gain", min="loud")]),
            "which is no text": of(inputs=[Input("in", 3)]),
            "a choice is one word": of(params=[Param("mode", choices=["low pass"])]),
            "two of its choices of parameter 'mode'": of(params=[Param("mode", choices=["lp", "lp"])]),
            "modulation 'half'": of(params=[Param("gain", modulation="half")]),
            "none of its choices": of(params=[Param("mode", choices=["lp"], default="hp")]),
            "channels is 17": of(channels=17),
            "channels is '2'": of(channels="2"),
            "(self, inputs, params, out)": of(render=lambda self, inputs: None),
            "name of something that every module has": of(state={"gate": 0.0}),
            "no name that `self.NAME`": of(state={"a b": 0.0}),
            "neither a number": of(state={"text": ("float32", "many")}),
            "only numbers can be kept": of(state={"words": "U8"}),
            "MiB": of(state={"all": ("float32", 1 << 24)}),
            "not a dict": of(state=["phase"]),
        }
        for words, cls in cases.items():
            with self.subTest(words), self.assertRaises(Unfit) as refused:
                a_type(cls)
            self.assertIn(words, str(refused.exception))
