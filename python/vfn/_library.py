# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""What <vfn/blk.h> declares, for ctypes."""

import ctypes
import os
from ctypes import (POINTER, c_char, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint8, c_uint16, c_uint32, c_uint64,
                    c_void_p)

# pylint: disable=too-few-public-methods

# What is private in a request, and then some, as later versions of the library may have more.
PRIVATE_BYTES = 192


class Opts(ctypes.Structure):
    """struct vfn_blk_opts"""
    _fields_ = [("queues", c_uint), ("depth", c_uint), ("timeout_ms", c_uint), ("quirks", c_uint), ("flags", c_uint)]


class Info(ctypes.Structure):
    """struct vfn_blk_info"""
    _fields_ = [("bdf", c_char * 16), ("nsid", c_uint32), ("block_size", c_uint32), ("nblocks", c_uint64),
                ("max_blocks", c_uint32), ("boundary", c_uint32), ("queues", c_uint), ("depth", c_uint),
                ("features", c_uint), ("vendor", c_uint16), ("serial", c_char * 21), ("model", c_char * 41),
                ("firmware", c_char * 9), ("nguid", c_uint8 * 16), ("eui64", c_uint8 * 8), ("zone_size", c_uint64),
                ("max_append", c_uint32)]


class Req(ctypes.Structure):
    """struct vfn_blk_req"""
    _fields_ = [("op", c_uint8), ("flags", c_uint8), ("timeout_ms", c_uint32), ("lba", c_uint64), ("nlb", c_uint64),
                ("buf", c_void_p), ("iov", c_void_p), ("niov", c_int), ("error", c_int), ("status", c_uint16),
                ("complete", c_void_p), ("opaque", c_void_p), ("cmd", c_void_p), ("result", c_uint64),
                ("priv", c_uint64 * (PRIVATE_BYTES // 8))]


class PyBuffer(ctypes.Structure):
    """Py_buffer: with it, the address of what a bytes object has can be known, too."""
    _fields_ = [("buf", c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
                ("readonly", c_int), ("ndim", c_int), ("format", c_char_p), ("shape", c_void_p), ("strides", c_void_p),
                ("suboffsets", c_void_p), ("internal", c_void_p)]


FUNCTIONS = {
    "vfn_blk_open": (c_int, POINTER(c_void_p), c_char_p, POINTER(Opts)),
    "vfn_blk_close": (c_int, c_void_p),
    "vfn_blk_get_info": (None, c_void_p, POINTER(Info)),
    "vfn_blk_register": (c_int, c_void_p, c_void_p, c_size_t),
    "vfn_blk_unregister": (c_int, c_void_p, c_void_p),
    "vfn_blk_last_status": (c_uint16,),
    "vfn_blk_read": (c_int, c_void_p, c_void_p, c_uint64, c_uint64),
    "vfn_blk_write": (c_int, c_void_p, c_void_p, c_uint64, c_uint64),
    "vfn_blk_flush": (c_int, c_void_p),
    "vfn_blk_discard": (c_int, c_void_p, c_uint64, c_uint64),
    "vfn_blk_write_zeroes": (c_int, c_void_p, c_uint64, c_uint64),
    "vfn_blk_compare": (c_int, c_void_p, c_void_p, c_uint64, c_uint64),
    "vfn_blk_verify": (c_int, c_void_p, c_uint64, c_uint64),
    "vfn_blk_copy": (c_int, c_void_p, c_uint64, c_uint64, c_uint64),
    "vfn_blk_cmd": (c_int, c_void_p, c_char_p, c_void_p, c_size_t, POINTER(c_uint64)),
    "vfn_blk_admin": (c_int, c_void_p, c_char_p, c_void_p, c_size_t, POINTER(c_uint64)),
    "vfn_blk_pread": (c_int, c_void_p, c_void_p, c_size_t, c_uint64),
    "vfn_blk_pwrite": (c_int, c_void_p, c_void_p, c_size_t, c_uint64),
    "vfn_blk_get_queue": (c_void_p, c_void_p),
    "vfn_blk_put_queue": (c_int, c_void_p),
    "vfn_blk_submit": (c_int, c_void_p, POINTER(Req)),
    "vfn_blk_wait": (c_int, c_void_p, POINTER(c_void_p), c_int, c_int, c_int64),
    "vfn_blk_event_fd": (c_int, c_void_p),
    "vfn_blk_cancel": (c_int, POINTER(Req)),
    "vfn_last_error": (c_char_p,),
    "vfn_nvme_status_text": (c_char_p, c_uint16),
}


def load() -> ctypes.CDLL:
    """The library: that of VFN_LIBRARY in the environment, or the one that is installed."""
    library = ctypes.CDLL(os.environ.get("VFN_LIBRARY") or "libvfn.so.6", use_errno=True)
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = load()

get_buffer = ctypes.pythonapi.PyObject_GetBuffer
get_buffer.restype, get_buffer.argtypes = c_int, (ctypes.py_object, POINTER(PyBuffer), c_int)
release_buffer = ctypes.pythonapi.PyBuffer_Release
release_buffer.restype, release_buffer.argtypes = None, (POINTER(PyBuffer),)
