"""Writes sacrebleu.golden.json: what sacreBLEU (2.6.0 when it was last run) makes of random and awkward texts.

    pip install sacrebleu && python sacrebleu.golden.py
"""
import json
import random
from pathlib import Path

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

draw = random.Random(7)
WORDS = (
    "the a cat dog sat on mat I'm don't 3.14 1,000 5-6 e.g. U.S. well-known &amp; &quot;so&quot; (yes) [no] a/b x=y 100% $5 #1 @you "
    "naïve café Žluťoučký kůň 'quoted' -dash end. Stop! Why? a… \u201cgood\u201d \u2014 it's_ok ~ ` ^ | <b> 我 爱 北京 天安门， 你好！ "
    "苹果3个 （是） 《书》 。 、 한국어 日本語です ﾊﾝｶｸ Ｆｕｌｌ １２ 😀 𠀀 \u00a0 e\u0301 ① ☆ … ... -- '' ,, 2,a a,2 7. .5 5,"
).split(" ")


def text():
    joined = "".join(draw.choice(WORDS) + draw.choice([" ", " ", " ", "", "  "]) for _ in range(draw.randint(0, 14)))
    return draw.choice(["", " ", "\t"]) * draw.randint(0, 1) + joined


def changed(source):
    """The text with some of its characters gone, doubled or replaced."""
    out = []
    for character in source:
        chance = draw.random()
        out.append("" if chance < 0.06 else character * 2 if chance < 0.1 else draw.choice("ab 的,.") if chance < 0.14 else character)
    return "".join(out)


segments = []
for _ in range(80):
    reference = text()
    segments.append({"hypothesis": changed(reference), "references": [reference, changed(reference), text()]})

BLEUS = [
    {"tokenize": tokenize, "smooth": smooth, "lowercase": lowercase}
    for tokenize in ("13a", "zh", "char", "none") for smooth in ("exp", "floor", "add-k", "none") for lowercase in (False, True)
]
CHRFS = [
    {"words": words, "lowercase": lowercase, "whitespace": whitespace, "epsilonSmoothing": epsilon}
    for words in (0, 2) for lowercase in (False, True) for whitespace in (False, True) for epsilon in (False, True)
]
hypotheses = [segment["hypothesis"] for segment in segments]
streams = [[segment["references"][i] for segment in segments] for i in range(3)]


def scores(corpus, sentence):
    return {
        "one": corpus.corpus_score(hypotheses, streams[:1]).score,
        "three": corpus.corpus_score(hypotheses, streams).score,
        "sentences": [sentence.sentence_score(each["hypothesis"], each["references"]).score for each in segments],
    }


def bleu(options, effective_order):
    return BLEU(tokenize=options["tokenize"], smooth_method=options["smooth"], lowercase=options["lowercase"], effective_order=effective_order)


def chrf(options):
    return CHRF(word_order=options["words"], lowercase=options["lowercase"], whitespace=options["whitespace"], eps_smoothing=options["epsilonSmoothing"])


tokens = {name: [bleu({"tokenize": name, "smooth": "exp", "lowercase": False}, False).tokenizer(line.rstrip()) for line in streams[0]] for name in ("13a", "zh")}
golden = {
    "version": sacrebleu.__version__,
    "segments": segments,
    "tokens": tokens,
    "bleu": [{"options": options, **scores(bleu(options, False), bleu(options, True))} for options in BLEUS],
    "chrf": [{"options": options, **scores(chrf(options), chrf(options))} for options in CHRFS],
}
rounded = json.loads(json.dumps(golden), parse_float=lambda number: round(float(number), 9))
Path(__file__).with_suffix(".json").write_text(json.dumps(rounded, ensure_ascii=True, separators=(",", ":")) + "\n")
