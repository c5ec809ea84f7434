#!/usr/bin/env python3
"""Compare this module with transformers, llama.cpp, tokenizers and Pillow: the same work, on the same
machine, in the same run.

    bench/peers.py [--layers 2] [--rounds 5] [--limit 90] [--only NAMES] [--llama-python PYTHON]
                   [--photo FILE] [--tokenizer FILE] [--text FILE] [--json FILE] [--list]

Both sides hold the same few layers of the released geometry, with random weights, and the
output matrix. They take turns, ours and theirs, round by round, each in its own process with
its own warm-up; what else the machine does weighs on both alike. Printed, in Markdown, are
the medians of the seconds and the median of the ratios within rounds (theirs by ours, so
more than 1 means that ours is faster), and the least and greatest of those.

Run it when nothing else runs. The Python that runs this needs torch, transformers, tokenizers, Pillow and NumPy. llama.cpp runs in the
Python that --llama-python names, where llama-cpp-python is installed; without it its rows are left out. Go
builds our half. Some ten minutes, 6 GB of memory and 2 GB of disk (TMPDIR) are needed; a comparison
whose peer fails is told and left out.
"""
import argparse, fnmatch, importlib.util, json, os, platform, random, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
CONTEXT, VOCABULARY = 600, 32003
MISTRAL = dict(
    vocab_size=VOCABULARY, hidden_size=4096, intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8, head_dim=128,
    max_position_embeddings=32768, rms_norm_eps=1e-5, rope_theta=10000.0, sliding_window=4096, tie_word_embeddings=False,
)
SIGLIP = dict(
    hidden_size=1152, intermediate_size=4304, num_attention_heads=16, image_size=980, patch_size=14,
    hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
)
# What is compared: our work, the peer, its work, and the ratio that is wanted.
PAIRS = [
    ("decode-bf16", "transformers", "decode-bf16", 1.4),
    ("decode-bf16", "transformers", "decode-f32", None),
    ("decode-bf16", "llama.cpp", "decode-bf16", None),
    ("decode-q4_0", "llama.cpp", "decode-q4_0", 1.2),
    ("decode-q4_k", "llama.cpp", "decode-q4_k_m", 1.8),
    ("decode-q8_0", "llama.cpp", "decode-q8_0", 1.1),
    ("prefill512-bf16", "transformers", "prefill512-bf16", None),
    ("prefill512-bf16", "transformers", "prefill512-f32", None),
    ("prefill2048-bf16", "transformers", "prefill2048-bf16", None),
    ("prefill512-q4_0", "llama.cpp", "prefill512-q4_0", 1.3),
    ("prefill512-q8_0", "llama.cpp", "prefill512-q8_0", 1.3),
    ("vision735x980", "transformers", "vision735x980-bf16", 2.0),
    ("vision735x980", "transformers", "vision735x980-f32", None),
    ("split1280x960", "transformers", "split1280x960-bf16", 3.0),
    ("product512-f32", "torch", "product512-f32", 0.9),
    ("tokenize", "tokenizers", "tokenize", 3.0),
]


# The peers. Each is a function of a work's name that returns another, which does the work once.


def with_torch(name, args):
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    if name.startswith("product"):
        x, w = torch.randn(512, 4096), torch.randn(4096, 4096)
        return lambda: torch.nn.functional.linear(x, w)
    kind, _, dtype = name.partition("-")
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
    work = vision(kind, dtype, args.layers) if kind.startswith(("vision", "split")) else text(kind, dtype, args.layers)

    def once():
        with torch.inference_mode():
            return work()

    return once


def randomized(make, dtype):
    """A module with random weights, which costs no time but that of writing them."""
    import torch

    with torch.device("meta"):
        module = make()
    module = module.to(dtype).to_empty(device="cpu").eval()
    pool = torch.randn(1 << 20).mul_(0.02)
    for p in module.parameters():
        flat = p.data.view(-1)
        if p.dim() == 1:
            flat.fill_(1)
            continue
        for at in range(0, flat.numel(), pool.numel()):
            part = flat[at : at + pool.numel()]
            part.copy_(pool[: part.numel()])
    return module


