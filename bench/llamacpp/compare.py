"""Loads the file of "idefics2 convert -text-only" with llama.cpp and compares it with idefics2.

    pip install llama-cpp-python
    idefics2 convert -text-only DIR text.gguf
    python bench/llamacpp/compare.py idefics2 DIR text.gguf

Compared are the ids of some texts, the logits of every position, and the greedy answer. llama.cpp
keeps keys and values in float16 by default and rounds activations to the type of a matrix, so
logits differ a little; this script asks for float32 unless -kv f16 is given.
"""

import argparse
import json
import subprocess
import sys
import tempfile

import numpy
from llama_cpp import Llama
from llama_cpp.llama_cpp import GGML_TYPE_F32

TEXTS = [
    "The harbour lies in the north, and ships come in at dawn.",
    "def main():\n    print('héllo — 12345')\n\n",
    "  two  spaces, 日本語, ½ and \U0001f600.",
    "User: What is written on the sign?",
]


def ours(binary, model, text):
    """Returns ids and logits [T, V] of a bare prompt."""
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as d:
        with open(d + "/request.json", "w") as f:
            json.dump({"prompt": text}, f)
        subprocess.run([binary, "trace", "-model", model, "-dtype", "f32", "-messages", d + "/request.json",
                        "-o", d + "/stages.safetensors"], check=True, stderr=subprocess.DEVNULL)
        ids = json.loads(subprocess.run([binary, "process", "-model", model, "-messages", d + "/request.json", "-json"],
                                        check=True, capture_output=True).stdout)["input_ids"]
        logits = load_file(d + "/stages.safetensors")["logits"]
        answer = json.loads(subprocess.run(
            [binary, "ask", "-model", model, "-dtype", "f32", "-messages", d + "/request.json", "-max-tokens", "24", "-ignore-eos", "-json"],
            check=True, capture_output=True).stdout)["output_ids"]
    return ids, logits.reshape(len(ids), -1), answer


def theirs(llama, ids, new):
    llama.reset()
    llama.eval(ids)
    logits = numpy.array(llama.scores[: len(ids)], dtype=numpy.float32)
    answer = []
    while len(answer) < new:
        answer.append(int(numpy.argmax(llama.scores[llama.n_tokens - 1])))
        llama.eval(answer[-1:])
    return logits, answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("model")
    parser.add_argument("gguf")
    parser.add_argument("-kv", choices=["f16", "f32"], default="f32")
    args = parser.parse_args()
    kv = {"type_k": GGML_TYPE_F32, "type_v": GGML_TYPE_F32} if args.kv == "f32" else {}
    llama = Llama(args.gguf, n_ctx=512, logits_all=True, verbose=False, **kv)
    failed = False
    for text in TEXTS:
        ids, logits, answer = ours(args.binary, args.model, text)
        their_ids = llama.tokenize(text.encode(), add_bos=True, special=True)
        their_logits, their_answer = theirs(llama, ids, len(answer))
        a, b = logits.astype(numpy.float64), their_logits[:, : logits.shape[1]].astype(numpy.float64)
        p = numpy.exp(a - a.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        q = numpy.exp(b - b.max(1, keepdims=True)); q /= q.sum(1, keepdims=True)
        kl = (p * (numpy.log(p) - numpy.log(q))).sum(1)
        same = sum(x == y for x, y in zip(answer, their_answer))
        # The logits that we drew from are at the last position; greedy ids may part at a near-tie.
        bad = ids != their_ids or kl.max() > 0.01
        failed = failed or bad
        print(json.dumps({
            "text": text, "ids": len(ids), "same_ids": ids == their_ids,
            "largest_logit": round(float(abs(a).max()), 3), "largest_difference": float(f"{abs(a - b).max():.3g}"),
            "kl_mean": float(f"{kl.mean():.3g}"), "kl_max": float(f"{kl.max():.3g}"),
            "same_argmax": float((a.argmax(1) == b.argmax(1)).mean()), "same_greedy": f"{same}/{len(answer)}",
        }))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
