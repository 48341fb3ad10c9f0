"""The callbacks, against memory as the worker loop has it."""

import unittest

import numpy as np

from backline import Input, Module, Output, Param

from .support import BLOCK_FRAMES, EXAMPLES, Stand, a_type, aligned, types_of


class Gain(Module):
    """Louder."""

    inputs = [Input("in"), Input("side")]
    params = [
        Param("gain", max=2, default=1, modulation="full_scale"),
        Param("mode", choices=["plain", "inverted"]),
        Param("pitch", unit="Hz", min=1, max=1000, default=100, modulation="octaves"),
    ]
    channels = 2

    def render(self, inputs, params, out):
        sign = -1 if params.mode == "inverted" else 1
        out[:] = sign * params.swept("gain") * inputs["in"] + inputs.side


class Counter(Module):
    """Counts frames from where its identity says."""

    state = {"count": int, "last": ("float32", 3), "level": 0.25, "is_odd": False}

    def start(self):
        self.count = self.identity

    def render(self, inputs, params, out):
        frames = out.shape[1]
        out[:] = self.count + np.arange(frames)
        self.count += frames
        self.last = out[0, -3:]
        self.level *= 0.5
        self.is_odd = not self.is_odd


class Forgetful(Module):
    """Keeps what it has not declared."""

    state = {"phase": 0.0}

    def render(self, inputs, params, out):
        self.phase = 0.5
        self.hidden = 1


class Freely(Module):
    """Keeps what it likes."""

    exact = False

    def start(self):
        self.seen = []

    def render(self, inputs, params, out):
        self.seen.append(out.shape[1])
        out[:] = len(self.seen)


class Struck(Module):
    """Plays its gate."""

    gated = True
    outputs = [Output("gate"), Output("struck")]

    def render(self, inputs, params, out):
        gate, struck = out
        gate[:] = self.velocity * self.gate
        struck[0, 0] = self.is_struck


class Wrong(Module):
    """Does one wrong thing."""

    inputs = ["in"]
    params = [Param("what", max=9)]
    state = {"phase": 0.0}

    def render(self, inputs, params, out):
        self.phase = 7.0
        what = int(params.what)
        if what == 0:
            out[0, BLOCK_FRAMES] = 1.0
        elif what == 1:
            inputs["in"][:] = 0
        elif what == 2:
            return out * 2
        elif what == 3:
            inputs["in"].flags.writeable = True
        elif what == 4:
            raise SystemExit(3)
        elif what == 5:
            inputs["inn"]
        elif what == 6:
            params.whatt
        else:
            raise ValueError("x" * 5000)


