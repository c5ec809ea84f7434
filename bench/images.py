#!/usr/bin/env python3
"""JPEG decoding and resizing: this module against Pillow, in one run.

    bench/images.py PHOTO [-rounds 15] [-quality 90] [-size 4000x3000] [-to 980x735] [-cold]

PHOTO is enlarged to the size, given some noise so that it has a camera's entropy, and
coded as 4:2:0. In each round Pillow decodes and resizes it once, then Go on one processor,
then on two. Both start from bytes in memory, and must end with the same pixels.

Printed are the best times, and medians of the ratios within rounds: what else the
machine does weighs on both sides alike. Processor time leaves out waiting for a core, so on a
busy machine it is the better measure of one thread.

Pillow takes fresh memory from the system for every picture and gives it back; Go keeps
and reuses it while it is busy. With -cold it gives it back too. Needs Python with Pillow and NumPy.
"""
import argparse, hashlib, io, os, statistics, subprocess, tempfile, time

import numpy
import PIL
from PIL import Image, features

HERE = os.path.dirname(os.path.abspath(__file__))


def size(text):
    return tuple(int(side) for side in text.split("x"))


def photo(path, wanted, quality):
    """A JPEG of the wanted size, and its bits a pixel."""
    picture = numpy.asarray(Image.open(path).convert("RGB").resize(wanted, Image.BICUBIC), numpy.float32)
    noise = numpy.random.default_rng(1).normal(0, 4, picture.shape[:2] + (1,))
    pixels = numpy.clip(picture + noise + 0.5, 0, 255).astype(numpy.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=2)
    return out.getvalue()


def pillow(data, to):
    """Seconds of decoding and resizing, processor seconds of both, hashes of both results."""
    start, busy = time.perf_counter(), time.process_time()
    picture = Image.open(io.BytesIO(data))
    picture.load()
    decoded, busy_decoded = time.perf_counter(), time.process_time()
    small = picture.resize(to, Image.BILINEAR)
    end, busy_end = time.perf_counter(), time.process_time()
    return [decoded - start, end - decoded, busy_decoded - busy, busy_end - busy_decoded], [
        hashlib.sha256(p.tobytes()).hexdigest() for p in (picture, small)
    ]


class Go:
    def __init__(self, data, to, cold):
        self.folder = tempfile.TemporaryDirectory()
        program, file = os.path.join(self.folder.name, "images"), os.path.join(self.folder.name, "photo.jpg")
        with open(file, "wb") as f:
            f.write(data)
        subprocess.run(["go", "build", "-o", program, "./bench/images"], check=True, cwd=os.path.dirname(HERE))
        self.process = subprocess.Popen(
            [program] + ["-cold"] * cold + [file, str(to[0]), str(to[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, threads):
        self.process.stdin.write(f"{threads}\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        return [float(w) for w in words[:4]], words[4:]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("photo")
    parse.add_argument("-rounds", type=int, default=15)
    parse.add_argument("-quality", type=int, default=90)
    parse.add_argument("-size", type=size, default=(4000, 3000))
    parse.add_argument("-to", type=size, default=(980, 735))
    parse.add_argument("-cold", action="store_true")
    args = parse.parse_args()

    data = photo(args.photo, args.size, args.quality)
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, {os.cpu_count()} processors")
    print(f"{args.size[0]}×{args.size[1]}, 4:2:0, quality {args.quality}, {8 * len(data) / args.size[0] / args.size[1]:.2f} bits a pixel, to {args.to[0]}×{args.to[1]} bilinear")
    go = Go(data, args.to, args.cold)
    names = ["Pillow", "Go, 1 thread", "Go, 2 threads"]
    times = {name: [] for name in names}
    want = pillow(data, args.to)[1]
    for round in range(-1, args.rounds):  # the first warms up
        for name, run in zip(names, (lambda: pillow(data, args.to), lambda: go(1), lambda: go(2))):
            took, hashes = run()
            if hashes != want:
                raise SystemExit(f"{name} makes other pixels")
            if round >= 0:
                times[name].append(took)
    go.close()

    columns = [("decode", lambda t: t[0]), ("resize", lambda t: t[1]), ("both", lambda t: t[0] + t[1])]
    columns += [("decode", lambda t: t[2]), ("resize", lambda t: t[3]), ("both", lambda t: t[2] + t[3])]
    print(f"\n{'':15}{'by the clock':^27}{'processor time':^27}")
    print(f"{'':15}" + "".join(f"{name:>9}" for name, _ in columns))
    for name in names:
        print(f"{name:15}" + "".join(f"{1e3 * min(map(f, times[name])):9.1f}" for _, f in columns) + "  best, ms")
    for name in names[1:]:
        pairs = list(zip(times["Pillow"], times[name]))
        print(f"{name:15}" + "".join(f"{statistics.median(f(p) / f(g) for p, g in pairs):8.2f}×" for _, f in columns) + "  Pillow's, median")
    print("\nThe pixels are Pillow's, in every run.")


if __name__ == "__main__":
    main()
