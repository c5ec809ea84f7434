#!/usr/bin/env python3
"""Compare a step of training with transformers and PEFT: the same geometry, adapters and lengths, on the same
machine, in the same run, one after the other.

    bench/train.py [--idefics2 PROGRAM] [--works text512,picture735x980] [--dtypes bf16,f32] [--rounds 2]
                   [--config FILE] [--checkpointing] [--threads N] [--limit SECONDS] [--json FILE]

Both sides hold 4 decoder layers and 6 layers of the vision tower of the widths that config.json tells (of
the released model unless said), random weights, and adapters as the official tutorial has them: rank 8, dropout 0.1,
beside the linear layers of decoder, projection and resampler. A step is forward, backward and AdamW of one
example. Each round is a process of its own, with one step before those that count; they take turns, and
never run at once. Printed, in Markdown, are medians of seconds, tokens a second, the largest resident memory, and
the ratios theirs by ours. PyTorch multiplies in --dtypes; ours holds bfloat16 and multiplies in float32.

The Python that runs this needs torch, transformers and peft. Go builds our half. 12 GB of memory are needed
for bf16, 24 for f32.
"""
import argparse, json, os, platform, resource, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = r".*(text_model|modality_projection|perceiver_resampler).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$"
WORKS = {"text512": (512, 0), "picture735x980": (64, 1)}  # words, pictures


def peer(args):
    """One process of the reference. It prints the seconds of its steps and its memory as JSON."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    values = {}
    if args.config:
        with open(args.config) as f:
            values = json.load(f)
    for part in ("vision_config", "text_config", "perceiver_config"):
        values.setdefault(part, {})
    if not args.config:
        values["vision_config"].update(
            hidden_size=1152, intermediate_size=4304, num_attention_heads=16, image_size=980, patch_size=14, hidden_act="gelu_pytorch_tanh")
        values["text_config"].update(
            model_type="mistral", vocab_size=32003, hidden_size=4096, intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8,
            max_position_embeddings=32768, rms_norm_eps=1e-5, sliding_window=4096, pad_token_id=0)
        values.update(image_token_id=32001)
    values["vision_config"]["num_hidden_layers"] = min(6, values["vision_config"].get("num_hidden_layers", 27))
    values["text_config"]["num_hidden_layers"] = min(4, values["text_config"].get("num_hidden_layers", 32))
    config = Idefics2Config(**{k: v for k, v in values.items() if k not in ("architectures", "model_type", "torch_dtype", "transformers_version")})
    config._attn_implementation = "sdpa"
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[args.peer]
    torch.set_default_dtype(dtype)  # made in its type, so that the largest memory is that of training
    with torch.device("meta"):
        model = Idefics2ForConditionalGeneration(config)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0) if p.dim() == 1 else p.normal_(0, 0.02)
        for name, buffer in model.named_buffers():  # to_empty left them undefined
            if name.endswith("inv_freq"):
                d = 2 * buffer.numel()
                buffer.copy_(1.0 / 10000 ** (torch.arange(0, d, 2, dtype=torch.float32) / d))
            elif name.endswith("position_ids"):
                buffer.copy_(torch.arange(buffer.numel()).expand(buffer.shape))
    torch.set_default_dtype(torch.float32)
    if args.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=8, lora_dropout=0.1, init_lora_weights="gaussian", target_modules=TARGETS))
    model.train()
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    words, pictures = WORKS[args.work]
    latents = pictures * config.perceiver_config.resampler_n_latents
    ids = torch.cat([torch.full((latents,), config.image_token_id), torch.randint(3, min(30000, config.text_config.vocab_size - 5), (words,))])[None]
    labels = ids.clone()
    labels[:, : ids.shape[1] - words // 2] = -100
    inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, use_cache=False)
    if pictures:
        inputs.update(pixel_values=torch.randn(1, 1, 3, 735, 980).to(dtype), pixel_attention_mask=torch.ones(1, 1, 735, 980, dtype=torch.bool))
    seconds = []
    for _ in range(1 + args.steps):
        start = time.perf_counter()
        model(**inputs).loss.backward()
        adam.step()
        adam.zero_grad()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(dict(seconds=statistics.median(seconds[1:]), tokens=ids.shape[1], memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))


def ours(args, program, work):
    command = [program, "bench", "-train", "-quick", "-json", "-samples", str(args.steps + 1), "-threads", str(args.threads), "-only", "train-step-" + work]
    if args.checkpointing:
        command[-1] += "-recompute"
        command.append("-recompute")
    if args.config:
        command += ["-config", args.config]
    report = json.loads(run(args, command))
    row = report["rows"][0]
    return dict(seconds=row["seconds"], memory=row["memory"], share=row["share"])


def theirs(args, work, dtype):
    command = [sys.executable, os.path.abspath(__file__), "--peer", dtype, "--work", work, "--threads", str(args.threads), "--steps", str(args.steps)]
    if args.config:
        command += ["--config", args.config]
    if args.checkpointing:
        command.append("--checkpointing")
    return json.loads(run(args, command).strip().splitlines()[-1])


def run(args, command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=args.limit)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.strip().splitlines()[-2:]))
    return done.stdout


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--idefics2", help="our program; built with Go unless given")
    p.add_argument("--works", default="text512,picture735x980")
    p.add_argument("--dtypes", default="bf16,f32")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--steps", type=int, default=2, help="that count, of a round")
    p.add_argument("--config", help="a config.json of Idefics2; the released widths unless given")
    p.add_argument("--checkpointing", action="store_true", help="compute activations again, on both sides")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--limit", type=float, default=900, help="seconds of a process")
    p.add_argument("--json", help="write all samples there")
    p.add_argument("--peer", help=argparse.SUPPRESS)
    p.add_argument("--work", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.peer:
        return peer(args)
    with tempfile.TemporaryDirectory() as folder:
        program = args.idefics2
        if not program:
            program = os.path.join(folder, "idefics2")
            subprocess.run(["go", "build", "-o", program, "./cmd/idefics2"], cwd=os.path.dirname(HERE), check=True)
        compare(args, program)


def compare(args, program):
    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, {time.strftime('%Y-%m-%d %H:%M')}\n")
    print("| step | ours | memory | peer | theirs | memory | speed, theirs by ours | memory, ours by theirs |\n|---|---|---|---|---|---|---|---|")
    kept = []
    for work in args.works.split(","):
        for dtype in args.dtypes.split(","):
            pairs = []
            try:
                for _ in range(args.rounds):
                    pairs.append((ours(args, program, work), theirs(args, work, dtype)))
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                print(f"| {work} | | | {dtype} | left out: {e} | | | |")
                continue
            kept.append(dict(work=work, dtype=dtype, rounds=pairs))
            us, them = (statistics.median(x[i]["seconds"] for x in pairs) for i in (0, 1))
            our, their = (max(x[i]["memory"] for x in pairs) for i in (0, 1))
            speed = statistics.median(t["seconds"] / u["seconds"] for u, t in pairs)
            n = pairs[0][1]["tokens"]
            print(f"| {work} | {us:.2f} s, {n / us:.1f} tokens/s | {our / 1e9:.2f} GB | PEFT {dtype} | {them:.2f} s, {n / them:.1f} tokens/s "
                  f"| {their / 1e9:.2f} GB | {speed:.2f} | {our / their:.2f} |", flush=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(kept, f, indent=1)


if __name__ == "__main__":
    main()
