#!/usr/bin/env python3
"""Run a Linux program whose AVX-512 and AMX functions this machine cannot run.

    CGO_ENABLED=0 GOEXPERIMENT=norandomizedheapbase64 go test -c -o /tmp/kernel.test ./kernel
    IDEFICS2_EMULATED=avx512,amx emulate.py /tmp/kernel.test -test.short -test.run 'TestMatMul$'

The program runs natively, under ptrace. When a thread traps at an instruction that the processor
lacks, then

  - if it belongs to AMX, or is VPDPBUSD on vectors of 256 bits, that one instruction is done here, on
    tiles kept for the thread, as the Intel manual (253666, Instruction Set Reference) defines it;
  - else the rest of the assembly function, up to its RET, is done by the processor of Bochs
    (package bochscpu-python), on the program's own memory, and the bytes that changed are written
    back. That processor lacks the same instructions: in its copy of the program's code each begins with
    a byte that is no instruction, so that it stops there and they are done here.

So all of a test but the functions under test is native. Only x86-64 with AVX2 will do. Needs
bochscpu-python 0.4 and numpy, which nothing else in the repository does; not part of the tests.
The environment variable is one of package kernel's tests: it tells them what CPUID does not.

It shows what instructions compute, not how fast, nor what a processor makes of the permission and
the saving of tiles. Functions of AVX-512 cost some milliseconds each, the instructions done here a fraction
of one: choose tests with few. Go's heap must lie where STRETCHES says, hence
GOEXPERIMENT.
"""

import ctypes
import mmap
import os
import re
import signal
import struct
import sys
import time

import bochscpu
import bochscpu.memory
import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

TRACEME, CONT, GETREGS, SETREGS, SETOPTIONS, GETREGSET, SETREGSET = 0, 7, 12, 13, 0x4200, 0x4204, 0x4205
OPTIONS = 0x100000 | 8 | 4 | 2  # EXITKILL, TRACECLONE, TRACEVFORK, TRACEFORK
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs rflags rsp ss fs_base gs_base ds es fs gs".split()
GPRS = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split()
ORDER = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()  # by number

PAGE = 4096
counts = {}  # how often each kind of thing was emulated


