"""Tiny random models of each family in PyTorch, with what PyTorch computes for them: logits, gradients, greedy continuations.

Writes, next to this file, one Hugging Face model folder a model, with `expected.json` (prompts and the tokens that follow them) and
`expected.safetensors` (logits of every prompt, gradients of the first one's loss) beside the weights.

The models are written down here once more, from the papers and the published model descriptions and on torch.nn alone, in the plainest form:
one sequence at a time, no cache, masks as matrices, grouped heads repeated, rotary positions as complex numbers. Nothing is shared with
Parley but the names of the weights, which are Hugging Face's.

Needs python3 with torch (Debian: python3-torch; written with 1.13) and nothing else. Run again, it writes the same bytes.
"""
import json
import math
import pathlib
import struct

import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
PROMPTS = [[3, 17, 0, 39, 8, 8, 21, 5, 30, 12, 1, 26, 33, 9], [7, 38, 2, 2, 19], [11]]
NEW_TOKENS = 12
SOURCE = f"tests/golden/families/make_families.py, PyTorch {torch.__version__}"


# ---- parts -------------------------------------------------------------------------------------------------------------------


def attend(q, k, v, mask, scale):
    """q (heads, tokens, size), k and v (key heads, tokens, size), mask (tokens, tokens): True where a query may look."""
    k, v = (x.repeat_interleave(q.shape[0] // k.shape[0], dim=0) for x in (k, v))
    scores = (q @ k.transpose(1, 2) * scale).masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v


def causal_mask(n, window=None):
    """Row i, column j: j is not after i and, with a window, fewer than `window` places before it."""
    behind = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    return (behind >= 0) if window is None else (behind >= 0) & (behind < window)


def turn(x, frequencies, magnitude=1.0):
    """Rotary positions: pairs are halves apart, (heads, tokens, size)."""
    half = x.shape[-1] // 2
    angles = torch.outer(torch.arange(x.shape[1], dtype=torch.float64), frequencies)
    by = torch.polar(torch.full_like(angles, magnitude), angles).to(torch.complex64)
    turned = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous()) * by
    return torch.cat([turned.real, turned.imag], dim=-1)


def frequencies_of(config, theta):
    """As published for each kind: PI (Chen et al.), Llama 3.1's reference code, YaRN (Peng et al.). Returns frequencies and magnitude."""
    size = config["head_dim"]
    inverse = 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.float64) / size)
    scaling = config.get("rope_scaling")
    if scaling is None:
        return inverse, 1.0
    factor = scaling["factor"]
    if scaling["rope_type"] == "linear":
        return inverse / factor, 1.0
    context = scaling["original_max_position_embeddings"]
    if scaling["rope_type"] == "llama3":
        longest, shortest = context / scaling["low_freq_factor"], context / scaling["high_freq_factor"]
        out, bands = [], set()
        for frequency in inverse.tolist():
            wavelength = 2 * math.pi / frequency
            if wavelength < shortest:
                out.append(frequency)
                bands.add("kept")
            elif wavelength > longest:
                out.append(frequency / factor)
                bands.add("stretched")
            else:
                smooth = (context / wavelength - scaling["low_freq_factor"]) / (scaling["high_freq_factor"] - scaling["low_freq_factor"])
                out.append((1 - smooth) * frequency / factor + smooth * frequency)
                bands.add("blended")
        assert len(bands) == 3, bands
        return torch.tensor(out, dtype=torch.float64), 1.0
    assert scaling["rope_type"] == "yarn"
    place = lambda turns: size * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(theta))
    low = max(math.floor(place(scaling["beta_fast"])), 0)
    high = min(math.ceil(place(scaling["beta_slow"])), size - 1)
    ramp = torch.clamp((torch.arange(size // 2, dtype=torch.float64) - low) / (high - low), 0, 1)
    assert len(set(ramp.tolist())) > 2
    return inverse / factor * ramp + inverse * (1 - ramp), 0.1 * math.log(factor) + 1


class RMSNorm(nn.Module):
    """`offset` 1: the weight is stored as what is added to 1 (Gemma)."""

    def __init__(self, width, epsilon, offset=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.epsilon, self.offset = epsilon, offset

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * (self.offset + self.weight)


# ---- Llama and its kin -------------------------------------------------------------------------------------------------------


class Decoder(nn.Module):
    """What the families differ in is read from the config, and from `family` where a config says nothing of it."""

    def __init__(self, config):
        super().__init__()
        self.config, family = config, config["model_type"]
        width, size, heads, groups = (config[key] for key in ("hidden_size", "head_dim", "num_attention_heads", "num_key_value_heads"))
        gemma = family.startswith("gemma")
        norm = lambda n: RMSNorm(n, config["rms_norm_eps"], 1.0 if gemma else 0.0)
        bias = config.get("attention_bias", False)
        inner_bias = family == "qwen2" or bias
        mlp_bias = config.get("mlp_bias", False)

        def block():
            attention = dict(
                q_proj=nn.Linear(width, heads * size, bias=inner_bias), k_proj=nn.Linear(width, groups * size, bias=inner_bias),
                v_proj=nn.Linear(width, groups * size, bias=inner_bias), o_proj=nn.Linear(heads * size, width, bias=bias),
            )
            if family in ("qwen3", "gemma3_text"):
                attention.update(q_norm=norm(size), k_norm=norm(size))
            parts = dict(
                input_layernorm=norm(width), self_attn=nn.ModuleDict(attention), post_attention_layernorm=norm(width),
                mlp=nn.ModuleDict(dict(
                    gate_proj=nn.Linear(width, config["intermediate_size"], bias=mlp_bias),
                    up_proj=nn.Linear(width, config["intermediate_size"], bias=mlp_bias),
                    down_proj=nn.Linear(config["intermediate_size"], width, bias=mlp_bias),
                )),
            )
            if family == "gemma3_text":
                parts.update(pre_feedforward_layernorm=norm(width), post_feedforward_layernorm=norm(width))
            return nn.ModuleDict(parts)

        self.model = nn.ModuleDict(dict(
            embed_tokens=nn.Embedding(config["vocab_size"], width),
            layers=nn.ModuleList([block() for _ in range(config["num_hidden_layers"])]), norm=norm(width),
        ))
        if not config["tie_word_embeddings"]:
            self.lm_head = nn.Linear(width, config["vocab_size"], bias=False)

    def window(self, layer):
        config, family = self.config, self.config["model_type"]
        if family == "mistral":
            return config["sliding_window"]
        if family.startswith("qwen"):
            return config["sliding_window"] if config["use_sliding_window"] and layer >= config["max_window_layers"] else None
        if family == "gemma3_text":
            return config["sliding_window"] if config["layer_types"][layer] == "sliding_attention" else None
        return None

    def forward(self, tokens):
        config, n = self.config, len(tokens)
        family, size = config["model_type"], config["head_dim"]
        gemma = family.startswith("gemma")
        activation = (lambda x: F.gelu(x, approximate="tanh")) if gemma else F.silu
        scale = (config["query_pre_attn_scalar"] if family == "gemma3_text" else size) ** -0.5
        x = self.model["embed_tokens"](tokens)
        if gemma:
            x = x * torch.tensor(config["hidden_size"] ** 0.5)
        for number, layer in enumerate(self.model["layers"]):
            a, mlp, window = layer["self_attn"], layer["mlp"], self.window(number)
            if family == "gemma3_text" and window is not None:
                frequencies, magnitude = frequencies_of(dict(head_dim=size), config["rope_local_base_freq"])
            else:
                frequencies, magnitude = frequencies_of(config, config["rope_theta"])
            y = layer["input_layernorm"](x)
            q, k, v = (a[name](y).view(n, -1, size) for name in ("q_proj", "k_proj", "v_proj"))
            if "q_norm" in a:
                q, k = a["q_norm"](q), a["k_norm"](k)
            q, k, v = (z.transpose(0, 1) for z in (q, k, v))
            q, k = turn(q, frequencies, magnitude), turn(k, frequencies, magnitude)
            y = a["o_proj"](attend(q, k, v, causal_mask(n, window), scale).transpose(0, 1).reshape(n, -1))
            if family == "gemma3_text":
                x = x + layer["post_attention_layernorm"](y)
                y = layer["pre_feedforward_layernorm"](x)
            else:
                x = x + y
                y = layer["post_attention_layernorm"](x)
            y = mlp["down_proj"](activation(mlp["gate_proj"](y)) * mlp["up_proj"](y))
            x = x + (layer["post_feedforward_layernorm"](y) if family == "gemma3_text" else y)
        x = self.model["norm"](x)
        return x @ self.model["embed_tokens"].weight.T if config["tie_word_embeddings"] else self.lm_head(x)


def kin(model_type, **changes):
    return dict(
        model_type=model_type, vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, hidden_act="silu", max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=100.0,
        tie_word_embeddings=False,
    ) | changes


# ---- BERT --------------------------------------------------------------------------------------------------------------------


class Bert(nn.Module):
    """Devlin et al., 2018: norms behind the sublayers; heads as their released code has them."""

    def __init__(self, config, head):
        super().__init__()
        self.config = config
        width, inner = config["hidden_size"], config["intermediate_size"]
        norm = lambda: nn.LayerNorm(width, eps=config["layer_norm_eps"])
        dense = lambda a, b: nn.Linear(a, b)

        def block():
            return nn.ModuleDict(dict(
                attention=nn.ModuleDict({
                    "self": nn.ModuleDict(dict(query=dense(width, width), key=dense(width, width), value=dense(width, width))),
                    "output": nn.ModuleDict(dict(dense=dense(width, width), LayerNorm=norm())),
                }),
                intermediate=nn.ModuleDict(dict(dense=dense(width, inner))),
                output=nn.ModuleDict(dict(dense=dense(inner, width), LayerNorm=norm())),
            ))

        body = dict(
            embeddings=nn.ModuleDict(dict(
                word_embeddings=nn.Embedding(config["vocab_size"], width),
                position_embeddings=nn.Embedding(config["max_position_embeddings"], width),
                token_type_embeddings=nn.Embedding(config["type_vocab_size"], width), LayerNorm=norm(),
            )),
            encoder=nn.ModuleDict(dict(layer=nn.ModuleList([block() for _ in range(config["num_hidden_layers"])]))),
        )
        if head != "masked":
            body.update(pooler=nn.ModuleDict(dict(dense=dense(width, width))))
        self.bert = nn.ModuleDict(body)
        if head == "masked":
            self.cls = nn.ModuleDict(dict(predictions=nn.ModuleDict(dict(transform=nn.ModuleDict(dict(dense=dense(width, width), LayerNorm=norm()))))))
            self.cls["predictions"].bias = nn.Parameter(torch.empty(config["vocab_size"]))
        if head == "classifier":
            self.classifier = dense(width, len(config["id2label"]))

    def states(self, tokens, types):
        config, n = self.config, len(tokens)
        e, heads = self.bert["embeddings"], config["num_attention_heads"]
        x = e["word_embeddings"](tokens) + e["position_embeddings"](torch.arange(n)) + e["token_type_embeddings"](types)
        x = e["LayerNorm"](x)
        size = config["hidden_size"] // heads
        everything = torch.ones(n, n, dtype=torch.bool)
        for layer in self.bert["encoder"]["layer"]:
            of, out = layer["attention"]["self"], layer["attention"]["output"]
            q, k, v = (of[name](x).view(n, heads, size).transpose(0, 1) for name in ("query", "key", "value"))
            y = out["dense"](attend(q, k, v, everything, size ** -0.5).transpose(0, 1).reshape(n, -1))
            x = out["LayerNorm"](x + y)
            y = layer["output"]["dense"](F.gelu(layer["intermediate"]["dense"](x)))
            x = layer["output"]["LayerNorm"](x + y)
        return x

    def pooled(self, tokens, types):
        return torch.tanh(self.bert["pooler"]["dense"](self.states(tokens, types)[0]))

    def masked(self, tokens, types):
        predictions = self.cls["predictions"]
        x = F.gelu(predictions["transform"]["dense"](self.states(tokens, types)))
        x = predictions["transform"]["LayerNorm"](x)
        return x @ self.bert["embeddings"]["word_embeddings"].weight.T + predictions.bias


def bert(**changes):
    return dict(
        model_type="bert", vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, hidden_act="gelu",
        max_position_embeddings=32, type_vocab_size=2, layer_norm_eps=1e-12, position_embedding_type="absolute", hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1, pad_token_id=0,
    ) | changes


# ---- files -------------------------------------------------------------------------------------------------------------------

DTYPES = {"f32": (torch.float32, "F32"), "f16": (torch.float16, "F16"), "bf16": (torch.bfloat16, "BF16")}


def raw(tensor, dtype):
    """Little-endian bytes. bf16 is the upper half of f32."""
    values = tensor.detach().contiguous().view(-1)
    if dtype == "f16":
        return struct.pack(f"<{len(values)}e", *values.tolist())
    wide = struct.pack(f"<{len(values)}f", *values.float().tolist())
    return wide if dtype == "f32" else b"".join(wide[i + 2:i + 4] for i in range(0, len(wide), 4))


def write_safetensors(path, tensors, dtype="f32"):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        piece = raw(tensor, dtype)
        header[name] = dict(dtype=DTYPES[dtype][1], shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(piece)])
        data += piece
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def draw(model, dtype, seed):
    """Every weight normal, gains around 1 (around 0 where 1 is added), rounded to what the file holds."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.state_dict().items():
        values = 0.35 * torch.randn(parameter.shape, generator=generator)
        if "norm" in name.lower() and name.endswith("weight") and not getattr(model, "config", {}).get("model_type", "").startswith("gemma"):
            values = values + 1
        parameter.copy_(values.to(DTYPES[dtype][0]).float())


def greedy(model, prompt):
    """The most likely token, again and again; None where another was so near that rounding may decide."""
    tokens = list(prompt)
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            best = model(torch.tensor(tokens))[-1].topk(2)
        if best.values[0] - best.values[1] < 5e-3:
            return None
        tokens.append(int(best.indices[0]))
    return tokens[len(prompt):]


def write_weights(folder, weights, dtype, shards=1):
    if shards == 1:
        return write_safetensors(folder / "model.safetensors", weights, dtype)
    names = list(weights)
    files = {f"model-{i + 1:05}-of-{shards:05}.safetensors": names[i::shards] for i in range(shards)}
    for file, part in files.items():
        write_safetensors(folder / file, {name: weights[name] for name in part}, dtype)
    index = dict(metadata=dict(total_size=0), weight_map={name: file for file, part in files.items() for name in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def write(name, config, dtype, expected, outputs):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    torch_dtype = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[dtype]
    (folder / "config.json").write_text(json.dumps(config | dict(torch_dtype=torch_dtype), indent=2) + "\n")
    (folder / "expected.json").write_text(json.dumps(dict(source=SOURCE) | expected) + "\n")
    write_safetensors(folder / "expected.safetensors", outputs)
    return folder


def decoder(name, architecture, config, dtype, seed, shards=1):
    model = Decoder(config)
    for attempt in range(100):
        draw(model, dtype, 100 * seed + attempt)
        continuations = [greedy(model, prompt) for prompt in PROMPTS]
        if None not in continuations and len({token for tokens in continuations for token in tokens}) > 8:
            break
    logits = {f"logits.{i}": model(torch.tensor(prompt)) for i, prompt in enumerate(PROMPTS)}
    # The mean loss of the first prompt's tokens but the first, each from those before it.
    F.cross_entropy(logits["logits.0"][:-1], torch.tensor(PROMPTS[0][1:])).backward()
    gradients = {f"gradient.{key}": value.grad for key, value in model.named_parameters()}
    expected = dict(prompts=PROMPTS, continuations=continuations)
    folder = write(name, dict(architectures=[architecture]) | config, dtype, expected, logits | gradients)
    write_weights(folder, model.state_dict(), dtype, shards)


def encoder(name, architecture, config, dtype, head, seed):
    model = Bert(config, head)
    draw(model, dtype, seed)
    types = [[0] * (len(prompt) // 2) + [1] * (len(prompt) - len(prompt) // 2) for prompt in PROMPTS]
    outputs, losses = {}, []
    for i, prompt in enumerate(PROMPTS):
        tokens, kinds = torch.tensor(prompt), torch.tensor(types[i])
        outputs[f"states.{i}"] = model.states(tokens, kinds)
        if head == "masked":
            outputs[f"logits.{i}"] = model.masked(tokens, kinds)
            losses.append(F.cross_entropy(outputs[f"logits.{i}"], tokens.flip(0), reduction="sum"))
        else:
            outputs[f"pooled.{i}"] = model.pooled(tokens, kinds)
        if head == "classifier":
            outputs[f"logits.{i}"] = model.classifier(outputs[f"pooled.{i}"])
            losses.append(F.cross_entropy(outputs[f"logits.{i}"], torch.tensor(i)))
    if losses:
        sum(losses).backward()
        outputs |= {f"gradient.{key}": value.grad for key, value in model.named_parameters()}
    folder = write(name, dict(architectures=[architecture]) | config, dtype, dict(prompts=PROMPTS, token_types=types), outputs)
    weights = model.state_dict()
    if head == "none":
        # As sentence models come: the body alone, no prefix, a buffer beside it; and, as the first files, with TensorFlow's names of norms.
        rename = lambda key: key.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        weights = {rename(key): value for key, value in weights.items()}
    write_weights(folder, weights, dtype)


def main():
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=2.0, original_max_position_embeddings=16)
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=2.0, beta_slow=0.25)
    decoder("llama3", "LlamaForCausalLM", kin("llama", head_dim=16, rope_theta=50.0, rope_scaling=llama3, attention_bias=False, mlp_bias=False), "bf16", 1)
    decoder("llama-linear", "LlamaForCausalLM", kin("llama", rope_scaling=dict(rope_type="linear", factor=3.0), tie_word_embeddings=True, attention_bias=True, mlp_bias=True), "f32", 2)
    decoder("mistral", "MistralForCausalLM", kin("mistral", sliding_window=5), "f16", 3, shards=2)
    decoder("qwen2", "Qwen2ForCausalLM", kin("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1), "bf16", 4, shards=3)
    decoder("qwen2-yarn", "Qwen2ForCausalLM", kin("qwen2", hidden_size=32, head_dim=8, use_sliding_window=False, sliding_window=4, max_window_layers=1, rope_scaling=yarn, tie_word_embeddings=True), "bf16", 5)
    decoder("qwen3", "Qwen3ForCausalLM", kin("qwen3", head_dim=8, attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=2, tie_word_embeddings=True), "f32", 6)
    decoder("gemma", "GemmaForCausalLM", kin("gemma", head_dim=8, num_key_value_heads=1, hidden_act="gelu_pytorch_tanh", attention_bias=False, tie_word_embeddings=True), "bf16", 7)
    gemma3 = kin(
        "gemma3_text", num_hidden_layers=3, head_dim=8, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=12, sliding_window=4, rope_local_base_freq=10.0,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"], attention_bias=False, tie_word_embeddings=True,
        rope_scaling=dict(rope_type="linear", factor=2.0), attn_logit_softcapping=None, final_logit_softcapping=None,
    )
    del gemma3["hidden_act"]
    decoder("gemma3", "Gemma3ForCausalLM", gemma3, "bf16", 8)
    encoder("bert-masked", "BertForMaskedLM", bert(), "f16", "masked", 9)
    encoder("bert-states", "BertModel", bert(), "f32", "none", 10)
    labels = ["negative", "neutral", "positive"]
    config = bert(id2label={str(i): label for i, label in enumerate(labels)}, label2id={label: i for i, label in enumerate(labels)})
    encoder("bert-classifier", "BertForSequenceClassification", config, "bf16", "classifier", 11)


main()
