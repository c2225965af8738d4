"""Fills in hugging-face.golden.json: what Hugging Face's tokenizers (0.23.2 when it was last run) make of its texts.

    pip install tokenizers && python hugging-face.golden.py
"""
import json
from pathlib import Path

from tokenizers import Tokenizer

path = Path(__file__).with_suffix(".json")
golden = json.loads(path.read_text())
golden["expected"] = {}
for name, changes in golden["variants"].items():
    model = {**golden["base"]["model"], **changes.get("model", {})}
    tokenizer = Tokenizer.from_str(json.dumps({**golden["base"], **changes, "model": model}))
    tokenizer.encode_special_tokens = False
    parse = [tokenizer.encode(text).ids for text in golden["texts"]]
    tokenizer.encode_special_tokens = True
    text = [tokenizer.encode(text).ids for text in golden["texts"]]
    expected = {"parse": parse, "decoded": [tokenizer.decode(ids, skip_special_tokens=True) for ids in parse]}
    # Where special tokens as text are the same, they are left out.
    expected["text"] = [None if a == b else b for a, b in zip(parse, text)]
    golden["expected"][name] = expected
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