class Rendering(unittest.TestCase):
    def test_inputs_outputs_and_parameters_are_those_of_the_job(self):
        gain = Stand(a_type(Gain), channels=2, gain=0.5)
        self.assertTrue(
            np.all(gain.block() == 0), "no cable is silence, and so is what was in the output before"
        )
        sound = np.arange(2 * BLOCK_FRAMES, dtype=np.float32).reshape(2, BLOCK_FRAMES)
        gain.patch(0, sound)
        gain.patch(1, 1000)
        self.assertTrue(np.array_equal(gain.block(), 0.5 * sound + 1000))
        gain.params[:] = [2, 1, 100]
        self.assertTrue(np.array_equal(gain.block(), -2 * sound + 1000))
        gain.patch(2, -0.5)
        self.assertTrue(np.array_equal(gain.block(), -1 * sound + 1000), "value + cv * (max - min)")
        gain.patch(2, 5)
        self.assertTrue(np.array_equal(gain.block(), -2 * sound + 1000), "within the range")

    def test_a_stretch_of_a_block_is_where_it_is(self):
        counter = Stand(a_type(Counter), identity=0)
        counter.played[:] = 99
        self.assertEqual(counter.render(first=10, frames=20), 0, counter.complaints)
        played = counter.played[0, 0]
        self.assertTrue(np.array_equal(played[10:30], np.arange(20)))
        self.assertTrue(np.all(played[:10] == 99) and np.all(played[30:] == 99))
        gain = Stand(a_type(Gain))
        gain.patch(0, np.arange(BLOCK_FRAMES))
        gain.render(first=5, frames=7)
        self.assertTrue(np.array_equal(gain.played[0, 0, 5:12], np.arange(5, 12)))

    def test_state_is_in_the_words_and_nowhere_else(self):
        stand = Stand(a_type(Counter), identity=1000)
        whole = [stand.block() for _ in range(6)]
        again = Stand(stand.type, identity=1000)
        halves = [again.block() for _ in range(3)]
        other = Stand(stand.type, identity=5)
        other.block()
        other.words[:] = again.words
        halves += [other.block() for _ in range(3)]
        self.assertTrue(np.array_equal(whole, halves))
        self.assertEqual(bytes(other.words), bytes(stand.words))

    def test_one_object_plays_all_modules_of_an_exact_type(self):
        stand = Stand(a_type(Counter))
        memory = stand.words
        first, second = memory.copy(), memory.copy()
        for block in range(3):
            for instance, words in ((1, first), (2, second)):
                stand.instance, memory[:] = instance, words
                self.assertEqual(stand.block()[0, 0], 7 + block * BLOCK_FRAMES)
                words[:] = memory
        self.assertEqual(len(stand.renderer.players), 1)

    def test_declared_values_stand_before_the_first_frame(self):
        counter = Stand(a_type(Counter))
        player = next(iter(counter.renderer.players.values()))
        self.assertEqual((player.module.level, player.module.is_odd, player.module.count), (0.25, False, 7))
        counter.block()
        self.assertEqual((player.module.level, player.module.is_odd), (0.125, True))
        counter.init()
        self.assertEqual(
            (player.module.level, player.module.count, list(player.module.last)), (0.25, 7, [0, 0, 0])
        )

    def test_an_exact_module_may_not_keep_what_it_has_not_declared(self):
        forgetful = Stand(a_type(Forgetful))
        self.assertNotEqual(forgetful.render(), 0)
        for words in ("self.hidden", "Forgetful.state", "exact = False"):
            self.assertIn(words, forgetful.complaints[-1])

    def test_tables_of_prepare_are_shared_and_read_only(self):
        class Table(Module):
            params = [Param("breaks")]

            def prepare(self):
                self.table = np.full(4, self.rate_hz)

            def render(self, inputs, params, out):
                if params.breaks:
                    self.table[0] = 1
                out[:] = self.table[0]

        table = Stand(a_type(Table))
        self.assertEqual(table.block()[0, 0], 48_000)
        table.params[0] = 1
        self.assertNotEqual(table.render(), 0)
        self.assertIn("read-only", table.complaints[-1])

    def test_a_class_that_is_not_exact_has_an_object_for_each_module_until_it_goes(self):
        stand = Stand(a_type(Freely))
        self.assertEqual([stand.block()[0, 0] for _ in range(3)], [1, 2, 3])
        stand.instance = 200
        self.assertEqual(stand.block()[0, 0], 1, "a module that was taken over begins anew")
        mine = np.array([200], np.uint32)
        stand.renderer.rest(None, mine.ctypes.data, 1)
        self.assertEqual(stand.block()[0, 0], 2)
        stand.instance = 100
        self.assertEqual(stand.block()[0, 0], 1)

    def test_state_may_lie_somewhere_else_in_every_block(self):
        for cls in (Counter, type("Loose", (Counter,), {"exact": False})):
            stand = Stand(a_type(cls), identity=0)
            for block in range(4):
                stand.words, before = aligned(len(stand.words)), stand.words
                stand.words[:] = before
                before[:] = 0
                self.assertEqual(stand.block()[0, 0], block * BLOCK_FRAMES)

    def test_a_gated_module_knows_its_gate(self):
        struck = Stand(a_type(Struck))
        struck.is_open, struck.velocity = True, 0.75
        struck.render(is_struck=True)
        self.assertEqual((struck.played[0, 0, 5], struck.played[1, 0, 0]), (0.75, 1))
        struck.is_open = False
        struck.render()
        self.assertEqual((struck.played[0, 0, 5], struck.played[1, 0, 0]), (0, 0))

    def test_whatever_goes_wrong_is_a_complaint_that_ends_with_error_file_and_line(self):
        expected = [
            r"IndexError: index 64 is out of bounds for axis 1 with size 64",
            r"ValueError: assignment destination is read-only",
            r"TypeError: render returned something, which nobody hears; write it into `out`",
            r"ValueError: cannot set WRITEABLE flag to True of this array",
            r"SystemExit: 3",
            r"KeyError: .*there is no input 'inn'; there are 'in'",
            r"AttributeError: there is no parameter 'whatt'; there are 'what'",
            r"ValueError: xxx.* \.\.\.",
        ]
        for what, words in enumerate(expected):
            wrong = Stand(a_type(Wrong), what=what)
            with self.subTest(words):
                self.assertNotEqual(wrong.render(), 0)
                last = wrong.complaints[-1].splitlines()[-1]
                where = "" if what == 2 else r" \(test_render\.py, line \d+\)"
                self.assertRegex(last, f"^{words}.*{where}$")
                self.assertNotIn('render.py", line', wrong.complaints[-1].replace("test_render.py", ""))

    def test_a_start_that_fails_is_told_when_the_module_plays(self):
        class Late(Module):
            state = {"phase": 0.0}
            broken = True

            def start(self):
                self.phase = 3.0
                if Late.broken:
                    raise RuntimeError("no reed")

            def render(self, inputs, params, out):
                out[:] = self.phase

        late = Stand(a_type(Late))
        self.assertTrue(np.all(late.words == 0))
        self.assertNotEqual(late.render(), 0)
        self.assertIn("RuntimeError: no reed", late.complaints[-1])
        Late.broken = False
        self.assertEqual(late.block()[0, 0], 3)

    def test_the_examples_play_and_go_on_elsewhere_bit_by_bit(self):
        dice = np.random.default_rng(1)
        noise = dice.uniform(-1, 1, (40, BLOCK_FRAMES)).astype(np.float32)
        for name in ("comb", "granulator", "ladder_voice"):
            (of,) = types_of(EXAMPLES / f"{name}.py")
            with self.subTest(name):
                one, two = Stand(of, reach=0.01), Stand(of, reach=0.01)
                heard = []
                for index, block in enumerate(noise):
                    if index == 20:
                        words, two = two.words.copy(), Stand(of, reach=0.01)
                        two.words[:] = words
                    for stand in (one, two):
                        stand.is_open, stand.velocity = True, 1.0
                        if of.inputs:
                            stand.patch(0, block)
                    heard.append(one.block())
                    self.assertTrue(np.array_equal(heard[-1], two.block()), f"block {index}")
                self.assertTrue(np.isfinite(heard).all() and np.ptp(heard) > 0.01)
