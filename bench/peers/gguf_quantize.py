"""Has llama.cpp's own library quantize a GGUF file: gguf_quantize.py LIBRARY SOURCE TARGET FILE_TYPE."""
import ctypes
import glob
import os
import sys

library, source, target, file_type = sys.argv[1:5]
folder = os.path.dirname(library)
for name in ("libggml-base*.so*", "libggml-cpu-x64*.so*", "libggml.*so*"):
    for path in sorted(glob.glob(os.path.join(folder, name))):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            pass
llama = ctypes.CDLL(library)


class Params(ctypes.Structure):
    """The first fields of llama_model_quantize_params (llama.h); the rest stays as the library fills it in."""

    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int32), ("rest", ctypes.c_uint8 * 248)]


llama.llama_model_quantize_default_params.restype = Params
llama.llama_backend_init()
params = llama.llama_model_quantize_default_params()
params.ftype = int(file_type)
params.nthread = 1
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Params)]
llama.llama_model_quantize.restype = ctypes.c_uint32
sys.exit(llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)))
