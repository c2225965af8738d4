#!/usr/bin/env python3
"""Runs the stages of a Parley recipe on PyTorch: the same batches, model, loss, optimizer and checkpoints as Parley's own engine.

    python runner.py RUN                                    one process, on a GPU where there is one
    torchrun --nproc_per_node 8 runner.py RUN               one process a GPU, data parallel

RUN is the folder of a run. `parley train RECIPE --engine torch --prepare-only` fills its torch/ (this file, plan.json and the
order of every batch) beside data/; from then on it needs Python >= 3.9, PyTorch >= 1.13 and numpy, and neither Node nor the
recipe. It goes on from the newest checkpoint in RUN/checkpoints, whichever engine wrote it, appends to RUN/metrics.jsonl, and
ends with a checkpoint that `parley train RECIPE --resume` exports. Ctrl-C finishes the step, writes a checkpoint and stops.

It is one file so that it can be carried; in its order: files, batches, the model, the optimizer, a stage, the run.
Letters: N rows (tokens of several documents end to end), C hidden size, H heads, K key/value heads, D head size, V vocabulary,
L context: the longest document.
"""
import argparse
import json
import math
import os
import queue
import shutil
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F

PLAN_VERSION = 3
CHECKPOINT_VERSION = 1
IGNORED = -100  # A row without a target.
WORTH_MEASURING = 24  # A stage of fewer micro-batches shows soon enough how long it takes.
LEAST_STEPS = 20  # A stage given in minutes is no shorter than this.


class RunError(Exception):
    """What a person can do something about: shown without a traceback. `fields` go into the event."""

    def __init__(self, message, **fields):
        super().__init__(message)
        self.fields = fields


# ---------------------------------------------------------------------------------------------------------------- files

