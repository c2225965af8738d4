"""What Hugging Face transformers itself makes of the tiny models beside: logits, tokens that follow by every search, warped distributions.

Reads the model folders in ../families and ../model as anybody's and writes `expected.json` and `expected.safetensors` here. Needs python3 with
torch, transformers, safetensors and peft (written with 2.14.1, 5.18.0 and 0.21.0), and no network: `python3 make.py`. Run again, it writes the same.
"""
import json
import pathlib

import peft
import safetensors.torch
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModel, LogitsProcessorList
from transformers.generation import logits_process as warpers

HERE = pathlib.Path(__file__).parent
FOLDERS = {path.name: path for parent in ("families", "model") for path in sorted((HERE.parent / parent).iterdir()) if (path / "config.json").exists()}
PROMPTS = [[3, 17, 0, 39, 8, 8, 21, 5, 30, 12, 1, 26, 33, 9], [7, 38, 2, 2, 19], [11]]
NEW_TOKENS = 12
# What is asked of every decoder: transformers' names.
SEARCHES = {
    "greedy": dict(),
    "repetition": dict(repetition_penalty=1.4),
    "ngram": dict(no_repeat_ngram_size=2),
    "ends": dict(ends=True),
    "least": dict(ends=True, min_new_tokens=6),
    "beams": dict(num_beams=4, num_return_sequences=4),
    "beams-end": dict(num_beams=4, num_return_sequences=3, ends=True, length_penalty=0.6),
    "beams-early": dict(num_beams=3, num_return_sequences=3, ends=True, early_stopping=True, length_penalty=1.0),
    "beams-never": dict(num_beams=3, num_return_sequences=2, ends=True, early_stopping="never", length_penalty=2.0),
    "beams-penalized": dict(num_beams=5, num_return_sequences=2, ends=True, repetition_penalty=1.3, no_repeat_ngram_size=3, length_penalty=-0.5),
}
WARPINGS = [
    dict(temperature=0.7), dict(top_k=5), dict(top_p=0.6), dict(min_p=0.2), dict(temperature=1.5, top_k=12, top_p=0.9), dict(temperature=0.4, top_k=0, top_p=0.95, min_p=0.1),
    dict(temperature=2.0, top_k=30, top_p=0.5, min_p=0.05), dict(top_k=1),
]


def margin(scores):
    """How far the likeliest two tokens of a step are apart."""
    best = torch.stack([row.topk(2).values for row in scores])
    return float((best[..., 0] - best[..., 1]).min())


def search(model, prompt, options, end):
    """Sequences without their prompt, and how close the closest decision was where it can be told (not with beams)."""
    options = dict(options)
    ends = options.pop("ends", False)
    config = transformers.GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=end if ends else None, pad_token_id=0, return_dict_in_generate=True, output_scores=True, use_cache=True, **options,
    )
    tokens = torch.tensor([prompt])
    out = model.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=config)
    found = []
    for sequence in out.sequences[:, len(prompt):].tolist():
        if ends and end in sequence:
            sequence = sequence[: sequence.index(end) + 1]
        found.append(sequence)
    result = dict(sequences=found)
    if "num_beams" in options:
        result["scores"] = out.sequences_scores.tolist()
    else:
        result["margin"] = margin(out.scores)
    return result


def warped(scores, options):
    """The probabilities that are drawn by; transformers' order of warpers."""
    processors = LogitsProcessorList()
    if "temperature" in options:
        processors.append(warpers.TemperatureLogitsWarper(options["temperature"]))
    if options.get("top_k", 0) > 0:
        processors.append(warpers.TopKLogitsWarper(options["top_k"]))
    if "top_p" in options:
        processors.append(warpers.TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        processors.append(warpers.MinPLogitsWarper(options["min_p"]))
    return torch.softmax(processors(torch.tensor([[0]]), scores[None].clone()), dim=-1)[0].tolist()


def main():
    torch.manual_seed(0)
    tensors, expected = {}, {}
    load = dict(dtype=torch.float32, attn_implementation="eager")
    for name, folder in FOLDERS.items():
        written = json.loads((folder / "config.json").read_text())
        architecture = written["architectures"][0]
        room = written.get("n_positions", written.get("max_position_embeddings")) - NEW_TOKENS
        prompts = [prompt[:room] for prompt in PROMPTS]
        if architecture.startswith("Bert"):
            kind = {"BertForMaskedLM": AutoModelForMaskedLM, "BertForSequenceClassification": AutoModelForSequenceClassification, "BertModel": AutoModel}[architecture]
            model = kind.from_pretrained(folder, **load).eval()
            for i, prompt in enumerate(PROMPTS):
                types = [0] * (len(prompt) // 2) + [1] * (len(prompt) - len(prompt) // 2)
                with torch.no_grad():
                    out = model(torch.tensor([prompt]), token_type_ids=torch.tensor([types]))
                if architecture == "BertModel":
                    tensors[f"{name}.states.{i}"], tensors[f"{name}.pooled.{i}"] = out.last_hidden_state[0], out.pooler_output[0]
                else:
                    tensors[f"{name}.logits.{i}"] = out.logits[0]
            continue
        model = AutoModelForCausalLM.from_pretrained(folder, **load).eval()
        greedy = []
        for i, prompt in enumerate(prompts):
            with torch.no_grad():
                tensors[f"{name}.logits.{i}"] = model(torch.tensor([prompt])).logits[0]
            greedy.append(search(model, prompt, {}, None)["sequences"][0])
        # An end that comes: a token in the middle of what follows the first prompt.
        end = greedy[0][len(greedy[0]) // 2]
        searches = {key: [search(model, prompt, options, end) for prompt in prompts] for key, options in SEARCHES.items()}
        expected[name] = dict(prompts=prompts, end=end, searches=searches)
    rows = torch.randn(4, 40) * 3
    tensors["warped.rows"] = rows
    adapters(tensors)
    (HERE / "expected.json").write_text(json.dumps(dict(
        source=f"tests/golden/transformers/make.py, transformers {transformers.__version__}, torch {torch.__version__}, peft {peft.__version__}",
        prompts=PROMPTS, new_tokens=NEW_TOKENS, options=SEARCHES, models=expected,
        warpings=[dict(options=options, probabilities=[warped(row, options) for row in rows]) for options in WARPINGS],
    )) + "\n")
    safetensors.torch.save_file({key: value.detach().float().contiguous() for key, value in tensors.items()}, HERE / "expected.safetensors")


def adapters(tensors):
    """Adapters as PEFT saves them, with weights that matter, and the logits of the models they are laid on."""
    for base, targets in (("tiny-llama", ["q_proj", "v_proj", "down_proj"]), ("tiny-gpt2", ["c_attn", "c_proj", "c_fc"])):
        model = AutoModelForCausalLM.from_pretrained(FOLDERS[base], dtype=torch.float32, attn_implementation="eager").eval()
        config = peft.LoraConfig(r=4, lora_alpha=12, target_modules=targets, task_type="CAUSAL_LM", fan_in_fan_out=base == "tiny-gpt2")
        model = peft.get_peft_model(model, config)
        generator = torch.Generator().manual_seed(5)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        folder = HERE / f"{base}-adapter"
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        saved = json.loads((folder / "adapter_config.json").read_text())
        saved["base_model_name_or_path"] = base
        (folder / "adapter_config.json").write_text(json.dumps(saved, indent=2) + "\n")
        for i, prompt in enumerate(PROMPTS):
            with torch.no_grad():
                tensors[f"{base}-adapter.logits.{i}"] = model(torch.tensor([prompt])).logits[0]


main()
