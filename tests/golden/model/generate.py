"""A tiny GPT-2 and a tiny Llama in PyTorch, with what PyTorch computes for them: logits, losses and every gradient.

Writes, next to this file, tiny-gpt2/ and tiny-llama/: Hugging Face model folders, each with expected.safetensors beside the
weights. The models are put together here from torch.nn by the papers' descriptions and under Hugging Face's names, so the
files also hold Parley's reading of the layouts (Conv1D, fused c_attn, halves rotary) to a second implementation.

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
TOKENS = torch.tensor([3, 17, 0, 39, 8, 8, 21, 5, 30, 12, 1, 26])
TARGETS = torch.tensor([17, 0, 39, 8, 8, -100, 5, 30, 12, -100, 26, 2])


def causal_attention(q, k, v):
    """q, k, v (heads, tokens, size)"""
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    hidden = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
    return torch.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1) @ v


class Conv1D(nn.Module):
    """OpenAI's linear layer: weight (in, out)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


class GPT2(nn.Module):
    CONFIG = dict(
        architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=40, n_positions=16, n_ctx=16, n_embd=16, n_layer=2, n_head=2,
        n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5, tie_word_embeddings=True, torch_dtype="float32",
    )

    def __init__(self):
        super().__init__()
        width = 16
        block = lambda: nn.ModuleDict(dict(
            ln_1=nn.LayerNorm(width, eps=1e-5),
            attn=nn.ModuleDict(dict(c_attn=Conv1D(width, 3 * width), c_proj=Conv1D(width, width))),
            ln_2=nn.LayerNorm(width, eps=1e-5),
            mlp=nn.ModuleDict(dict(c_fc=Conv1D(width, 4 * width), c_proj=Conv1D(4 * width, width))),
        ))
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(40, width), wpe=nn.Embedding(16, width), h=nn.ModuleList([block(), block()]), ln_f=nn.LayerNorm(width, eps=1e-5),
        ))

    def forward(self, tokens):
        t = self.transformer
        split = lambda y: y.view(len(tokens), 2, 8).transpose(0, 1)
        x = t.wte(tokens) + t.wpe(torch.arange(len(tokens)))
        for h in t.h:
            q, k, v = h["attn"]["c_attn"](h["ln_1"](x)).split(16, dim=1)
            x = x + h["attn"]["c_proj"](causal_attention(split(q), split(k), split(v)).transpose(0, 1).reshape(len(tokens), 16))
            x = x + h["mlp"]["c_proj"](F.gelu(h["mlp"]["c_fc"](h["ln_2"](x)), approximate="tanh"))
        return t.ln_f(x) @ t.wte.weight.T


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


class Llama(nn.Module):
    """Heads wider than width / heads, two key/value heads for four, untied."""

    CONFIG = dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, hidden_act="silu", max_position_embeddings=16, rms_norm_eps=1e-6,
        rope_theta=100.0, rope_scaling=None, tie_word_embeddings=False, attention_bias=False, mlp_bias=False, torch_dtype="float32",
    )

    def __init__(self):
        super().__init__()
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        block = lambda: nn.ModuleDict(dict(
            input_layernorm=RMSNorm(16),
            self_attn=nn.ModuleDict(dict(q_proj=linear(16, 32), k_proj=linear(16, 16), v_proj=linear(16, 16), o_proj=linear(32, 16))),
            post_attention_layernorm=RMSNorm(16),
            mlp=nn.ModuleDict(dict(gate_proj=linear(16, 24), up_proj=linear(16, 24), down_proj=linear(24, 16))),
        ))
        self.model = nn.ModuleDict(dict(embed_tokens=nn.Embedding(40, 16), layers=nn.ModuleList([block(), block()]), norm=RMSNorm(16)))
        self.lm_head = linear(16, 40)

    @staticmethod
    def turn(x):
        """Rotary positions by multiplication with e^(i·position·frequency); x (heads, tokens, 8), pairs are halves apart."""
        angles = torch.outer(torch.arange(x.shape[1]).float(), 100.0 ** (-torch.arange(0, 8, 2).float() / 8))
        turned = torch.complex(x[..., :4].contiguous(), x[..., 4:].contiguous()) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([turned.real, turned.imag], dim=-1)

    def forward(self, tokens):
        n = len(tokens)
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            a, mlp, y = layer["self_attn"], layer["mlp"], layer["input_layernorm"](x)
            split = lambda z, heads: z.view(n, heads, 8).transpose(0, 1)
            q, k = self.turn(split(a["q_proj"](y), 4)), self.turn(split(a["k_proj"](y), 2))
            k, v = (z.repeat_interleave(2, dim=0) for z in (k, split(a["v_proj"](y), 2)))
            x = x + a["o_proj"](causal_attention(q, k, v).transpose(0, 1).reshape(n, 32))
            y = layer["post_attention_layernorm"](x)
            x = x + mlp["down_proj"](F.silu(mlp["gate_proj"](y)) * mlp["up_proj"](y))
        return self.lm_head(self.model.norm(x))


def write_safetensors(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        values = tensor.detach().contiguous().view(-1).tolist()
        piece = struct.pack(f"<{len(values)}f", *values)
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(piece)])
        data += piece
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    for name, build in (("tiny-gpt2", GPT2), ("tiny-llama", Llama)):
        generator = torch.Generator().manual_seed(2024)
        model = build()
        for parameter in model.state_dict().values():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
        logits = model(TOKENS)
        losses = F.cross_entropy(logits, TARGETS, ignore_index=-100, reduction="none")
        (losses.sum() / (TARGETS != -100).sum()).backward()
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(build.CONFIG, indent=2) + "\n")
        write_safetensors(folder / "model.safetensors", model.state_dict())
        gradients = {f"gradient.{key}": value.grad for key, value in model.named_parameters()}
        write_safetensors(folder / "expected.safetensors", {"logits": logits, "losses": losses, **gradients})


main()
