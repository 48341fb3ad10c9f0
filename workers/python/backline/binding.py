"""The C ABI of the worker SDK, as ctypes: `workers/sdk/include/backline.h`, struct by struct.

In: the library that BACKLINE_SDK names. Refused: one of another version, in words.
"""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_float, c_int32, c_uint32, c_uint64, c_void_p

#: Version of the header that this file was written after.
ABI_VERSION = 5


class BacklinePort(Structure):
    """A socket."""

    _fields_ = [("name", c_char_p), ("summary", c_char_p)]


class BacklineParam(Structure):
    """A knob."""

    _fields_ = [
        ("name", c_char_p),
        ("summary", c_char_p),
        ("unit", c_char_p),
        ("min", c_float),
        ("max", c_float),
        ("default_value", c_float),
        ("modulation", c_uint32),
        ("choices", POINTER(c_char_p)),
        ("choice_count", c_uint32),
    ]


class BacklineModuleType(Structure):
    """A module type."""

    _fields_ = [
        ("name", c_char_p),
        ("summary", c_char_p),
        ("origin", c_char_p),
        ("inputs", POINTER(BacklinePort)),
        ("input_count", c_uint32),
        ("outputs", POINTER(BacklinePort)),
        ("output_count", c_uint32),
        ("params", POINTER(BacklineParam)),
        ("param_count", c_uint32),
        ("is_gated", c_uint32),
        ("most_channels", c_uint32),
        ("state_words", c_uint32),
        ("is_exact", c_uint32),
        ("render_ahead_blocks", c_uint32),
    ]


class BacklineSetup(Structure):
    """A module. `params` is an address: nobody reads it through ctypes."""

    _fields_ = [
        ("instance", c_uint32),
        ("type_index", c_uint32),
        ("channels", c_uint32),
        ("identity", c_uint32),
        ("rate_hz", c_float),
        ("block_frames", c_uint32),
        ("params", c_uint64),
    ]


class BacklineJob(Structure):
    """One call of render. Pointers are addresses here, too."""

    _fields_ = [
        ("setup", BacklineSetup),
        ("state", c_uint64),
        ("inputs", c_uint64),
        ("outputs", c_uint64),
        ("stride", c_uint32),
        ("frames", c_uint32),
        ("start_frame", c_uint32),
        ("gate", c_uint32),
        ("is_struck", c_uint32),
        ("velocity", c_float),
        ("first_frame", c_uint64),
    ]


#: The same two as plain unpacking, which costs a tenth of reading fields one by one.
SETUP = struct.Struct("@4IfIQ")
JOB = struct.Struct("@4IfIQQQQ5IfQ")
assert SETUP.size == ctypes.sizeof(BacklineSetup) and JOB.size == ctypes.sizeof(BacklineJob)

# Callbacks take addresses as numbers: no object is made for them.
InitCall = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
RenderCall = CFUNCTYPE(c_int32, c_void_p, c_void_p)
WarmCall = CFUNCTYPE(c_int32, c_void_p, c_uint32, c_float, c_uint32)
RestCall = CFUNCTYPE(None, c_void_p, POINTER(c_uint32), c_uint32)


class BacklineRack(Structure):
    """A worker's module types, and how they render."""

    _fields_ = [
        ("abi_version", c_uint32),
        ("rack_bytes", c_uint32),
        ("type_bytes", c_uint32),
        ("param_bytes", c_uint32),
        ("job_bytes", c_uint32),
        ("process", c_char_p),
        ("types", POINTER(BacklineModuleType)),
        ("type_count", c_uint32),
        ("user", c_void_p),
        ("init", InitCall),
        ("render", RenderCall),
        ("warm", WarmCall),
        ("rest", RestCall),
    ]


class NoSdk(Exception):
    """The library cannot be used, and what to do."""


def load(path: str | None = None) -> ctypes.CDLL:
    """The library at `path`, by default the one that BACKLINE_SDK names."""
    path = path or os.environ.get("BACKLINE_SDK")
    if not path:
        raise NoSdk(
            "BACKLINE_SDK does not say where libbackline_sdk.so is; "
            "Python workers are started by `backline run`"
        )
    try:
        sdk = ctypes.CDLL(path)
        sdk.backline_abi_version.restype = c_uint32
        sdk.backline_worker_run.restype = c_int32
        sdk.backline_worker_run.argtypes = [c_int32, POINTER(c_char_p), POINTER(BacklineRack)]
        sdk.backline_describe.restype = c_int32
        sdk.backline_describe.argtypes = [POINTER(BacklineRack), c_int32]
        sdk.backline_complain.restype = None
        sdk.backline_complain.argtypes = [c_void_p, c_char_p]
    except (OSError, AttributeError) as error:
        raise NoSdk(f"{path} cannot be loaded: {error}; build it with: cargo build --workspace") from None
    found = sdk.backline_abi_version()
    if found != ABI_VERSION:
        raise NoSdk(
            f"the Python worker speaks version {ABI_VERSION}, {path} version {found}; "
            "rebuild: cargo build --workspace"
        )
    return sdk


def words(of: list[str]) -> ctypes.Array[c_char_p]:
    """A list of strings as C has them."""
    return (c_char_p * len(of))(*(word.encode() for word in of))
