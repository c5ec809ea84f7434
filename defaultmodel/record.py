#!/usr/bin/env python3
"""Record what transformers computes with the default model, for "idefics2 verify".

    python record.py            # writes recorded/expect.json and recorded/stages.safetensors

Asked is what recorded/requests.json says. Everything is float32, on one thread, with the eager attention. The pictures' grids are
of odd sides, on which all versions of the reference agree about position ids.
"""

import json
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

here = Path(__file__).parent
case = here / "recorded"

torch.set_num_threads(1)
model = AutoModelForImageTextToText.from_pretrained(here / "model", dtype=torch.float32, attn_implementation="eager").eval()
processor = AutoProcessor.from_pretrained(here / "model", use_fast=False)


def answer(request):
    processor.image_processor.do_image_splitting = request["do_image_splitting"]
    prompt = processor.apply_chat_template(request["messages"], add_generation_prompt=True)
    files = [p["image"] for m in request["messages"] for p in m["content"] if p["type"] == "image"]
    images = {"images": [[Image.open(case / f).convert("RGB") for f in files]]} if files else {}
    inputs = processor(text=[prompt], return_tensors="pt", **images)
    ids = inputs["input_ids"][0].tolist()
    found = {}
    norm = model.model.connector.perceiver_resampler.norm
    hook = norm.register_forward_hook(lambda _, x, y: found.__setitem__("latents", y.detach().clone()))
    with torch.no_grad():
        found["logits"] = model(**inputs).logits[0]
        hook.remove()
        done = model.generate(**inputs, do_sample=False, return_dict_in_generate=True, output_logits=True, **request["greedy"])
    new = done.sequences[0, len(ids):].tolist()
    top = [torch.log_softmax(s[0], -1).topk(5) for s in done.logits]
    record = {
        "prompt": prompt,
        "input_ids": ids,
        "greedy": {"ids": new, "text": processor.tokenizer.decode(new, skip_special_tokens=True),
                   "top5": [[[int(i), float(v)] for i, v in zip(t.indices, t.values)] for t in top]},
    }
    stages = {"logits.last": found["logits"][-1].clone()}
    for i, latents in enumerate(found.get("latents", [])):
        stages[f"image.{i}.resampler.norm"] = latents.clone()
    return record, stages


asked = json.loads((case / "requests.json").read_text())["requests"]
expect, stages = {}, {}
for request in asked:
    expect[request["name"]], kept = answer(request)
    stages.update({f"{request['name']}/{k}": v.contiguous() for k, v in kept.items()})
    print(request["name"], repr(expect[request["name"]]["greedy"]["text"]))
(case / "expect.json").write_text(json.dumps({"requests": expect}, ensure_ascii=False, indent=1) + "\n")
save_file(dict(sorted(stages.items())), case / "stages.safetensors")