def ptrace(request, pid, addr=None, data=None):
    if libc.ptrace(request, pid, addr, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def get_regs(tid):
    buf = (ctypes.c_ulong * len(NAMES))()
    ptrace(GETREGS, tid, None, ctypes.byref(buf))
    return dict(zip(NAMES, buf))


def set_regs(tid, regs):
    buf = (ctypes.c_ulong * len(NAMES))(*(regs[n] & (1 << 64) - 1 for n in NAMES))
    ptrace(SETREGS, tid, None, ctypes.byref(buf))


def get_state(tid):
    """The state that XSAVE knows, and its length."""
    buf = ctypes.create_string_buffer(8192)
    vec = Iovec(ctypes.addressof(buf), 8192)
    ptrace(GETREGSET, tid, ctypes.c_void_p(0x202), ctypes.byref(vec))
    return buf, vec


def get_ymm(tid):
    """The sixteen vectors of 256 bits, each as four words; and MXCSR."""
    buf, _ = get_state(tid)
    low = struct.unpack_from("<32Q", buf, 160)
    high = struct.unpack_from("<32Q", buf, 576)
    present, = struct.unpack_from("<Q", buf, 512)
    if not present & 2:
        low = (0,) * 32
    if not present & 4:
        high = (0,) * 32
    mxcsr, = struct.unpack_from("<I", buf, 24)
    return [[*low[2 * i:2 * i + 2], *high[2 * i:2 * i + 2]] for i in range(16)], mxcsr


def set_ymm(tid, i, words):
    """Writes one of them. Its halves must be present already, or all others be zeros."""
    buf, vec = get_state(tid)
    present, = struct.unpack_from("<Q", buf, 512)
    for bit, at, size in ((2, 160, 256), (4, 576, 256)):
        if not present & bit:
            ctypes.memset(ctypes.addressof(buf) + at, 0, size)
    struct.pack_into("<Q", buf, 512, present | 6)
    struct.pack_into("<2Q", buf, 160 + 16 * i, *words[:2])
    struct.pack_into("<2Q", buf, 576 + 16 * i, *words[2:])
    ptrace(SETREGSET, tid, ctypes.c_void_p(0x202), ctypes.byref(vec))


def operand(code, at, mod, rm, regs, b, x, scale):
    """The address of the operand whose ModRM byte precedes code[at], the bits that extend base and
    index, and how much one of a displacement of 8 bits is: base, distance, where the code goes on."""
    base, index, by = rm, None, 1
    if rm == 4:
        sib = code[at]
        at += 1
        base, index, by = sib & 7, (sib >> 3 & 7) + 8 * x, 1 << (sib >> 6)
        if index == 4:
            index = None
    if mod == 0 and base == 5:
        raise RuntimeError("an address without a base")
    disp = 0
    if mod == 1:
        disp, = struct.unpack_from("<b", code, at)
        disp *= scale
        at += 1
    elif mod == 2:
        disp, = struct.unpack_from("<i", code, at)
        at += 4
    return regs[ORDER[base + 8 * b]] + disp, 0 if index is None else regs[ORDER[index]] * by, at


def vpdpbusd(code, regs, vector, read):
    """Does VPDPBUSD, in VEX or EVEX without a mask, of 256 or 512 bits: the register that it writes, the
    sums, and the instruction's size; or None. Vectors are arrays of bytes."""
    if code[0] == 0xC4 and code[1] & 0x1F == 2 and code[2] & 0x87 == 5 and code[3] == 0x50:
        at, width, one = 4, 32, False
        reg, vvvv, b, x, high = 8 * (not code[1] & 0x80), ~code[2] >> 3 & 15, not code[1] & 0x20, not code[1] & 0x40, 0
    elif code[0] == 0x62 and code[1] & 0x0F == 2 and code[2] & 0x87 == 5 and code[3] & 0x87 == 0 and code[4] == 0x50:
        at, width, one = 5, {0x20: 32, 0x40: 64}[code[3] & 0x60], bool(code[3] & 0x10)
        reg, vvvv = 8 * (not code[1] & 0x80) + 16 * (not code[1] & 0x10), (~code[2] >> 3 & 15) + 16 * (not code[3] & 8)
        b, x = not code[1] & 0x20, not code[1] & 0x40
        high = 16 * x
    else:
        return None
    mod, rm = code[at] >> 6, code[at] & 7
    reg += code[at] >> 3 & 7
    at += 1
    if mod == 3:
        signed = vector(rm + 8 * b + high)[:width]
    else:
        base, distance, at = operand(code, at, mod, rm, regs, b, x, 1 if code[0] == 0xC4 else 4 if one else width)
        size = 4 if one else width
        signed = np.frombuffer(read(base + distance & (1 << 64) - 1, size) * (width // size), np.uint8)
    x = signed.view(np.int8).astype(np.int32).reshape(-1, 4)
    w = vector(vvvv)[:width].astype(np.int32).reshape(-1, 4)
    sums = vector(reg)[:width].view(np.int32) + (x * w).sum(axis=1, dtype=np.int32)
    return reg, sums.astype(np.int32).view(np.uint8), at


# What the processor of Bochs lacks: AMX, and VPDPBUSD in both encodings.
LACKING = re.compile(rb"\xc4[\x02-\xe2][\x00-\x7f][\x49\x4b\x5c\x5e\x50]|\x62[\x02-\xf2][\x05-\x7d][\x08-\x5f]\x50", re.S)


def lacking(code):
    """Where in code instructions begin that the processor of Bochs lacks."""
    for m in LACKING.finditer(code):
        c = m.group()
        if c[0] == 0xC4 and c[1] & 0x1F == 2 and c[2] & 0x80 == 0 and (c[3] != 0x50 or c[2] & 7 == 5) and (c[3] == 0x50 or c[2] & 4 == 0):
            yield m.start()
        if c[0] == 0x62 and c[1] & 0x0F == 2 and c[2] & 0x87 == 5 and c[3] & 0x87 == 0:
            yield m.start()


class Function:
    """Emulates the rest of a function, up to its RET, on one processor of Bochs."""

    # What the program uses of its addresses is three stretches, each mapped to one of the processor's.
    STRETCHES = ((0, 0), (0xC000000000, 64 << 30), (0x7FF000000000, 128 << 30))
    SIZE = 64 << 30
    TABLES = 200 << 30
    STOP = 0x10000  # an address that returns nowhere

    NOTHING = b"\x06"  # a byte that is no instruction

    def __init__(self, memory, code):
        self.memory = memory
        self.code = code  # where the program's instructions are
        self.stops = set()
        self.pool = mmap.mmap(-1, 64 << 20)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.pool))
        self.fixed = 0
        tables = {0: [0] * 512}
        for virtual, physical in self.STRETCHES:
            for gib in range(self.SIZE >> 30):
                at = virtual + (gib << 30)
                top, entry = at >> 39 & 511, at >> 30 & 511
                if not tables[0][top]:
                    tables[0][top] = self.TABLES + len(tables) * PAGE | 3
                    tables[self.TABLES + len(tables) * PAGE] = [0] * 512
                tables[tables[0][top] & ~3][entry] = physical + (gib << 30) | 0x83
        tables[self.TABLES] = tables.pop(0)
        for at, words in tables.items():
            bochscpu.memory.page_insert(at, self.fill(self.fixed, struct.pack("<512Q", *words)))
            self.fixed += 1
        # 0F 0B is UD2.
        bochscpu.memory.page_insert(self.STOP, self.fill(self.fixed, b"\x0f\x0b"))
        self.fixed += 1
        self.pages = {}  # physical address: (index in the pool, program's address, contents before)
        self.session = bochscpu.Session()
        self.session.missing_page_handler = self.missing
        self.hook = bochscpu.Hook()
        self.hook.exception = self.exception

    def fill(self, index, data):
        self.pool[index * PAGE:index * PAGE + len(data)] = data
        return self.base + index * PAGE

    def missing(self, physical):
        physical &= ~(PAGE - 1)
        for virtual, start in self.STRETCHES:
            if start <= physical < start + self.SIZE:
                at = physical - start + virtual
        try:
            data = os.pread(self.memory, PAGE, at)
        except OSError:
            self.fault = f"page {at:#x} cannot be read"
            data = b"\x0f\x0b" * (PAGE // 2)
            self.session.stop()
        if at in self.code:
            data = self.mark(at, data)
        index = self.fixed + len(self.pages)
        bochscpu.memory.page_insert(physical, self.fill(index, data))
        self.pages[physical] = index, at, data

    def mark(self, at, data):
        """Overwrites the beginning of instructions that the processor lacks."""
        marked = bytearray(data)
        for i in lacking(data + os.pread(self.memory, 16, at + PAGE)):
            if i < PAGE:
                marked[i:i + 1] = self.NOTHING
                self.stops.add(at + i)
        return bytes(marked)

    def exception(self, session, cpu, vector, error):
        rip = session.cpu.rip
        if vector == 6 and self.fault is None and {rip, rip - 1} & self.stops:
            self.unknown = ({rip - 1, rip} & self.stops).pop()
        elif rip not in (self.STOP, self.STOP + 2):
            self.fault = f"exception {vector}, error {error}, at {rip:#x}"
        session.stop()

    def run(self, regs, ymm, mxcsr, tiles):
        for physical in self.pages:
            bochscpu.memory.page_remove(physical)
        self.pages.clear()
        self.fault = None
        back, = struct.unpack("<Q", os.pread(self.memory, 8, regs["rsp"]))
        os.pwrite(self.memory, struct.pack("<Q", self.STOP), regs["rsp"])
        s = bochscpu.State()
        s.cr0, s.cr3, s.cr4, s.efer, s.xcr0 = 0x80050033, self.TABLES, 0x40620, 0xD01, 0xE7
        s.mxcsr, s.mxcsr_mask, s.rflags, s.rip = mxcsr, 0xFFFF, regs["rflags"] & 0xCD5 | 2, regs["rip"]
        for n in GPRS:
            setattr(s, n, regs[n])
        for names, selector, attributes in (("cs",), 0x10, 0xA09B), (("ds", "es", "ss", "fs", "gs"), 0x18, 0xC093):
            for n in names:
                seg = bochscpu.Segment()
                seg.selector, seg.attr, seg.present, seg.limit, seg.base = selector, attributes, True, 0xFFFFFFFF, 0
                setattr(s, n, seg)
        zmm = s.zmm
        for z, v in zip(zmm, ymm + [[0x7FC00000DEADBEEF] * 4] * 16):
            z.q = v + [0x7FC00000DEADBEEF] * 4  # what must not be read
        s.zmm = zmm
        self.session.cpu.state = s
        self.unknown = True
        while self.unknown:
            self.unknown = None
            self.session.run([self.hook])
            if self.unknown:
                self.lacked(self.unknown, tiles)
        cpu = self.session.cpu
        if self.fault is None and cpu.rip not in (self.STOP, self.STOP + 2):
            self.fault = f"stopped at {cpu.rip:#x}"
        for index, at, before in self.pages.values():
            after = self.pool[index * PAGE:(index + 1) * PAGE]
            if after != before:
                a, b = np.frombuffer(after, np.uint8), np.frombuffer(before, np.uint8)
                changed = np.flatnonzero(a != b)
                for part in np.split(changed, np.flatnonzero(np.diff(changed) > 1) + 1):
                    os.pwrite(self.memory, a[part[0]:part[-1] + 1].tobytes(), at + int(part[0]))
        os.pwrite(self.memory, struct.pack("<Q", back), regs["rsp"])
        for n in GPRS:
            regs[n] = getattr(cpu, n)
        regs["rip"] = back
        return self.fault

    def place(self, at):
        """Where in the pool an address of the program is."""
        for virtual, start in self.STRETCHES:
            if virtual <= at < virtual + self.SIZE:
                physical = at - virtual + start
        if physical & ~(PAGE - 1) not in self.pages:
            self.missing(physical)
        return self.pages[physical & ~(PAGE - 1)][0] * PAGE + physical % PAGE

    def pieces(self, at, size):
        while size > 0:
            n = min(size, PAGE - at % PAGE)
            yield self.place(at), n
            at, size = at + n, size - n

    def read(self, at, size):
        """Reads what the function sees: pages in the pool are newer than the program's."""
        return b"".join(self.pool[i:i + n] for i, n in self.pieces(at, size))

    def code_at(self, at):
        return os.pread(self.memory, 16, at)

    def write(self, at, data):
        for i, n in self.pieces(at, len(data)):
            self.pool[i:i + n], data = data[:n], data[n:]

    def lacked(self, at, tiles):
        """Does an instruction that the processor lacks."""
        cpu = self.session.cpu
        code = os.pread(self.memory, 16, at)
        regs = {n: getattr(cpu, n) for n in GPRS}
        regs["rip"] = at
        try:
            if tiles.step(regs, self):
                cpu.rip = regs["rip"]
                counts["AMX instructions"] = counts.get("AMX instructions", 0) + 1
                return
            s = cpu.state
            zmm = s.zmm
            done = vpdpbusd(code, regs, lambda i: np.array(zmm[i].q, np.uint64).view(np.uint8), self.read)
        except RuntimeError as e:
            done = None
            self.fault = str(e)
        if done is None:
            self.fault = self.fault or f"an unknown instruction at {at:#x}"
            return
        reg, sums, size = done
        zmm[reg].q = [int(q) for q in np.pad(sums, (0, 64 - len(sums))).view(np.uint64)]
        s.zmm, s.rip = zmm, at + size
        cpu.state = s
        counts["VPDPBUSD"] = counts.get("VPDPBUSD", 0) + 1


class Native:
    """The memory of the program while it runs natively."""

    def __init__(self, memory):
        self.memory = memory

    def read(self, at, size):
        return os.pread(self.memory, size, at)

    code_at = Function.code_at

    def write(self, at, data):
        os.pwrite(self.memory, data, at)


class Tiles:
    """The AMX state of one thread."""

    def __init__(self):
        self.config = None
        self.data = [None] * 8

    def shape(self, t):
        if self.config is None:
            raise RuntimeError("tiles are used without LDTILECFG")
        colsb, rows = struct.unpack_from("<H", self.config, 16 + 2 * t)[0], self.config[48 + t]
        if not 0 < rows <= 16 or not 0 < colsb <= 64 or colsb % 4:
            raise RuntimeError(f"tile {t} has {rows} rows of {colsb} bytes")
        return rows, colsb

    def step(self, regs, memory):
        """Does the instruction at rip; False if it is none of AMX."""
        code = memory.code_at(regs["rip"])
        if code[0] != 0xC4 or code[1] & 0x1F != 2 or code[3] not in (0x49, 0x4B, 0x5C, 0x5E):
            return False
        vvvv, pp, op, modrm = ~code[2] >> 3 & 15, code[2] & 3, code[3], code[4]
        if code[2] & 0x84:  # W and L are zero
            return False
        mod, reg, rm = modrm >> 6, modrm >> 3 & 7, modrm & 7
        size = 5
        if mod == 3:
            self.registers(op, pp, vvvv, reg, rm)
        else:
            at, stride, size = operand(code, size, mod, rm, regs, not code[1] & 0x20, not code[1] & 0x40, 1)
            if stride >> 63:
                stride -= 1 << 64
            self.transfer(op, pp, reg, at, stride, memory)
        regs["rip"] += size
        return True

    def transfer(self, op, pp, t, at, stride, memory):
        if op == 0x49 and pp == 0:  # LDTILECFG
            self.config = memory.read(at, 64)
            if self.config[0] != 1 or self.config[1] or any(self.config[2:16]) or any(self.config[32:48]) or any(self.config[56:]):
                raise RuntimeError("LDTILECFG: reserved bytes or palette")
            for i in range(8):
                if self.config[16 + 2 * i] or self.config[48 + i]:  # else it is not to be used
                    self.shape(i)
                self.data[i] = np.zeros((16, 64), np.uint8)
        elif op == 0x4B and pp in (3, 1):  # TILELOADD, TILELOADDT1
            rows, colsb = self.shape(t)
            self.data[t] = np.zeros((16, 64), np.uint8)
            for r in range(rows):
                self.data[t][r, :colsb] = np.frombuffer(memory.read(at + r * stride, colsb), np.uint8)
        elif op == 0x4B and pp == 2:  # TILESTORED
            rows, colsb = self.shape(t)
            for r in range(rows):
                memory.write(at + r * stride, self.data[t][r, :colsb].tobytes())
        else:
            raise RuntimeError(f"AMX opcode {op:#x}, prefix {pp}, with memory")

    def registers(self, op, pp, vvvv, reg, rm):
        if op == 0x49 and pp == 0:  # TILERELEASE
            self.config, self.data = None, [None] * 8
        elif op == 0x49 and pp == 3:  # TILEZERO
            self.shape(reg)
            self.data[reg] = np.zeros((16, 64), np.uint8)
        elif op == 0x5C and pp == 2:
            self.bf16(reg, rm, vvvv)
        elif op == 0x5E:
            self.int8(reg, rm, vvvv, pp)
        else:
            raise RuntimeError(f"AMX opcode {op:#x}, prefix {pp}")

    def product(self, dst, a, b):
        rows, n = self.shape(dst)
        arows, k = self.shape(a)
        brows, bn = self.shape(b)
        if len({dst, a, b}) < 3 or arows != rows or bn != n or brows * 4 != k:
            raise RuntimeError(f"tiles {dst}, {a}, {b} do not fit one another")
        return rows, n // 4, k // 4

    def bf16(self, dst, a, b):
        """TDPBF16PS: for each pair of k, the second product by a fused addition, then the first."""
        rows, n, k = self.product(dst, a, b)

        def widen(t):
            bits = t.view(np.uint16).astype(np.uint32) << 16
            bits[(bits & 0x7F800000) == 0] &= 0x80000000  # denormals are zeros
            return bits.view(np.float32).astype(np.float64)

        x, w = widen(self.data[a]), widen(self.data[b])
        c = self.data[dst].view(np.float32).copy()
        with np.errstate(all="ignore"):
            for m in range(rows):
                even = np.zeros(16, np.float32)
                odd = np.zeros(16, np.float32)
                for i in range(k):
                    # A product of two bf16 is exact in float64, and so nearly is its sum with a float32.
                    even = (even.astype(np.float64) + x[m, 2 * i] * w[i, 0::2]).astype(np.float32)
                    odd = (odd.astype(np.float64) + x[m, 2 * i + 1] * w[i, 1::2]).astype(np.float32)
                c[m, :n] += (even + odd)[:n]
        self.data[dst] = c.view(np.uint8)

    def int8(self, dst, a, b, pp):
        rows, n, k = self.product(dst, a, b)
        ta, tb = {0: (np.uint8, np.uint8), 1: (np.uint8, np.int8), 2: (np.int8, np.uint8), 3: (np.int8, np.int8)}[pp]
        x = self.data[a].view(ta).astype(np.int64)[:rows, :4 * k]
        w = self.data[b].view(tb).astype(np.int64)[:k].reshape(k, 16, 4).transpose(0, 2, 1).reshape(4 * k, 16)
        c = self.data[dst].view(np.int32).astype(np.int64)
        c[:rows, :n] += (x @ w)[:, :n]
        self.data[dst] = c.astype(np.int32).view(np.uint8)


def text(pid, program):
    """The addresses of the program's instructions."""
    name = os.path.realpath(program)
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            addresses, mode, *rest = line.split()
            if "x" in mode and rest[-1] == name:
                start, end = (int(a, 16) for a in addresses.split("-"))
                return range(start, end)
    sys.exit(f"emulate: no code of {name} is mapped")


def one(tid, regs, native):
    """Does VPDPBUSD of a native function; False if it is another instruction."""
    ymm, _ = get_ymm(tid)
    code = native.code_at(regs["rip"])
    if code[0] == 0x62 and (code[1] & 0x10 == 0 or code[3] & 0x48 != 8):
        return False  # sixteen registers of 256 bits are those that exist
    done = vpdpbusd(code, regs, lambda i: np.array(ymm[i], np.uint64).view(np.uint8), native.read)
    if done is None:
        return False
    reg, sums, size = done
    set_ymm(tid, reg, [int(q) for q in sums.view(np.uint64)])
    regs["rip"] += size
    return True


def main(argv):
    if not argv:
        sys.exit(__doc__)
    pid = os.fork()
    if pid == 0:
        libc.personality(0x0040000)  # addresses as Function.STRETCHES wants them
        ptrace(TRACEME, 0)
        os.execv(argv[0], argv)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, None, ctypes.c_void_p(OPTIONS))
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    native, function, tiles = Native(memory), Function(memory, text(pid, argv[0])), {}
    ptrace(CONT, pid)
    start, code, threads = time.time(), None, {pid}
    while code is None:
        tid, status = os.waitpid(-1, 0x40000000)  # __WALL
        threads.add(tid)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if tid == pid:
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            continue
        sig = os.WSTOPSIG(status)
        if status >> 16 or sig == signal.SIGSTOP:  # an event, or a thread's beginning
            sig = 0
        if sig == signal.SIGTRAP:
            sig = 0
        if sig == signal.SIGILL:
            regs = get_regs(tid)
            at = regs["rip"]
            kind = "AMX instructions"
            try:
                own = tiles.setdefault(tid, Tiles())
                if own.step(regs, native):
                    pass
                elif one(tid, regs, native):
                    kind = "VPDPBUSD"
                else:
                    kind, fault = "functions", function.run(regs, *get_ymm(tid), own)
                    if fault:
                        raise RuntimeError(fault)
                counts[kind] = counts.get(kind, 0) + 1
                set_regs(tid, regs)
                sig = 0
            except RuntimeError as e:
                print(f"emulate: in the function of {at:#x}: {e}", file=sys.stderr)
        try:
            ptrace(CONT, tid, None, ctypes.c_void_p(sig))
        except OSError:
            pass  # it has just gone
    print(f"emulate: exit {code} after {time.time() - start:.1f} s;", ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "nothing", "emulated", file=sys.stderr)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)


main(sys.argv[1:])
