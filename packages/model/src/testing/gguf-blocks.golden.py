"""Writes gguf-blocks.golden.json: blocks of ggml's tensor types and the values that gguf-py, llama.cpp's own Python package, gives them.

    pip install gguf==0.19.0 numpy && python gguf-blocks.golden.py

Bytes are random but for the f16 scales, which are kept finite. `encoded`: values, and the blocks that gguf-py makes of them.
"""
import base64
import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

# Type: bytes of a block, and where its f16 numbers are.
BLOCKS = {
    "F16": (2, [0]), "BF16": (2, []), "Q8_0": (34, [0]), "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]), "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]),
    "Q2_K": (84, [80, 82]), "Q3_K": (110, [108]), "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]),
}

random = np.random.default_rng(7)


def text(array):
    return base64.b64encode(array.tobytes()).decode()


def blocks(name, size, halves):
    rows = 64 if size == 2 else 3
    data = random.integers(0, 256, (rows, size), dtype=np.uint8)
    for at in halves:
        data[:, at : at + 2] = (random.standard_normal((rows, 1)) * 0.05).astype(np.float16).view(np.uint8)
    if name == "BF16":
        data = (random.standard_normal((rows, 1)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return data.reshape(1, -1)


decoded = {}
for name, (size, halves) in BLOCKS.items():
    data = blocks(name, size, halves)
    values = data.view(np.float16).astype(np.float32) if name == "F16" else quants.dequantize(data, Type[name])
    decoded[name] = {"bytes": text(data), "values": text(np.ascontiguousarray(values, dtype=np.float32))}

values = (random.standard_normal((8, 32)) * np.exp(random.standard_normal((8, 1)))).astype(np.float32)
values[6] = 0
values[7, 1:] = 0
encoded = {name: {"values": text(values), "bytes": text(quants.quantize(values, Type[name]))} for name in ("Q8_0", "Q4_0")}
path = pathlib.Path(__file__).with_name("gguf-blocks.golden.json")
path.write_text(json.dumps({"decoded": decoded, "encoded": encoded}, indent=1) + "\n")
