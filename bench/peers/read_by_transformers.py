"""Answers bench/peers/read-by-transformers.ts: one JSON question a line on the standard input, one answer a line. Needs torch, transformers and peft."""
import json
import sys

import peft
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)


def load(folder, adapter=None):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return (peft.PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def answer(question):
    if question["ask"] == "versions":
        return f"transformers {transformers.__version__}, torch {torch.__version__}, peft {peft.__version__}"
    model = load(question["folder"], question.get("adapter"))
    if question["ask"] == "logits":
        with torch.no_grad():
            return [model(torch.tensor([tokens])).logits[0].flatten().tolist() for tokens in question["prompts"]]
    tokenizer = AutoTokenizer.from_pretrained(question["folder"])
    # The folder's own defaults would fill what is left open here.
    model.generation_config = config = transformers.GenerationConfig(max_new_tokens=question["steps"], do_sample=False, pad_token_id=0)
    model.config.eos_token_id = None
    answers = []
    for text in question["prompts"]:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, tokenize=True, return_dict=False)
        tokens = torch.tensor([ids])
        out = model.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=config)
        answers.append(dict(ids=ids, plain=tokenizer.encode(text), tokens=out[0, len(ids):].tolist(), text=tokenizer.decode(out[0, len(ids):])))
    return answers


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