def read_safetensors(path):
    """{name: f32 array}, mapped. The format: u64 length, JSON header, bytes."""
    with open(path, 'rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        header = json.loads(file.read(length))
    tensors = {}
    for name, entry in header.items():
        if name == '__metadata__':
            continue
        if entry['dtype'] != 'F32':
            raise RunError(f'{path} has {name} in {entry["dtype"]}: checkpoints are F32, this is another file')
        begin, end = entry['data_offsets']
        values = np.memmap(path, '<f4', 'r', 8 + length + begin, ((end - begin) // 4,)) if end > begin else np.zeros(0, '<f4')
        tensors[name] = values.reshape(entry['shape'])
    return tensors


def write_safetensors(path, tensors):
    """Writes (name, f32 array) pairs in their order, through to the disk."""
    header, offset = {}, 0
    for name, values in tensors:
        header[name] = {'dtype': 'F32', 'shape': list(values.shape), 'data_offsets': [offset, offset + 4 * values.size]}
        offset += 4 * values.size
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-(8 + len(text)) % 64)
    with open(path, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        for _, values in tensors:
            file.write(np.ascontiguousarray(values, '<f4').data)
        sync(file)


def sync(file):
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path):
    if os.name == 'nt':
        return  # Windows has no handle of a folder to sync.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_checkpoints(folder):
    """[(path, state)], oldest first. A folder that has its final name is whole (see checkpoint.ts)."""
    found = []
    for path in folder.iterdir() if folder.exists() else []:
        if path.name.startswith('.writing-'):
            continue
        try:
            state = json.loads((path / 'state.json').read_text('utf-8'))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            raise RunError(f'{path / "state.json"} is damaged: remove its folder, and the run goes on from the one before') from error
        if state['version'] != CHECKPOINT_VERSION:
            raise RunError(f'{path} has version {state["version"]}, this runner reads {CHECKPOINT_VERSION}: start a new run')
        found.append((path, state))
    return sorted(found, key=lambda item: (item[1]['stage'], item[1]['step']))


def save_checkpoint(folder, state, weights, moments, keep):
    """Written under another name, synced and renamed: it appears whole or not at all. Then all but the newest `keep` go."""
    name = f'{state["stage"] + 1:02d}-{state["stageName"]}-{state["step"]:08d}'
    work, final = folder / f'.writing-{name}', folder / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_safetensors(work / 'weights.safetensors', weights)
    write_safetensors(work / 'optimizer.safetensors', moments)
    with open(work / 'state.json', 'w', encoding='utf-8') as file:
        file.write(json.dumps(state, indent=2, ensure_ascii=False, allow_nan=False) + '\n')
        sync(file)
    sync_folder(work)
    shutil.rmtree(final, ignore_errors=True)
    work.rename(final)
    sync_folder(folder)
    for old, _ in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def keep_metrics(path, finished, stage, step):
    """Drops the lines after a checkpoint, and one that a kill cut in half; without a checkpoint all of them."""
    if not path.exists():
        return
    kept = []
    for text in path.read_text('utf-8').split('\n'):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line['stage'] in finished or (line['stage'] == stage and line['step'] <= step):
            kept.append(text + '\n')
    work = path.with_suffix('.jsonl.tmp')
    work.write_text(''.join(kept), 'utf-8')
    work.replace(path)


# -------------------------------------------------------------------------------------------------------------- batches

PIECE = np.dtype([('start', '<f8'), ('length', '<u4'), ('file', '<u2'), ('masked', '<u2')])


class Batches:
    """The steps of a stage, in the order that Parley's loader has them.

    Parley has written which pieces of documents each step takes (.order, .steps) and where they lie in the shards (.pieces); a
    piece is a sequence of its own. A step's pieces are dealt, in their order, to `parts` micro-batches of about the same number
    of tokens: how many there are changes the order of a sum and nothing else, so a GPU takes them larger than the recipe's
    and processes share them. Reading is a gather from mapped files, with no Python loop over documents or tokens.
    """

    def __init__(self, run, plan, stage, parts, fixed_rows):
        base = run / 'torch'
        self.context, self.batch_tokens, self.padding = stage['contextLength'], stage['batchTokens'], plan['padding']
        self.pieces = np.fromfile(base / stage['files']['pieces'], PIECE)
        self.order = np.memmap(base / stage['files']['order'], '<u4', 'r')
        counts = np.fromfile(base / stage['files']['steps'], '<u4')
        self.ends = np.cumsum(counts, dtype=np.int64)
        self.begins = self.ends - counts
        width = '<u2' if plan['tokenBytes'] == 2 else '<u4'
        self.tokens = [np.memmap(run / entry['tokens'], width, 'r') for entry in stage['shards']]
        weights = np.array([entry['lossWeight'] for entry in stage['shards']], np.float32)
        self.weights = None if (weights == 1).all() else weights  # (files) of each target's loss
        self.masks = [None if entry['mask'] is None else np.memmap(run / entry['mask'], 'u1', 'r') for entry in stage['shards']]
        self.parts = parts
        # A part ends less than a piece after its share; whole contexts suit windowed attention.
        self.rows = round_up(-(-self.batch_tokens // parts) + self.context, self.context) if fixed_rows else None
        self.sequences = self.most_sequences() if fixed_rows else None

    def work(self, step):
        """Tokens of a step (counted from 0) and pairs of a query and a key it sees, padding left out."""
        lengths = self.lengths(step)
        return int(lengths.sum()), int((lengths * (lengths + 1) // 2).sum())

    def lengths(self, step):
        taken = self.order[self.begins[step]:self.ends[step]]
        return self.pieces['length'][taken].astype(np.int64) - 1

    def deal(self, lengths):
        """The part each piece of a step goes to."""
        starts = np.cumsum(lengths) - lengths
        return np.minimum(self.parts - 1, starts * self.parts // self.batch_tokens)

    def most_sequences(self):
        """Of any part, with its padding: what lets every batch have the same shapes."""
        most = max(int(np.bincount(self.deal(self.lengths(step))).max()) for step in range(len(self.ends)))
        return most + self.rows // self.context + 1

    def part(self, step, part):
        """One micro-batch: dict of tensors on the host."""
        taken = self.order[self.begins[step]:self.ends[step]]
        pieces = self.pieces[taken][self.deal(self.lengths(step)) == part]
        lengths = pieces['length'].astype(np.int64) - 1
        used = int(lengths.sum())
        rows = self.rows or max(self.context, round_up(used, self.context))
        tokens = np.full(rows, self.padding, np.int64)
        targets = np.full(rows, IGNORED, np.int64)
        positions = np.empty(rows, np.int64)
        first = np.cumsum(lengths) - lengths  # (pieces) row each begins at
        weights = None if self.weights is None else np.ones(rows, np.float32)
        if weights is not None:
            weights[:used] = np.repeat(self.weights[pieces['file']], lengths)
        positions[:used] = np.arange(used) - np.repeat(first, lengths)
        # Padding is sequences of its own, no longer than a context.
        positions[used:] = np.arange(rows - used) % self.context
        place = np.repeat(pieces['start'].astype(np.int64), lengths) + positions[:used]
        for file in np.unique(pieces['file']):
            here = pieces['file'] == file
            selected = np.repeat(here, lengths)
            at = place[selected]
            following = self.tokens[file][at + 1].astype(np.int64)
            masked = np.repeat(pieces['masked'][here] == 1, lengths[here])
            if masked.any():
                where = at[masked] + 1
                spoken = (self.masks[file][where >> 3] >> (where & 7).astype(np.uint8)) & 1
                following[masked] = np.where(spoken == 1, following[masked], IGNORED)
            target_rows = np.flatnonzero(selected)
            tokens[target_rows] = self.tokens[file][at]
            targets[target_rows] = following
        return on_host(tokens, targets, positions, self.sequences, weights)


def on_host(tokens, targets, positions, sequences=None, weights=None):
    """`bounds` (S + 1): where each sequence begins, and the end; repeated up to `sequences`: empty ones change nothing."""
    bounds = np.append(np.flatnonzero(positions == 0), len(positions)).astype(np.int32)
    if sequences is not None:
        bounds = np.pad(bounds, (0, sequences + 1 - len(bounds)), mode='edge')
    arrays = {'tokens': tokens, 'targets': targets, 'positions': positions, 'bounds': bounds}
    if weights is not None:
        arrays['weights'] = weights
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Feed:
    """Prepares this process's micro-batches ahead of their use, in pinned memory where a GPU fetches them from."""

    def __init__(self, batches, first, steps, mine, pinned):
        self.queue = queue.Queue(maxsize=max(4, 2 * len(mine)))
        self.closed = False

        def fill():
            try:
                for step in range(first, steps):
                    for part in mine:
                        batch = batches.part(step, part)
                        self.put({name: tensor.pin_memory() for name, tensor in batch.items()} if pinned else batch)
            except BaseException as error:  # Raised again where the batch is wanted.
                self.put(error)

        threading.Thread(target=fill, daemon=True).start()

    def put(self, item):
        while not self.closed:
            try:
                return self.queue.put(item, timeout=0.1)
            except queue.Full:
                pass
        raise SystemExit

    def next(self, device):
        item = self.queue.get()
        if isinstance(item, BaseException):
            raise item
        return to_device(item, device)


def to_device(batch, device):
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def round_up(value, multiple):
    return -(-value // multiple) * multiple


# ---------------------------------------------------------------------------------------------------------------- model

class RMSNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.epsilon = epsilon

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


class LayerNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.empty(size))
        self.epsilon = epsilon

    def forward(self, x):
        return F.layer_norm(x.float(), x.shape[-1:], self.weight, self.bias, self.epsilon)


ACTIVATIONS = {'gelu': F.gelu, 'gelu_tanh': lambda x: F.gelu(x, approximate='tanh'), 'silu': F.silu}


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.groups, self.size = config['heads'], config['keyValueHeads'], config['headSize']
        width, bias = config['hiddenSize'], config['attentionBias']
        self.q_proj = nn.Linear(width, self.heads * self.size, bias=bias)
        self.k_proj = nn.Linear(width, self.groups * self.size, bias=bias)
        self.v_proj = nn.Linear(width, self.groups * self.size, bias=bias)
        self.o_proj = nn.Linear(self.heads * self.size, width, bias=bias)

    def forward(self, x, angles, attend):
        n = x.shape[0]
        q = self.q_proj(x).view(n, self.heads, self.size)
        k = self.k_proj(x).view(n, self.groups, self.size)
        v = self.v_proj(x).view(n, self.groups, self.size)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        if self.groups != self.heads:
            k, v = (t.repeat_interleave(self.heads // self.groups, dim=1) for t in (k, v))
        return self.o_proj(attend(q, k, v).reshape(n, self.heads * self.size))


def rotate(x, angles):
    """Turns the pairs (i, i + D/2) of x (N, H, D); angles: cos and sin (N, 1, D/2)."""
    cos, sin = angles
    low, high = x.float().chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner, bias = config['hiddenSize'], config['intermediateSize'], config['mlpBias']
        self.gate_proj = nn.Linear(width, inner, bias=bias) if config['gated'] else None
        self.up_proj = nn.Linear(width, inner, bias=bias)
        self.down_proj = nn.Linear(inner, width, bias=bias)
        self.activation = ACTIVATIONS[config['activation']]

    def forward(self, x):
        up = self.up_proj(x)
        return self.down_proj(self.activation(up) if self.gate_proj is None else self.activation(self.gate_proj(x)) * up)


class Block(nn.Module):
    def __init__(self, config, norm):
        super().__init__()
        self.input_layernorm, self.self_attn = norm(), Attention(config)
        self.post_attention_layernorm, self.mlp = norm(), MLP(config)

    def forward(self, x, angles, attend):
        x = x + self.self_attn(self.input_layernorm(x), angles, attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """What packages/model defines, for every family, under the same parameter names."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        width, vocabulary = config['hiddenSize'], config['vocabSize']

        def norm():
            return (LayerNorm if config['norm'] == 'layer' else RMSNorm)(width, config['normEpsilon'])

        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocabulary, width)
        self.learned = config['positions'] == 'learned'
        if self.learned:
            self.model.embed_positions = nn.Embedding(config['contextLength'], width)
        else:
            half = config['headSize'] // 2
            frequencies = config['ropeTheta'] ** (-2.0 * np.arange(half) / config['headSize'])
            angles = torch.from_numpy(np.arange(config['contextLength'])[:, None] * frequencies[None, :])  # in float64
            self.register_buffer('cos', angles.cos().float(), persistent=False)
            self.register_buffer('sin', angles.sin().float(), persistent=False)
        self.model.layers = nn.ModuleList(Block(config, norm) for _ in range(config['layers']))
        self.model.norm = norm()
        if not config['tieEmbeddings']:
            self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens, targets, positions, bounds, attention, context, weights=None, only_targets=False, smoothing=0.0, z_loss=0.0):
        """The objective and the sum of the cross-entropies of all rows with a target, in nats. Row arguments (N); see on_host.

        The two differ where targets are smoothed over the vocabulary, log²Z is weighed beside the loss, or rows have weights (N).
        only_targets: rows without one get no logits, which are a third of a small model's work; shapes then vary.
        """
        x = self.model.embed_tokens(tokens)  # (N, C)
        angles = None
        if self.learned:
            x = x + self.model.embed_positions(positions)
        else:
            angles = (self.cos[positions][:, None], self.sin[positions][:, None])
        attend = attention(positions, bounds, context)
        for layer in self.model.layers:
            x = layer(x, angles, attend)
        if only_targets:
            rows = (targets != IGNORED).nonzero().squeeze(1)
            x, targets = x[rows], targets[rows]
            weights = None if weights is None else weights[rows]
        weight = self.model.embed_tokens.weight if self.config['tieEmbeddings'] else self.lm_head.weight
        logits = F.linear(self.model.norm(x), weight).float()  # (N, V)
        rows = nats = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction='none')
        if smoothing > 0:
            rows = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction='none', label_smoothing=smoothing)
        if z_loss > 0:
            rows = rows + z_loss * logits.logsumexp(-1).square().masked_fill(targets == IGNORED, 0)
        return (rows if weights is None else rows * weights).sum(), nats.detach().sum()


# Attention: each takes a batch's positions and bounds and gives attend(q, k, v), all (N, H, D), in which a row sees the rows of its
# own sequence up to itself. `windows` runs everywhere and is the oracle of the other.

def windows(positions, _bounds, context, fused=hasattr(F, 'scaled_dot_product_attention')):
    """No sequence is longer than L, so rows in blocks of L need to look at their own block and the one before: 2 L keys a row."""
    blocks = positions.shape[0] // context
    document = (positions == 0).cumsum(0).view(blocks, context)
    row = torch.arange(context, device=positions.device)
    column = torch.arange(2 * context, device=positions.device) - context
    # (blocks, 1, L, 2 L). The first block has nothing before it: document −1 is nobody's.
    keys = torch.cat((torch.cat((torch.full_like(document[:1], -1), document[:-1])), document), dim=1)
    seen = ((document[:, :, None] == keys[:, None, :]) & (column[None, :] <= row[:, None])[None])[:, None]

    def attend(q, k, v):
        n, heads, size = q.shape

        def with_block_before(x):
            x = x.view(blocks, context, heads, size)
            return torch.cat((torch.cat((torch.zeros_like(x[:1]), x[:-1])), x), dim=1).transpose(1, 2)  # (blocks, H, 2 L, D)

        q = q.view(blocks, context, heads, size).transpose(1, 2)
        k, v = with_block_before(k), with_block_before(v)
        if fused:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        else:
            scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(size)
            out = scores.masked_fill(~seen, -math.inf).softmax(-1).to(v.dtype) @ v
        return out.transpose(1, 2).reshape(n, heads, size)

    return attend


def plain_windows(positions, bounds, context):
    return windows(positions, bounds, context, fused=False)


def varlen(_positions, bounds, context):
    """PyTorch's own flash attention over sequences of several lengths (bf16 on CUDA): no mask, no work on what is not seen."""
    def attend(q, k, v):
        q, k, v = (x.to(torch.bfloat16).contiguous() for x in (q, k, v))
        return torch.ops.aten._flash_attention_forward(q, k, v, bounds, bounds, context, context, 0.0, True, False)[0]

    return attend


def choose_attention(device, autocast, config, context, say):
    """The fastest that this PyTorch and this device have and that computes what `plain_windows` computes, gradients included."""
    if device.type != 'cuda' or not autocast:
        return windows
    generator = torch.Generator().manual_seed(1)
    shape = (3 * context, config['heads'], config['headSize'])
    lengths = [context, 1, context // 2, context - context // 2 - 1, context]
    positions = torch.cat([torch.arange(length) for length in lengths]).to(device)
    bounds = torch.tensor([0] + lengths + [0], dtype=torch.int32).cumsum(0).to(torch.int32).to(device)
    values = [torch.randn(shape, generator=generator).to(device, torch.bfloat16) for _ in range(4)]

    def results(attention, dtype):
        q, k, v = (x.detach().to(dtype).requires_grad_() for x in values[:3])
        out = attention(positions, bounds, context)(q, k, v)
        return [out] + list(torch.autograd.grad(out, (q, k, v), values[3].to(out.dtype)))

    expected = results(plain_windows, torch.float32)
    for attention in (varlen, windows):
        try:
            got = results(attention, torch.bfloat16)
            error = max(float((a.detach().float() - b.detach()).abs().max() / b.detach().abs().max()) for a, b in zip(got, expected))
            if error < 0.03:
                say(f'attention: {attention.__name__}, within {error:.4f} of plain f32')
                return attention
            say(f'attention: {attention.__name__} is off by {error:.3f} here and is not used')
        except Exception as error:  # Whatever a version or a device lacks; the next one is tried.
            say(f'attention: {attention.__name__} does not run here ({first_line(error)})')
    return plain_windows


# ------------------------------------------------------------------------------------------------------------ optimizer

class Optimizer:
    """AdamW for everything, or Muon for the hidden matrices and AdamW for the rest, with the gradient clipped to a global norm, as
    packages/train/src/optimizer.ts and muon.ts have them.

    All parameters live in one buffer, hidden matrices first, then the others that decay, and so do gradients and moments: an update
    is a handful of operations, and processes add up their gradients in one call. Parameters begin at multiples of 64 values, for
    alignment. Muon's momentum lies where AdamW's first moment would.
    """

    def __init__(self, model, entries, device, half):
        own = dict(model.named_parameters())
        if set(own) != {entry['name'] for entry in entries}:
            raise RunError('plan.json names other parameters than this runner makes: prepare the run again')
        self.views, offset, self.hidden, self.decayed = {}, 0, 0, 0
        self.hidden_shapes = {}  # shape: names
        self.half = half  # whether Newton–Schulz runs in bf16

        def is_hidden(entry):
            return entry['kind'] == 'matrix' and entry['name'].startswith('model.layers.')

        for entry in sorted(entries, key=lambda entry: (not is_hidden(entry), not entry['decays'])):
            size = own[entry['name']].numel()
            if list(own[entry['name']].shape) != entry['shape']:
                raise RunError(f'plan.json has another shape of {entry["name"]}: prepare the run again')
            self.views[entry['name']] = (offset, size, entry['shape'])
            offset += round_up(size, 64)
            if is_hidden(entry):
                self.hidden = offset
                self.hidden_shapes.setdefault(tuple(entry['shape']), []).append(entry['name'])
            if entry['decays']:
                self.decayed = offset
        self.names = [entry['name'] for entry in entries]  # in the order of files
        self.parameters, self.gradients, self.m, self.v = (torch.zeros(offset, device=device) for _ in range(4))
        self.settings = None  # of the stage
        for name, parameter in own.items():
            parameter.data = self.view(self.parameters, name)
            parameter.grad = self.view(self.gradients, name)  # backward adds to it in place

    def view(self, buffer, name):
        offset, size, shape = self.views[name]
        return buffer[offset:offset + size].view(shape)

    def load(self, tensors, places):
        """places: (name in the file, buffer, parameter)."""
        for key, buffer, name in places:
            if key not in tensors:
                raise RunError(f'the checkpoint has no {key}: it is of another model or optimizer')
            self.view(buffer, name).copy_(torch.from_numpy(np.array(tensors[key])))

    def weights(self):
        return [(name, self.parameters, name) for name in self.names]

    def moments(self):
        """What is kept between steps, as checkpoints name it."""
        places = []
        for name in self.names:
            if self.is_muons(name):
                places.append((f'momentum.{name}', self.m, name))
            else:
                places += [(f'm.{name}', self.m, name), (f'v.{name}', self.v, name)]
        return places

    def is_muons(self, name):
        return self.settings['kind'] == 'muon' and self.views[name][0] < self.hidden

    def begin(self, settings, checkpoint=None):
        """Fresh moments for a stage, or those of a checkpoint of it."""
        self.settings = settings
        self.m.zero_()
        self.v.zero_()
        if checkpoint is not None:
            self.load(read_safetensors(checkpoint / 'optimizer.safetensors'), self.moments())

    def files(self):
        """Weights and moments as checkpoints hold them."""
        host = {id(buffer): buffer.cpu() for buffer in (self.parameters, self.m, self.v)}
        return tuple([(key, self.view(host[id(buffer)], name).numpy()) for key, buffer, name in places]
                     for places in (self.weights(), self.moments()))

    def norm(self):
        """(1): of all gradients. A CPU sums in f64, a GPU in f32 as a tree."""
        g = self.gradients
        return torch.linalg.vector_norm(g, dtype=torch.float64 if g.device.type == 'cpu' else None).double()

    @torch.no_grad()
    def update(self, rate, step, scale):
        """One step from gradients times `scale`, which are zero afterwards. `step` counts updates from 1."""
        settings = self.settings
        decay = settings['weightDecay']
        self.gradients.mul_(scale)
        first = 0
        if settings['kind'] == 'muon':
            first = self.hidden
            self.update_hidden(rate * settings['matrixRate'], settings['momentum'], decay)
        # p −= rate · (m̂ / (√v̂ + ε) + decay · p)
        beta1, beta2 = settings['beta1'], settings['beta2']
        p, g, m, v = (buffer[first:] for buffer in (self.parameters, self.gradients, self.m, self.v))
        m.mul_(beta1).add_(g, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        p[:self.decayed - first].mul_(1 - rate * decay)
        denominator = (v / (1 - beta2 ** step)).sqrt_().add_(settings['epsilon'])
        p.addcdiv_(m, denominator, value=-rate / (1 - beta1 ** step))
        self.gradients.zero_()

    def update_hidden(self, rate, momentum, decay):
        p, g, m = (buffer[:self.hidden] for buffer in (self.parameters, self.gradients, self.m))
        m.mul_(momentum).add_(g)
        g.add_(m, alpha=momentum)  # Nesterov's form
        p.mul_(1 - rate * decay)
        for shape, names in self.hidden_shapes.items():
            # Matrices of one shape at once: small ones would leave a GPU idle.
            updates = orthogonalize(torch.stack([self.view(g, name) for name in names]), self.half)
            for name, update in zip(names, updates):
                self.view(p, name).add_(update, alpha=-rate * 0.2 * math.sqrt(max(shape)))


def orthogonalize(x, half):
    """Newton–Schulz of matrices (n, R, C), as in muon.ts."""
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp_min(1e-30)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    if half:
        x = x.bfloat16()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.775 * gram + 2.0315 * (gram @ gram)) @ x
    return (x.mT if tall else x).float()


class SpikeGuard:
    """Tells a step that would do harm from the steps before it: guard.ts, line by line."""

    WINDOW, LEAST, MOST_IN_A_ROW, LEAST_SPREAD = 100, 50, 5, 0.05

    def __init__(self, threshold, state=None):
        state = state or {'losses': [], 'norms': [], 'skipped': 0, 'inRow': 0}
        self.threshold = math.inf if threshold is None else threshold
        self.losses, self.norms = list(state['losses']), list(state['norms'])
        self.skipped, self.in_row = state['skipped'], state['inRow']

    def state(self):
        return {'losses': self.losses, 'norms': self.norms, 'skipped': self.skipped, 'inRow': self.in_row}

    def judge(self, loss, norm):
        """None: take the step. Otherwise why not, in words. Counts it either way."""
        reason = self.reason(loss, norm)
        if reason is not None:
            self.skipped += 1
            self.in_row += 1
            return reason
        self.in_row = 0
        self.losses = (self.losses + [loss])[-self.WINDOW:]
        self.norms = (self.norms + [norm])[-self.WINDOW:]
        return None

    def reason(self, loss, norm):
        if not math.isfinite(loss):
            return f'loss {loss}'
        if not math.isfinite(norm):
            return f'gradient norm {norm}'
        if len(self.losses) < self.LEAST:
            return None
        usual = self.median(self.losses)
        if loss > usual + self.threshold * max(self.deviation(self.losses, usual), usual / 20, self.LEAST_SPREAD):
            return f'loss {loss:.3f} where {usual:.3f} is usual'
        usual = self.median(self.norms)
        if norm > usual + self.threshold * max(self.deviation(self.norms, usual), usual):
            return f'gradient norm {norm:.3g} where {usual:.3g} is usual'
        return None

    @staticmethod
    def median(values):
        return sorted(values)[len(values) // 2]

    def deviation(self, values, center):
        return 1.4826 * self.median([abs(value - center) for value in values])


def learning_rate(schedule, step):
    """Of step `step`, counted from 1: schedule.ts, line by line."""
    peak, warmup, steps = schedule['peak'], schedule['warmup'], schedule['steps']
    if step <= warmup:
        return peak * step / max(1, warmup)
    final = peak * schedule['finalShare']
    if schedule['shape'] == 'constant':
        return peak
    if schedule['shape'] == 'cosine':
        progress = min(1, (step - warmup) / max(1, steps - warmup))
        return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))
    if schedule['shape'] == 'wsd':
        decay = max(1, math.floor(steps * schedule['decayShare'] + 0.5))
        progress = min(1, max(0, (step - (steps - decay)) / decay))
        return peak + (final - peak) * progress
    raise RunError(f'the schedule {schedule["shape"]} is not known to this runner: prepare the run again')


# ---------------------------------------------------------------------------------------------------------------- speed

class Peak:
    """The best rate of matrix products so far, GFLOP/s: of a probe at first, then of whatever ran faster (see peak.ts)."""

    def __init__(self, device, autocast, world):
        size, bursts = (8192 if autocast else 4096, 8) if device.type == 'cuda' else (512, 12)
        a = torch.full((size, size), 0.5, device=device, dtype=torch.bfloat16 if autocast else torch.float32)
        best = 0.0
        for _ in range(bursts):
            started = time.perf_counter()
            (a @ a)[0, 0].item()
            best = max(best, 2 * size ** 3 / (time.perf_counter() - started) / 1e9)
        self.gflops = best * world

    def share(self, achieved):
        self.gflops = max(self.gflops, achieved)
        return achieved / self.gflops


def training_flops(config, weights, tokens, targets, pairs):
    """Forward and backward, as peak.ts counts them. weights: of all matrices but the one that makes logits."""
    head = config['vocabSize'] * config['hiddenSize']
    return 6 * (weights * tokens + head * targets) + 12 * config['layers'] * config['heads'] * config['headSize'] * pairs


# ------------------------------------------------------------------------------------------------------------------ run

class Runner:
    def __init__(self, run, args):
        self.run, self.args = run, args
        self.rank, self.world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
        path = run / 'torch' / 'plan.json'
        if not path.exists():
            raise RunError(f'{path} is not there: prepare the run with parley train RECIPE --engine torch --prepare-only')
        self.plan = json.loads(path.read_text('utf-8'))
        if self.plan['version'] != PLAN_VERSION:
            raise RunError(f'{path} has version {self.plan["version"]}, this runner reads {PLAN_VERSION}: prepare the run again')
        self.config = self.plan['model']
        self.stop, self.steps, self.started = False, 0, time.perf_counter()
        cuda = args.device == 'cuda' or (args.device == 'auto' and torch.cuda.is_available())
        if cuda and not torch.cuda.is_available():
            raise RunError('there is no CUDA device that this PyTorch can use: pass --device cpu, or install a build with CUDA')
        self.device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0))) if cuda else torch.device('cpu')
        if cuda:
            torch.cuda.set_device(self.device)
        if self.world > 1:
            dist.init_process_group('nccl' if cuda else 'gloo')
        wanted = args.dtype == 'bf16' or (args.dtype == 'auto' and cuda and torch.cuda.is_bf16_supported())
        self.autocast = wanted
        where = torch.cuda.get_device_name(self.device) if cuda else 'CPU'
        self.engine = f'PyTorch {torch.__version__.split("+")[0]} on {where}' + (f' × {self.world}' if self.world > 1 else '') + \
            (' in bf16' if self.autocast else ' in f32')

    # Only the first process speaks and writes.

    def emit(self, event, record=False):
        if self.rank != 0:
            return
        line = json.dumps(event, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
        if record:
            with open(self.run / 'metrics.jsonl', 'a', encoding='utf-8') as file:
                file.write(line + '\n')

    def tell(self, event):
        if self.rank != 0:
            return
        try:
            if self.args.json:
                print(json.dumps(event, separators=(',', ':'), ensure_ascii=False), flush=True)
            else:
                text = in_words(event)
                if text is not None:
                    print(text, flush=True)
        except BrokenPipeError:
            self.stop = True  # Whoever started this is gone.
            sys.stdout = open(os.devnull, 'w')

    def say(self, text):
        self.tell({'type': 'note', 'text': text})

    def count_step(self):
        self.steps += 1

    def stop_wanted(self):
        """By a signal, by what was asked on the command line, or by a file torch/stop. Asked once a step."""
        late = self.args.minutes is not None and time.perf_counter() - self.started > 60 * self.args.minutes
        return self.stop or late or self.steps == self.args.steps or (self.rank == 0 and (self.run / 'torch' / 'stop').exists())

    def autocasting(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.autocast)

    def main(self):
        checkpoints = self.run / 'checkpoints'
        latest = (list_checkpoints(checkpoints) or [None])[-1]
        plan = self.plan
        if latest is not None:
            state = latest[1]
            if state['recipe'] != plan['recipe'] or state.get('data', plan['data']) != plan['data']:
                raise RunError(f'{latest[0]} belongs to another recipe or other data than torch/plan.json: prepare the run again')
        if plan['stages'][0]['index'] > (latest[1]['stage'] if latest else 0):
            raise RunError(f'torch/plan.json begins with stage "{plan["stages"][0]["name"]}" and the checkpoint that belongs before it is not '
                           'there: bring it, or prepare the run again')
        if self.rank == 0:
            checkpoints.mkdir(parents=True, exist_ok=True)
            keep_metrics(self.run / 'metrics.jsonl', plan['stageNames'][:latest[1]['stage']] if latest else [],
                         latest[1]['stageName'] if latest else None, latest[1]['step'] if latest else 0)
        model = Transformer(self.config).to(self.device)
        optimizer = Optimizer(model, plan['parameters'], self.device, half=self.device.type == 'cuda' and self.autocast)
        source = latest[0] / 'weights.safetensors' if latest else self.run / 'torch' / 'initial.safetensors'
        optimizer.load(read_safetensors(source), optimizer.weights())
        self.peak = Peak(self.device, self.autocast, self.world)
        self.say(f'{self.engine}, {self.world} process{"es" if self.world > 1 else ""}')
        before = latest[1].get('engine') if latest else None
        if before is not None:
            self.engine = before if before.endswith(self.engine) else f'{before}, then {self.engine}'
        results = [result for result in latest[1]['results'] if result['stage'] != latest[1]['stageName']] if latest else []
        for stage in plan['stages']:
            if latest is not None and stage['index'] < latest[1]['stage']:
                continue
            here = latest if latest is not None and latest[1]['stage'] == stage['index'] else None
            optimizer.begin(stage['optimizer'], here[0] if here is not None else None)
            summary, finished = Stage(self, model, optimizer, stage, here, results).train()
            if not finished:
                if self.rank == 0:
                    (self.run / 'torch' / 'stop').unlink(missing_ok=True)
                self.tell({'type': 'aborted'})
                return
            results.append(summary)
            self.tell({'type': 'stage-end', 'summary': summary})
        self.tell({'type': 'finished'})


class Stage:
    def __init__(self, runner, model, optimizer, plan, here, results):
        self.runner, self.model, self.optimizer, self.plan, self.results = runner, model, optimizer, plan, results
        self.schedule = plan['schedule']
        self.steps = self.schedule['steps']
        self.guard = SpikeGuard(plan['spikeThreshold'], here[1].get('guard') if here is not None else None)
        # A stage in minutes: plan.json orders more steps than there will be, unless its length is known.
        self.unmeasured = plan.get('minutes') is not None
        known = here[1]['steps'] if here is not None else self.lengths().get(plan['name'])
        if self.unmeasured and known is not None:
            self.set_length(known)
        self.context = plan['contextLength']
        self.step, self.tokens, self.held_out, self.checkpointed = 0, 0, None, -1
        if here is not None:
            state = here[1]
            if state['steps'] != self.steps:
                raise RunError(f'{here[0]} is of a stage of {state["steps"]} steps, plan.json has {self.steps}: prepare the run again')
            self.step, self.tokens, self.checkpointed = state['step'], state['tokens'], state['step']
            self.held_out = next((result for result in state['results'] if result['stage'] == plan['name']), None)
        config = runner.config
        self.attention = choose_attention(runner.device, runner.autocast, config, self.context, runner.say)
        cuda = runner.device.type == 'cuda'
        share = plan['batchTokens'] / runner.world
        self.mine_count = max(1, math.ceil(share / (runner.args.rows or (self.rows_that_fit() if cuda else plan['rows']))))
        self.fixed = cuda or runner.args.compile == 'yes'
        self.batches = Batches(runner.run, runner.plan, plan, runner.world * self.mine_count, self.fixed)
        self.places = (runner.run / 'torch' / plan['files']['places']).read_bytes().split(b'\n')
        matrices = [entry for entry in runner.plan['parameters'] if entry['kind'] == 'matrix' and entry['name'] != 'lm_head.weight']
        self.matrix_weights = sum(math.prod(entry['shape']) for entry in matrices)
        self.loss = self.plain_loss

    def lengths(self):
        """Steps of stages in minutes, as measured in this run by either engine."""
        path = self.runner.run / 'lengths.json'
        kept = json.loads(path.read_text('utf-8')) if path.exists() else None
        return kept['steps'] if kept is not None and kept['recipe'] == self.runner.plan['recipe'] else {}

    def set_length(self, steps):
        self.steps, self.unmeasured = steps, False
        share = self.plan['warmupShare']
        warmup = self.schedule['warmup'] if share is None else math.floor(share * steps + 0.5)
        self.schedule = {**self.schedule, 'steps': steps, 'warmup': warmup}

    def rows_that_fit(self):
        """A power of two from 4,096 to 65,536: activations in bf16, logits and their gradient in f32, in half of the memory."""
        config = self.runner.config
        layer = 2 * (24 * config['hiddenSize'] + 8 * config['intermediateSize'])
        row = 12 * config['vocabSize'] + config['layers'] * layer + (0 if self.attention is varlen else 4 * self.context)
        free = torch.cuda.mem_get_info(self.runner.device)[0]
        return 2 ** max(12, min(16, int(math.log2(max(1, free / 2 / row)))))

    def plain_loss(self, batch):
        return self.model(**batch, attention=self.attention, context=self.context, only_targets=not self.fixed, **self.objective())

    def objective(self):
        return {'smoothing': self.plan['objective']['smoothing'], 'z_loss': self.plan['objective']['zLoss']}

    def compile(self):
        """torch.compile where it runs and agrees with what it compiles; tried on the first batch, of which nothing is learned."""
        runner = self.runner
        wanted = runner.args.compile == 'yes' or (runner.args.compile == 'auto' and runner.device.type == 'cuda')
        if not wanted or not hasattr(torch, 'compile') or self.step >= self.steps:
            return
        try:
            compiled = torch.compile(self.model, dynamic=False)
            batch = to_device(self.batches.part(self.step, runner.rank * self.mine_count), runner.device)

            def outcome(loss_of):
                """Loss and the norm of its gradient."""
                self.optimizer.gradients.zero_()
                with runner.autocasting():
                    objective, nats = loss_of(batch)
                objective.backward()
                return float(nats), float(self.optimizer.norm())

            expected = outcome(self.plain_loss)
            got = outcome(lambda batch: compiled(**batch, attention=self.attention, context=self.context, **self.objective()))
            good = abs(got[0] - expected[0]) <= 0.01 * expected[0] + 1e-3 and abs(got[1] - expected[1]) <= 0.05 * expected[1] + 1e-6
            why = f'gives loss and gradient norm {got[0]:.4f}, {got[1]:.4f} where {expected[0]:.4f}, {expected[1]:.4f} are right'
        except Exception as error:
            good, why = False, f'does not run here ({first_line(error)})'
        self.optimizer.gradients.zero_()
        if good:
            self.loss = lambda batch: compiled(**batch, attention=self.attention, context=self.context, **self.objective())
        runner.say('torch.compile: in use' if good else f'torch.compile: {why} and is not used')

    def gradient(self, feed, mine):
        """Adds up a step's gradients, of all processes, in the optimizer: nats, targets, their weight, whether anybody was told to
        stop, norm.
        """
        runner = self.runner
        stats = torch.zeros(4, dtype=torch.float64, device=runner.device)
        for _ in mine:
            batch = feed.next(runner.device)
            with runner.autocasting():
                objective, nats = self.loss(batch)
            objective.backward()
            stats[0] += nats
            learned = batch['targets'] != IGNORED
            stats[1] += learned.sum()
            stats[2] += batch['weights'][learned].sum() if 'weights' in batch else learned.sum()
        if runner.stop_wanted():
            stats[3] += 1
        if runner.world > 1:
            dist.all_reduce(stats)
            dist.all_reduce(self.optimizer.gradients)
        return torch.cat((stats, self.optimizer.norm().view(1))).tolist()

    def estimate(self, mine):
        """Times some steps, of which nothing is learned; with them a stage in minutes gets its length, which the run keeps."""
        runner, plan = self.runner, self.plan
        left = self.steps - self.step
        if not self.unmeasured and left * len(mine) < WORTH_MEASURING:
            return
        count = min(left, 10, max(4, left // 10))
        feed = Feed(self.batches, self.step, self.step + count, mine, runner.device.type == 'cuda')
        times, began = [], time.perf_counter()
        try:
            for number in range(count):
                started = time.perf_counter()
                norm = self.gradient(feed, mine)[-1]
                # A resumed stage has moments to keep; what the update takes is then left out.
                if self.step == 0 and math.isfinite(norm):
                    self.optimizer.update(0.0, 1, 0.0)
                float(self.optimizer.gradients.zero_()[0])  # Until the device is done.
                times.append(time.perf_counter() - started)
                # One process's clock decides for all: they would part ways.
                over = torch.tensor(float(number >= 3 and time.perf_counter() - began > 10), device=runner.device)
                if runner.world > 1:
                    dist.broadcast(over, 0)
                if float(over) > 0:
                    break
        finally:
            feed.closed = True
        if self.step == 0:
            self.optimizer.begin(plan['optimizer'])
        seconds = torch.tensor(statistics.median(times[1:] or times), dtype=torch.float64, device=runner.device)
        if runner.world > 1:
            dist.broadcast(seconds, 0)
        seconds = 1.05 * float(seconds)
        if self.unmeasured:
            steps = max(min(LEAST_STEPS, self.steps), min(self.steps, math.floor(60 * plan['minutes'] / seconds + 0.5)))
            if runner.rank == 0:
                work = runner.run / 'lengths.json.tmp'
                work.write_text(json.dumps({'recipe': runner.plan['recipe'], 'steps': {**self.lengths(), plan['name']: steps}}), 'utf-8')
                work.replace(runner.run / 'lengths.json')
            self.set_length(steps)
            left = steps - self.step
        runner.tell({'type': 'estimate', 'stage': plan['name'], 'steps': left, 'tokens': left * plan['batchTokens'], 'seconds': left * seconds})

    def train(self):
        runner, plan, optimizer, guard = self.runner, self.plan, self.optimizer, self.guard
        name, clip = plan['name'], plan['optimizer']['clip']
        mine = range(runner.rank * self.mine_count, (runner.rank + 1) * self.mine_count)
        self.compile()
        self.estimate(mine)
        share = self.steps / plan['schedule']['steps']
        runner.tell({'type': 'stage', 'stage': name, 'steps': self.steps, 'step': self.step, 'tokensPerStep': plan['batchTokens'],
                     'parameters': runner.plan['parameterCount'], 'peakGflops': runner.peak.gflops,
                     'epochs': {source: round(passes * share, 2) for source, passes in plan['epochs'].items()}})
        feed = Feed(self.batches, self.step, self.steps, mine, runner.device.type == 'cuda')
        recent = []
        owed = [self.step - back for back in range(guard.in_row)]  # steps left out since the last one taken
        try:
            while self.step < self.steps:
                started = time.perf_counter()
                runner.count_step()
                nats, targets, weight, stop, norm = self.gradient(feed, mine)
                targets, weight = max(1.0, targets), weight or 1.0
                loss, norm = nats / targets, norm / weight
                rate = learning_rate(self.schedule, self.step + 1)
                self.step += 1
                last = self.step == self.steps
                tokens, pairs = self.batches.work(self.step - 1)
                self.tokens += tokens
                reason = guard.judge(loss, norm)
                if reason is None:
                    clipped = clip / norm if norm > clip else 1.0
                    optimizer.update(rate, self.step - guard.skipped, clipped / weight)
                    seconds = time.perf_counter() - started
                    recent = (recent + [seconds])[-31:]
                    flops = training_flops(runner.config, self.matrix_weights, tokens, targets, pairs)
                    line = {
                        'type': 'step', 'stage': name, 'step': self.step, 'tokens': self.tokens, 'loss': loss, 'learning_rate': rate,
                        'gradient_norm': norm,
                        'timing': {'ms': round(seconds * 1000, 1), 'tokens_per_second': round(tokens / seconds, 1),
                                   'peak_share': round(runner.peak.share(flops / seconds / 1e9), 4)},
                    }
                    runner.emit(line, record=True)
                    runner.tell({**line, 'steps': self.steps, 'secondsLeft': (self.steps - self.step) * statistics.median(recent)})
                else:
                    optimizer.gradients.zero_()
                    line = {
                        'type': 'skip', 'stage': name, 'step': self.step, 'tokens': self.tokens, 'loss': loss if math.isfinite(loss) else None,
                        'gradient_norm': norm if math.isfinite(norm) else None, 'reason': reason,
                    }
                    runner.emit(line, record=True)
                    runner.tell({**line, 'skipped': guard.skipped})
                    if guard.in_row >= guard.MOST_IN_A_ROW or (last and not math.isfinite(loss)):
                        kept = f'the checkpoint of step {self.checkpointed} is kept' if self.checkpointed > 0 else \
                            'there is no checkpoint of this stage yet'
                        raise RunError(
                            f'stage "{name}" diverged at step {self.step}: loss {loss}, gradient norm {norm}, learning rate {rate:.3g}, '
                            f'step {guard.in_row} in a row to be left out; {kept}: lower learning_rate or lengthen warmup',
                            kind='divergence', step=self.step)
                    # Whether the weights are still good is to be seen: what this step was due is done after the next one that is taken.
                    if not last:
                        owed.append(self.step)
                        if stop > 0:
                            self.checkpoint()
                            return self.summary(), False
                        continue

                def due(every):
                    return last or any(step % every == 0 for step in [*owed, self.step])

                if due(plan['evalEvery']):
                    self.measure()
                if due(plan['checkpointEvery']) or stop > 0:
                    self.checkpoint()
                owed = []
                if stop > 0 and not last:
                    return self.summary(), False
        finally:
            feed.closed = True
        return self.summary(), True

    @torch.no_grad()
    def measure(self):
        """Held-out loss over the batches that Parley measures on, dealt to the processes."""
        runner, sources = self.runner, self.plan['heldOut']
        nats = torch.zeros(max(1, len(sources)), dtype=torch.float64, device=runner.device)
        number = 0
        for index, source in enumerate(sources):
            rows = self.plan['rows']
            data = np.memmap(runner.run / 'torch' / source['file'], '<i4', 'r', shape=(source['batches'], 3, rows)) if source['batches'] else []
            for batch in data:
                number += 1
                if number % runner.world != runner.rank:
                    continue
                tokens, targets, positions = pad_rows(batch.astype(np.int64), self.context, runner.plan['padding'])
                batch = to_device(on_host(tokens, targets, positions), runner.device)
                with runner.autocasting():
                    nats[index] += self.model(**batch, attention=self.attention, context=self.context, only_targets=True)[1]
        if runner.world > 1:
            dist.all_reduce(nats)
        if not bool(torch.isfinite(nats).all()):
            raise RunError(f'stage "{self.plan["name"]}" diverged at step {self.step}: held-out loss is no longer a number; the last checkpoint '
                           'is kept: lower learning_rate or lengthen warmup', kind='divergence', step=self.step)
        measured = {}
        for source, sum_of_nats in zip(sources, nats.tolist()):
            if source['targets'] == 0 or source['bytes'] == 0:
                continue
            measured[source['name']] = {
                'loss': sum_of_nats / source['targets'], 'bits_per_byte': sum_of_nats / math.log(2) / source['bytes'],
                'targets': source['targets'], 'bytes': source['bytes'],
            }
        weights = {source['name']: source['weight'] for source in sources if source['name'] in measured}
        if not weights:
            return

        def mean(field):
            return sum(measured[name][field] * weight for name, weight in weights.items()) / sum(weights.values())

        self.held_out = {'loss': mean('loss'), 'bitsPerByte': mean('bits_per_byte'), 'sources': measured}
        line = {'type': 'held-out', 'stage': self.plan['name'], 'step': self.step, 'tokens': self.tokens, 'loss': self.held_out['loss'],
                'bits_per_byte': self.held_out['bitsPerByte'], 'sources': measured}
        runner.emit(line, record=True)
        runner.tell(line)

    def place(self):
        return json.loads(self.places[self.step])

    def summary(self):
        plan, held_out = self.plan, self.held_out or {}
        gone = self.place()['sources']
        return {
            'stage': plan['name'], 'kind': plan['kind'], 'steps': self.step, 'tokens': self.tokens,
            **({'skipped': self.guard.skipped} if self.guard.skipped > 0 else {}), 'contextLength': self.context,
            'loss': held_out.get('loss'), 'bitsPerByte': held_out.get('bitsPerByte'), 'sources': held_out.get('sources', {}),
            'epochs': {source['name']: round(gone[index]['tokens'] / source['tokens'], 3) for index, source in enumerate(plan['sources'])},
        }

    def checkpoint(self):
        runner, plan = self.runner, self.plan
        if self.checkpointed == self.step:
            return
        self.checkpointed = self.step
        if runner.rank != 0:
            return
        weights, moments = self.optimizer.files()
        if not all(np.isfinite(values).all() for _, values in weights):
            raise RunError(f'stage "{plan["name"]}" diverged at step {self.step}: weights are no longer numbers; the last checkpoint '
                           'is kept: lower learning_rate or lengthen warmup', kind='divergence', step=self.step)
        state = {
            'version': CHECKPOINT_VERSION, 'recipe': runner.plan['recipe'], 'data': runner.plan['data'], 'engine': runner.engine,
            'stage': plan['index'], 'stageName': plan['name'], 'step': self.step, 'steps': self.steps, 'tokens': self.tokens,
            'loader': self.place(), 'guard': self.guard.state(), 'results': self.results + [self.summary()],
        }
        folder = save_checkpoint(runner.run / 'checkpoints', state, weights, moments, plan['keepCheckpoints'])
        runner.tell({'type': 'checkpoint', 'stage': plan['name'], 'step': self.step, 'folder': str(folder)})


def pad_rows(batch, context, padding):
    """tokens, targets and positions (3, rows) to a multiple of the context, as attention in windows wants it."""
    extra = round_up(batch.shape[1], context) - batch.shape[1]
    fills = (np.full(extra, padding), np.full(extra, IGNORED), np.arange(extra))
    return [np.concatenate((row, fill)) for row, fill in zip(batch, fills)]


def in_words(event):
    """A line for a person, or None."""
    kind = event['type']
    if kind == 'note':
        return event['text']
    if kind == 'stage':
        return f'{event["stage"]}: {event["parameters"]:,} parameters, {event["steps"]:,} steps of {event["tokensPerStep"]:,} tokens, ' \
            f'from step {event["step"]}'
    if kind == 'step' and (event['step'] % 10 == 0 or event['step'] in (1, event['steps'])):
        return f'{event["stage"]} {event["step"]}/{event["steps"]}  loss {event["loss"]:.3f}  lr {event["learning_rate"]:.2e}  ' \
            f'grad {event["gradient_norm"]:.2f}  {event["timing"]["tokens_per_second"]:,.0f} tok/s  {event["secondsLeft"] / 60:.1f} min left'
    if kind == 'held-out':
        return f'{event["stage"]} {event["step"]}: held-out loss {event["loss"]:.3f}, {event["bits_per_byte"]:.3f} bits per byte'
    if kind == 'estimate':
        return f'{event["stage"]}: {event["steps"]:,} steps, {event["tokens"]:,} tokens, about {event["seconds"] / 60:.1f} minutes ' \
            '(measured on the first batches)'
    if kind == 'skip':
        return f'{event["stage"]} {event["step"]}: left out, {event["reason"]}; nothing was learned of it ({event["skipped"]} so far)'
    if kind == 'checkpoint':
        return f'checkpoint: {event["folder"]}'
    if kind == 'finished':
        return 'All stages are done. Take the folder back and export the model with: parley train RECIPE --resume'
    if kind == 'aborted':
        return 'Stopped; the same command goes on from the checkpoint.'
    return None


def main():
    parser = argparse.ArgumentParser(description='Runs the stages of a Parley recipe on PyTorch.')
    parser.add_argument('run', type=Path, nargs='?', default=Path(__file__).resolve().parent.parent,
                        help='the folder of the run (default: the one this file is in)')
    parser.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    parser.add_argument('--dtype', choices=['auto', 'f32', 'bf16'], default='auto', help='auto: bf16 where a GPU has it')
    parser.add_argument('--rows', type=int, help='tokens of a micro-batch (default: by the GPU\'s memory; on a CPU what the recipe says)')
    parser.add_argument('--steps', type=int, help='stop after so many steps, with a checkpoint')
    parser.add_argument('--minutes', type=float, help='stop after so many minutes, with a checkpoint')
    parser.add_argument('--compile', choices=['auto', 'yes', 'no'], default='auto', help='torch.compile; auto: on a GPU')
    parser.add_argument('--threads', type=int, help='CPU threads of each process')
    parser.add_argument('--json', action='store_true', help='one JSON object a line instead of words')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    runner = None

    def interrupted(number, _frame):
        if runner is not None:
            runner.stop = True
        signal.signal(number, signal.SIG_DFL)  # once more: at once

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        runner = Runner(args.run, args)
        runner.main()
    except RunError as error:
        if args.json and int(os.environ.get('RANK', 0)) == 0:
            print(json.dumps({'type': 'error', 'message': str(error), **error.fields}), flush=True)
        else:
            print(error, file=sys.stderr)
        sys.stdout.flush()
        os._exit(1)  # Other processes may wait in a collective call: torchrun ends them.
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


if __name__ == '__main__':
    main()