def text(kind, dtype, layers):
    import torch
    from transformers import DynamicCache, MistralConfig, MistralForCausalLM

    config = MistralConfig(num_hidden_layers=layers, **MISTRAL)
    config._attn_implementation = "sdpa"
    model = randomized(lambda: MistralForCausalLM(config), dtype)
    # Buffers have no values on the meta device.
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(config)
    if kind.startswith("prefill"):
        ids = torch.randint(3, VOCABULARY, (1, int(kind[len("prefill") :])))
        return lambda: model(input_ids=ids, use_cache=True, past_key_values=DynamicCache(), logits_to_keep=1)
    cache = DynamicCache()
    heads, dim = config.num_key_value_heads, config.head_dim
    for layer in range(layers):
        cache.update(torch.randn(1, heads, CONTEXT, dim).to(dtype), torch.randn(1, heads, CONTEXT, dim).to(dtype), layer)
    one = torch.randint(3, VOCABULARY, (1, 1))

    def decode():
        model(input_ids=one, use_cache=True, past_key_values=cache, logits_to_keep=1)
        cache.crop(CONTEXT)

    return decode


def vision(kind, dtype, layers):
    import torch
    from transformers.models.idefics2.configuration_idefics2 import Idefics2VisionConfig
    from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer

    config = Idefics2VisionConfig(num_hidden_layers=layers, **SIGLIP)
    config._attn_implementation = "sdpa"
    model = randomized(lambda: Idefics2VisionTransformer(config), dtype)
    # transformers pads the crops of a split to the largest, and computes the padding.
    sizes = [(735, 980)] if kind.startswith("vision") else 4 * [(480, 640)] + [(735, 980)]
    pixels = torch.randn(len(sizes), 3, 735, 980).to(dtype)
    mask = torch.zeros(len(sizes), 735 // 14, 980 // 14, dtype=torch.bool)
    for i, (height, width) in enumerate(sizes):
        mask[i, : height // 14, : width // 14] = True
    return lambda: model(pixel_values=pixels, patch_attention_mask=mask)


def with_llama(name, args):
    import llama_cpp

    kind, _, dtype = name.partition("-")
    model = llama_cpp.Llama(
        os.path.join(args.files, dtype + ".gguf"), n_ctx=2560, n_batch=2048, n_ubatch=512, n_threads=args.threads, n_threads_batch=args.threads, verbose=False,
    )
    draw = random.Random(1)
    ids = [draw.randrange(3, VOCABULARY) for _ in range(2048)]
    past = CONTEXT if kind == "decode" else 0
    count = 1 if kind == "decode" else int(kind[len("prefill") :])
    if past:
        model.eval(ids[:past])

    def once():
        model.n_tokens = past  # eval forgets what lies behind
        model.eval(ids[:count])

    return once


def with_tokenizers(name, args):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(os.path.join(args.files, "tokenizer.json"))
    with open(os.path.join(args.files, "text.txt"), encoding="utf-8") as f:
        lines = f.read().splitlines(keepends=True)  # far faster than all at once

    return lambda: [words.encode(line, add_special_tokens=False).ids for line in lines]


PEERS = {"transformers": with_torch, "torch": with_torch, "llama.cpp": with_llama, "tokenizers": with_tokenizers}


def serve(args):
    """The peer's half: does its work at each line of the input, and answers with the seconds."""
    once = PEERS[args.serve](args.work, args)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        once()
        print(f"{time.perf_counter() - start:.6f}", flush=True)


class Side:
    """A process that does a work when it is told to."""

    def __init__(self, command, work=""):
        self.work = work
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended with status {self.process.wait()}")
        return line

    def once(self):
        self.process.stdin.write(self.work + "\n")
        self.process.stdin.flush()
        return float(self.line())

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def compare(ours, theirs, rounds, limit):
    """Seconds of both, round by round, until the limit. The first round of each warms up."""
    times, start = [], time.monotonic()
    for round in range(-1, rounds):
        if times and time.monotonic() - start > limit:
            break
        pair = []
        for side in (ours, theirs) if round % 2 == 0 else (theirs, ours):
            time.sleep(0.1)  # until the other's threads have stopped spinning
            pair.append(side.once())
        if round >= 0:
            times.append(tuple(pair if round % 2 == 0 else reversed(pair)))
    return times


def prepare(args, folder, pairs):
    """Builds our half, and makes the files that both sides read."""
    root = os.path.dirname(HERE)
    for name in ("pass", "weights"):
        subprocess.run(["go", "build", "-o", os.path.join(folder, name), "./bench/" + name], check=True, cwd=root)
    for dtype in {p[2].split("-", 1)[1] for p in pairs if p[1] == "llama.cpp"}:
        subprocess.run([os.path.join(folder, "weights"), "-layers", str(args.layers), "-type", dtype, os.path.join(folder, dtype + ".gguf")], check=True)
    if any(p[1] == "tokenizers" for p in pairs):
        words(args, folder, root)


def words(args, folder, root):
    """A text of some megabytes, and a tokenizer of Mistral's kind: those given, or this module's text."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, trainers

    if args.text:
        with open(args.text, encoding="utf-8") as f:
            text = f.read()
    else:
        names = subprocess.run(["git", "ls-files", "*.go", "*.md"], capture_output=True, text=True, check=True, cwd=root).stdout.split()
        text = "".join(open(os.path.join(root, n), encoding="utf-8").read() for n in names)
        draw, lines, size = random.Random(1), text.splitlines(keepends=True), 0
        parts = []
        while size < 10_000_000:  # in another order each time, so that nothing long repeats
            draw.shuffle(lines)
            parts += lines
            size += len(text)
        text = "".join(parts)[:10_000_000]
    with open(os.path.join(folder, "text.txt"), "w", encoding="utf-8", newline="") as f:
        f.write(text)
    path = os.path.join(folder, "tokenizer.json")
    if args.tokenizer:
        with open(args.tokenizer, "rb") as source, open(path, "wb") as copy:
            copy.write(source.read())
        return
    t = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    # Trained by words, and used without them, as Mistral's is.
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator([text[:2_000_000]], trainers.BpeTrainer(vocab_size=16000, special_tokens=special, show_progress=False))
    t.pre_tokenizer = None
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(data, f)


def pictures(args):
    """Rows of JPEG and resizing from images.py."""
    spec = importlib.util.spec_from_file_location("images", os.path.join(HERE, "images.py"))
    images = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(images)
    data, to = images.photo(args.photo, (4000, 3000), 90), (980, 735)
    go, wanted = images.Go(data, to, False), images.pillow(data, to)[1]
    rows = []
    try:
        for threads, want in ((1, 1.0), (2, 1.8)):
            times = []
            for round in range(-1, args.rounds):
                theirs, ours = images.pillow(data, to)[0], go(threads)
                if ours[1] != wanted:
                    raise RuntimeError("the pixels are not Pillow's")
                if round >= 0:
                    times.append((ours[0][0] + ours[0][1], theirs[0] + theirs[1]))
            rows.append(row(f"jpeg4000x3000 + resize, {threads} threads", "Pillow", "the same", want, times))
    finally:
        go.close()
    return rows


def row(ours, peer, theirs, want, times):
    ratios = [b / a for a, b in times]
    return {
        "work": ours, "peer": peer, "peer_work": theirs, "wanted": want, "rounds": len(times),
        "seconds": statistics.median(a for a, _ in times), "peer_seconds": statistics.median(b for _, b in times),
        "ratio": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios),
    }


def table(rows):
    lines = ["| work | ours | peer | theirs | ratio | least–greatest | rounds | wanted |", "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        want = "" if r["wanted"] is None else f"{r['wanted']}"
        lines.append(
            f"| {r['work']} | {1e3 * r['seconds']:.4g} ms | {r['peer']}, {r['peer_work']} | {1e3 * r['peer_seconds']:.4g} ms | "
            f"**{r['ratio']:.2f}** | {r['least']:.2f}–{r['greatest']:.2f} | {r['rounds']} | {want} |"
        )
    return "\n".join(lines)


def versions(args):
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("torch", "transformers", "tokenizers", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    if args.llama_python:
        code = "from importlib.metadata import version; print(version('llama-cpp-python'))"
        out = subprocess.run([args.llama_python, "-c", code], capture_output=True, text=True)
        if out.returncode != 0:
            print(f"{args.llama_python} has no llama-cpp-python: its rows are left out", file=sys.stderr)
            args.llama_python = None
        else:
            found["llama-cpp-python"] = out.stdout.strip()
    return found


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--layers", type=int, default=2, help="of the decoder and of the tower, on both sides (default 2)")
    parse.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parse.add_argument("--limit", type=float, default=90, help="seconds after which a comparison begins no more rounds (default 90)")
    parse.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side (default: all)")
    parse.add_argument("--only", default="*", help="our works or PEER:WORK, with * and ?, separated by commas")
    parse.add_argument("--llama-python", metavar="PYTHON", help="a Python that has llama-cpp-python")
    parse.add_argument("--photo", help="a picture, for JPEG decoding and resizing beside Pillow; without it they are left out")
    parse.add_argument("--tokenizer", help="a tokenizer.json of Mistral's kind (default: one trained on this module's text)")
    parse.add_argument("--text", help="what is made tokens (default: 10 MB of this module's lines)")
    parse.add_argument("--json", help="write the rows to this file, too")
    parse.add_argument("--list", action="store_true", help="tell what would be compared")
    parse.add_argument("--serve", choices=list(PEERS), help=argparse.SUPPRESS)
    parse.add_argument("--work", help=argparse.SUPPRESS)
    parse.add_argument("--files", help=argparse.SUPPRESS)
    args = parse.parse_args()
    if args.serve:
        serve(args)
        return

    about = {"processor": processor(), "threads": args.threads, "layers": args.layers, "versions": versions(args)}
    only = args.only.split(",")
    pairs = [p for p in PAIRS if any(fnmatch.fnmatch(p[0], o) or fnmatch.fnmatch(f"{p[1]}:{p[2]}", o) for o in only)]
    pairs = [p for p in pairs if p[1] != "llama.cpp" or args.llama_python]
    if args.list:
        for p in pairs:
            print(f"{p[0]:20} {p[1]}:{p[2]}")
        return

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(args, folder, pairs)
        for ours_work, peer, theirs_work, want in pairs:
            print(f"{ours_work} and {peer}'s {theirs_work}", file=sys.stderr)
            command = [os.path.join(folder, "pass"), "-layers", str(args.layers)]
            threads = args.threads
            if ours_work == "tokenize":
                threads = 1
                command += ["-tokenizer", os.path.join(folder, "tokenizer.json"), "-text", os.path.join(folder, "text.txt")]
            command += ["-threads", str(threads)]
            python = args.llama_python if peer == "llama.cpp" else sys.executable
            serving = [python, os.path.abspath(__file__), "--serve", peer, "--work", theirs_work, "--files", folder]
            serving += ["--layers", str(args.layers), "--threads", str(threads)]
            sides = []
            try:
                sides.append(Side(command, ours_work))
                sides.append(Side(serving))
                sides[1].line()
                rows.append(row(ours_work, peer, theirs_work, want, compare(*sides, args.rounds, args.limit)))
                print(f"  {rows[-1]['ratio']:.2f} in {rows[-1]['rounds']} rounds", file=sys.stderr)
            except RuntimeError as problem:
                print(f"  left out: {problem}", file=sys.stderr)
            finally:
                for side in sides:
                    side.close()
    if args.photo and any(fnmatch.fnmatch("jpeg4000x3000", o) for o in only):
        rows += pictures(args)

    print(f"{about['processor']}, {args.threads} threads, {args.layers} layers, medians of as many rounds as are told; " + ", ".join(f"{n} {v}" for n, v in about["versions"].items()) + "\n")
    print(table(rows))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"about": about, "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
