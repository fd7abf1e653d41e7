#!/usr/bin/env python3
"""Golden values of the sequence model, computed by PyTorch in float64 from the equations of
trainer/model/vae_sequence.h, head.h, memory.h, gru.h and model.h: plain and dense, a sequence at a time, a
frame at a time. Run: `make golden`.

Writes sequence*.json beside this file; tests/golden/test_golden_sequence.c reads them. What is stored, and
how the two sides draw the same weights, bits and noise: make_golden.py.
"""

import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from make_golden import DECODE, INIT, NOISE, float32, normal, train, uniform, write

HERE = pathlib.Path(__file__).parent
INPUT_DROPOUT, DROPOUT, LAG_DROPOUT, MEMORY_DROPOUT = 8, 9, 11, 12  # rng_purpose_t
REACH, BELOW, CLASSES, PROFILE_SCALE, PHASES = 13, 24, 12, 3, 16
PLAYED_CLASSES, FEATURES = 37, 56  # of trainer/model/performance.h
WINDOWS = [(0, 0), (2, 2), (8, 8), (32, 0), (0, 32), (32, 32)]  # of trainer/model/recall.c


REPEAT = 3  # as in tests/helpers/sequences.h
METERS = [(0, 3), (6, 2)]  # frame, frames a bar: as in tests/helpers/sequences.h
SONG = 19  # frames, likewise
BARS = 16  # of a song that are told apart: PLACE_BARS in trainer/model/place.h


def context_of(shape):
    return max(shape["lags"] + shape["profiles"] + [lag * shape["bar"] for lag in shape["bar_lags"]])


def bar_lines(end):
    """Frames at which bars begin, one after `end` included."""
    lines, frame = [], 0
    while not lines or lines[-1] <= end:
        lines.append(frame)
        frame += [length for first, length in METERS if first <= frame][-1]
    return lines


def place(shape, frame):
    """Rows of the table of places, and frames back at each lag in bars, None where there is none."""
    lines = bar_lines(frame)
    bar = max(i for i, line in enumerate(lines) if line <= frame)
    since, left = frame - lines[bar], lines[bar + 1] - frame
    length = lines[bar + 1] - lines[bar]
    before, after = math.ceil(lines[bar] / length), math.ceil(max(SONG - lines[bar + 1], 0) / length)
    rows = [
        min(since, shape["bar"] - 1),
        shape["bar"] + min(left, shape["bar"]) - 1,
        2 * shape["bar"] + min(before, BARS - 1),
        2 * shape["bar"] + BARS + min(after, BARS - 1),
    ]
    back = []
    for lag in shape["bar_lags"]:
        there = bar >= lag and lines[bar - lag] + since < lines[bar - lag + 1]
        distance = frame - lines[bar - lag] - since if there else 0
        back.append(distance if 0 < distance <= context_of(shape) else None)
    return rows, back


def has_profile(shape, group):
    """Sound of pitched tracks, where there are profiles."""
    return shape["profiles"] and group // shape["planes"] >= shape["drums"] and group % shape["planes"] == 0


def has_note(shape, group):
    """Sound, where there are GRUs along pitches."""
    return shape["note"] and group % shape["planes"] == 0


def memory_inputs(shape, k):
    """Rows of W of the memory of the k-th track drawn."""
    if k < shape["drums"]:
        return 2 * shape["planes"] * shape["tied_pitches"]
    pitched = shape["tracks"] - shape["drums"]
    return (shape["planes"] + pitched - 1) * (2 * REACH + 1) + CLASSES


def columns(shape):
    """Columns of what the head reads: cells, c, tied units of each group."""
    return shape["cells"] + shape["nade"] + shape["tracks"] * shape["planes"] * shape["tied"]


def table(shape):
    """(name, rows, columns, bound, deviation) of every parameter."""
    cells, latent, state, encoder, sketch, units = (
        shape[name] for name in ("cells", "latent", "state", "encoder", "sketch", "tied")
    )
    memory, note, pitches = shape["memory"], shape["note"], shape["tied_pitches"]
    uniform_in = lambda inputs: (1 / math.sqrt(inputs), 0)

    def linear(name, inputs, outputs):
        yield f"{name}.weight", inputs, outputs, *uniform_in(inputs)
        yield f"{name}.bias", 1, outputs, *uniform_in(inputs)

    def gru(input_name, name, inputs, size):
        yield f"{input_name}.weight", inputs, 3 * size, *uniform_in(size)
        yield f"{input_name}.bias", 1, 3 * size, *uniform_in(size)
        yield f"{name}.weight", size, 3 * size, *uniform_in(size)
        yield f"{name}.bias", 1, size, *uniform_in(size)

    if latent:
        for direction in "forward", "backward":
            yield from gru(f"encoder.{direction}.input", f"encoder.{direction}", cells, encoder)
        for name, inputs, outputs in (
            ("posterior", 2 * encoder, 2 * latent),
            ("prior", state, 2 * latent),
            ("sketch", latent, shape["segment"] * sketch),
        ):
            yield from linear(f"{name}.0", inputs, shape[f"{name}_hidden"])
            yield from linear(f"{name}.1", shape[f"{name}_hidden"], outputs)
        yield from linear("auxiliary", sketch, cells)
        yield "decoder.sketch.weight", sketch, 3 * state, *uniform_in(state)
    yield from gru("decoder.input", "decoder", cells, state)
    yield "decoder.phase.weight", shape["segment"], 3 * state, *uniform_in(state)
    if shape["bar"]:
        yield "decoder.bar.weight", 2 * (shape["bar"] + BARS), 3 * state, 0, 0
    yield "decoder.start.state", 1, state, 0, 0
    yield from linear("head.output", state + (sketch if latent else 0), columns(shape))
    yield "head.nade.weight", cells, shape["nade"], 0, 0.05
    yield "head.nade.output", cells, shape["nade"], 0, 0.05
    yield "head.tied.pitch", cells, units, 0, 0.05
    for group in range(shape["tracks"] * shape["planes"]):
        lags = len(shape["lags"]) + len(shape["bar_lags"])
        features = lags * (2 * REACH + 1) + BELOW + group * (2 * REACH + 1)
        yield f"head.tied.{group}.weight", features, units, *uniform_in(features)
        if has_profile(shape, group):
            classes = len(shape["profiles"]) * CLASSES
            yield f"head.tied.{group}.profile", classes, units, *uniform_in(features + classes)
        if memory:
            yield f"head.tied.{group}.memory", memory, units, *uniform_in(memory)
        if has_note(shape, group):
            yield from gru(f"head.note.{group}.input", f"head.note.{group}", units, note)
            yield f"head.note.{group}.pitch", pitches, 3 * note, 0, 0
            yield f"head.note.{group}.start", 1, note, 0, 0
            yield f"head.note.{group}.output", 1, note, 0.5 / math.sqrt(note), 0
        half = 0.5 if has_note(shape, group) else 1
        yield f"head.tied.{group}.output", 1, units, half / math.sqrt(units), 0
    for k in range(shape["tracks"] if memory else 0):
        yield from gru(f"memory.{k}.input", f"memory.{k}", memory_inputs(shape, k), memory)
        yield f"memory.{k}.pitch", pitches, 3 * memory, 0, 0
        yield f"memory.{k}.phase", PHASES, 3 * memory, 0, 0
        if shape["bar"]:
            yield f"memory.{k}.bar", 2 * (shape["bar"] + BARS), 3 * memory, 0, 0
        yield f"memory.{k}.start", 1, memory, 0, 0
    for k in range(shape["tracks"] if shape["performance"] else 0):
        yield from linear(f"performance.{k}.hidden", units + FEATURES, shape["performance"])
        yield from linear(f"performance.{k}.velocity", shape["performance"], PLAYED_CLASSES)
        yield from linear(f"performance.{k}.offset", shape["performance"], PLAYED_CLASSES)


def initial(shape):
    """Every parameter at its start."""
    log_odds = -2 + 0.25 * (3 * np.arange(shape["cells"]) % 8)
    weights = {}
    for index, (name, rows, cols, bound, deviation) in enumerate(table(shape)):
        if bound:
            values = float32(-bound + 2 * bound * uniform(INIT, 0, index, rows * cols))
        else:
            values = float32(float32(normal(INIT, 0, index, rows * cols)) * float32(deviation))
        weights[name] = values.reshape(rows, cols)
    if shape["latent"]:
        spread = np.s_[:, shape["latent"] :]
        weights["posterior.1.weight"][spread] = float32(weights["posterior.1.weight"][spread] * float32(0.3))
        weights["posterior.1.bias"][spread] = -3
        weights["prior.1.weight"] = float32(weights["prior.1.weight"] * float32(0.1))
        weights["prior.1.bias"][:] = 0
        weights["auxiliary.bias"][0] = log_odds
    weights["head.output.bias"][0, : shape["cells"]] = log_odds
    for name in weights:  # gates keep more than they let in
        if name.startswith(("memory.", "head.note.")) and name.endswith(".input.bias"):
            units = weights[name].shape[1] // 3
            weights[name][:, units : 2 * units] = float32(weights[name][:, units : 2 * units] + float32(1))
    return {name: torch.from_numpy(values.copy()).requires_grad_() for name, values in weights.items()}


def draw(shape, case, step):
    """A batch: per sequence its frames [context + valid, tracks, planes, pitches], noise [segments, latent],
    which inputs, segments' pasts, units of the state and of memories are kept."""
    sequences, context = [], context_of(shape)
    for b, valid in enumerate(shape["valid"]):
        size = (context + valid, shape["tracks"], shape["planes"], shape["pitches"])
        x = (uniform(DECODE, step, b, math.prod(size)) < shape["density"]).reshape(size)
        if b % 2 == 0:  # begins its song
            x[:context] = False
        before = context if b % 2 else 0
        for t in range(context - before + REPEAT, context + valid if shape["performance"] else 0):
            if (t - context) % REPEAT:  # players recall what comes back
                x[t] = x[t - REPEAT]
        for t in range(context + valid):
            if shape["planes"] == 2:  # an onset needs its sound, sound after silence begins with one
                x[t, :, 1] = x[t, :, 0] & (x[t, :, 1] | ~x[t - 1, :, 0] if t else True)
        segments = -(-valid // shape["segment"])
        eps = float32(normal(NOISE, step, b, segments * shape["latent"])).reshape(segments, shape["latent"])
        keep_input = uniform(INPUT_DROPOUT, step, b, valid) < case["keep_input"]
        keep_past = uniform(LAG_DROPOUT, step, b, segments) < case["keep_past"]
        keep_state = (uniform(DROPOUT, step, b, valid * shape["state"]) < case["keep_state"]).reshape(
            valid, shape["state"]
        )
        units = shape["tracks"] * (shape["memory"] + shape["note"])
        keep_memory = uniform(MEMORY_DROPOUT, step, b, valid * units) < case["keep_memory"]
        sequences.append(
            [
                torch.from_numpy(np.asarray(a, dtype=np.float64))
                for a in (x, eps, keep_input, keep_past, keep_state, keep_memory.reshape(valid, units))
            ]
        )
    return sequences


def gru_step(w, input_names, name, x, h):
    """PyTorch's own cell; its recurrent bias is zero but for n."""
    W = torch.cat([w[f"{n}.weight"] for n in input_names])
    inner = torch.cat([torch.zeros(2 * h.shape[1], dtype=h.dtype), w[f"{name}.bias"][0]])
    return torch.gru_cell(x, h, W.T, w[f"{name}.weight"].T, w[f"{input_names[0]}.bias"][0], inner)


def mlp(w, name, x):
    hidden = torch.tanh(x @ w[f"{name}.0.weight"] + w[f"{name}.0.bias"])
    return hidden @ w[f"{name}.1.weight"] + w[f"{name}.1.bias"]


def moments(w, name, x):
    mu, logvar = mlp(w, name, x).chunk(2, dim=1)
    return mu, logvar.clamp(-8, 4)


def encode(w, shape, frames):
    """frames [at most segment, cells] to mu, logvar [1, latent]; the last segment is padded with silence."""
    frames = F.pad(frames, (0, 0, 0, shape["segment"] - len(frames)))
    ends = []
    for direction, ordered in (("forward", frames), ("backward", frames.flip(0))):
        h = torch.zeros(1, shape["encoder"], dtype=frames.dtype)
        for x in ordered:
            h = gru_step(w, [f"encoder.{direction}.input"], f"encoder.{direction}", x[None], h)
        ends.append(h)
    return moments(w, "posterior", torch.cat(ends, dim=1))


def window(row, below, above):
    """row [pitches] to [pitches, below + above + 1]: around each pitch; silence past the edges."""
    return F.pad(row, (below, above)).unfold(0, below + above + 1, 1)


def profiles(shape, x, t):
    """[pitches, CLASSES * profiles]: for each pitch the shares of its own pitch class and those above it in
    what sounded before."""
    pitched, rows = shape["order"][shape["drums"] :], []
    for frames in shape["profiles"]:
        keys = x[t - frames : t, pitched, 0].amax(dim=1).sum(dim=0)
        share = torch.stack([keys[c::CLASSES].sum() for c in range(CLASSES)])
        share = (
            PROFILE_SCALE * (share / share.sum() - 1 / CLASSES) if share.sum() else torch.zeros_like(share)
        )
        rows.append(torch.stack([share.roll(-(p % CLASSES)) for p in range(shape["pitches"])]))
    return torch.cat(rows, dim=1)


def tied(shape):
    """The pitches that have a memory."""
    return slice(shape["tied_first"], shape["tied_first"] + shape["tied_pitches"])


def plain_gru(w, name, x, h):
    """A step from inputs that have been multiplied by their weights."""
    inner = torch.cat([torch.zeros(2 * h.shape[1], dtype=h.dtype), w[f"{name}.bias"][0]])
    one = torch.eye(x.shape[1], dtype=x.dtype)
    return torch.gru_cell(x, h, one, w[f"{name}.weight"].T, w[f"{name}.input.bias"][0], inner)


def memory_features(shape, k, before):
    """[tied pitches, memory_inputs()] of the k-th track drawn, given the frame before."""
    track, drums = shape["order"][k], shape["drums"]
    if k < drums:
        keys = before[track, :, tied(shape)]
        planes = [torch.cat([torch.diag(row), row.expand(len(row), -1)], dim=1) for row in keys]
        return torch.cat(planes, dim=1)
    sources = list(before[track]) + [before[j, 0] for j in shape["order"][drums:] if j != track]
    windows = [window(row, REACH, REACH).flip(1)[tied(shape)] for row in sources]
    notes = before[shape["order"][drums:], 0].sum(dim=0)
    counts = torch.stack([notes[c::CLASSES].sum() for c in range(CLASSES)])
    classes = torch.stack([counts.roll(-(p % CLASSES)) for p in range(shape["pitches"])])[tied(shape)]
    return torch.cat(windows + [classes], dim=1)


def remember(w, shape, before, t, rows, states):
    """The memories' next states."""
    return [
        plain_gru(
            w,
            f"memory.{k}",
            memory_features(shape, k, before) @ w[f"memory.{k}.input.weight"]
            + w[f"memory.{k}.pitch"]
            + w[f"memory.{k}.phase"][t % PHASES]
            + (w[f"memory.{k}.bar"][rows].sum(dim=0) if shape["bar"] else 0),
            s,
        )
        for k, s in enumerate(states)
    ]


def along_pitches(w, group, hidden, keep):
    """What the GRU along pitches adds to the logits of the pitches that have one."""
    name, logits = f"head.note.{group}", []
    m = w[f"{name}.start"]
    for y, own in zip(hidden @ w[f"{name}.input.weight"], w[f"{name}.pitch"]):
        m = plain_gru(w, name, (y + own)[None], m)
        logits.append((m[0] * keep) @ w[f"{name}.output"][0])
    return torch.stack(logits)


def frame_nll(w, shape, x, t, back, keep_past, states, keep_memory, pre):
    """Nats of frame x[t], one cell after the other, given pre [columns] and, where they are kept, the frames
    before and the memories; and the units of the sounding cells of each track, [pitches, tied]."""
    P, A, Q, cells = shape["pitches"], shape["nade"], shape["tied"], shape["cells"]
    b, a, shared = pre[:cells], pre[cells : cells + A], pre[cells + A :].reshape(-1, Q)
    M, N, tracks = shape["memory"], shape["note"], shape["tracks"]
    keep_s = keep_memory[: tracks * M].reshape(tracks, M)
    keep_m = keep_memory[tracks * M :].reshape(tracks, N)
    V, W, own = w["head.nade.output"], w["head.nade.weight"], w["head.tied.pitch"]
    groups = [(track, plane) for track in shape["order"] for plane in range(shape["planes"])]
    nll, earlier, units = 0, [], {}
    for g, (track, plane) in enumerate(groups):
        now = x[t, track, plane]
        past = [x[t - lag, track, plane] if lag else torch.zeros_like(now) for lag in shape["lags"] + back]
        features = [window(row * keep_past, REACH, REACH) for row in past]
        features.append(window(now, BELOW, 0)[:, :BELOW])
        features = torch.cat(features + [window(row, REACH, REACH) for row in earlier], dim=1)
        first = (track * shape["planes"] + plane) * P
        from_past = profiles(shape, x, t) @ w[f"head.tied.{g}.profile"] if has_profile(shape, g) else 0
        k = g // shape["planes"]
        u = features @ w[f"head.tied.{g}.weight"] + from_past + shared[g] + own[first : first + P]
        if M:
            from_memory = keep_past * (states[k] * keep_s[k]) @ w[f"head.tied.{g}.memory"]
            u = u + F.pad(from_memory, (0, 0, tied(shape).start, P - tied(shape).stop))
        hidden = torch.relu(u)
        if plane == 0:
            units[track] = hidden
        from_tied = (hidden * w[f"head.tied.{g}.output"]).sum(dim=1)
        if has_note(shape, g):
            added = along_pitches(w, g, hidden[tied(shape)], keep_m[k])
            from_tied = from_tied + F.pad(added, (tied(shape).start, P - tied(shape).stop))
        for p in range(P):
            i = first + p
            certain = plane == 1 and (x[t, track, 0, p] == 0 or x[t - 1, track, 0, p] == 0)
            if not certain:
                nll = nll + F.binary_cross_entropy_with_logits(
                    b[i] + V[i] @ torch.sigmoid(a) + from_tied[p], now[p]
                )
            a = a + now[p] * W[i]
        earlier.append(now)
    return nll, units


class Past:
    """How a piece was played so far: trainer/model/performance_past.h."""

    def __init__(self, song):
        self.song, self.played, self.size = song, {}, {}
        self.last, self.quick, self.slow, self.at, self.keys = {}, {}, {}, {}, {}
        self.newest, self.newest_t, self.all = None, None, np.zeros(2)
        self.level, self.heard, self.lag = {}, {}, 0j

    def distances(self, track, velocity, offset):
        """From the onset's reference."""
        level = math.floor(self.level[track] + 0.500001) if track in self.level else 80
        lag = math.floor(math.atan2(self.lag.imag, self.lag.real) * 128 / math.pi + 0.500001)
        return velocity - level, (offset - lag + 128) % 256 - 128

    def recalled(self, track, t, below):
        """The onset's distances at the places where the track's music was the same, and 1."""
        keys = [tuple(frame[track, 1].nonzero().flatten().tolist()) for frame in self.song]
        for before, after in WINDOWS:
            for s in range(t - 1, -1, -1):
                within = [i for i in range(-before, after + 1) if s + i >= 0 and t + i < len(keys)]
                if all(keys[s + i] == keys[t + i] for i in within):
                    yield [*np.array(self.distances(track, *self.played[track, s, below])) / 16, 1]
                    break
            else:
                yield [0, 0, 0]

    def features(self, track, pitch, t, above, below):
        none = np.zeros(2)
        newest = self.newest if self.newest is not None and self.newest_t == t else None
        key = self.keys.get((track, pitch))
        since = math.log2(1 + t - self.at[track]) / 4 if track in self.at else 0
        return np.concatenate(
            [
                self.last.get(track, none),
                self.quick.get(track, none),
                self.slow.get(track, none),
                [0, 0, 0] if newest is None else [*newest, 1],
                self.all,
                [0, 0, 0] if key is None else [*key, 1],
                *self.recalled(track, t, below),
                self.size.get(track, none),
                [(self.level[track] - 64) / 32 if track in self.level else 0],
                [track in self.at, since, above / 4, below / 4, above == 0],
                np.arange(PHASES) == t % PHASES,
            ]
        ).astype(float)

    def take(self, track, pitch, t, below, velocity, offset):
        now = np.array(self.distances(track, velocity, offset)) / 16
        mean = lambda old, rate: now if old is None else old + rate * (now - old)
        size = self.size.get(track)
        self.size[track] = abs(now) if size is None else size + 1 / 32 * (abs(now) - size)
        self.played[track, t, below] = velocity, offset
        self.quick[track] = mean(self.quick.get(track), 1 / 8)
        self.slow[track] = mean(self.slow.get(track), 1 / 64)
        self.all = mean(self.all if self.newest is not None else None, 1 / 16)
        self.last[track] = self.keys[track, pitch] = self.newest = now
        self.at[track] = self.newest_t = t
        self.heard[track] = self.heard.get(track, 0) + 1
        total, level = sum(self.heard.values()), self.level.get(track, 0)
        self.level[track] = level + max(1 / 256, 1 / self.heard[track]) * (velocity - level)
        turn = complex(math.cos(offset * math.pi / 128), math.sin(offset * math.pi / 128))
        self.lag = self.lag + max(1 / 32, 1 / total) * (turn - self.lag)


def played_class(distance):
    """The nearer to the reference, the finer."""
    far = abs(distance)
    number = (far + 2) // 4 if far < 42 else 11 + (far - 42) // 8 if far < 82 else 16 + (far - 82) // 16
    return PLAYED_CLASSES // 2 + (number if distance >= 0 else -number)


def played(number, b, step):
    """Velocity and offset of an onset of sequence b."""
    hashed = ((number + 1000 * b + 100000 * step + 1) * 2654435761 % 2**64) >> 9
    offset = hashed >> 8 & 255
    return 1 + hashed % 127, offset - 256 * (offset > 127)


def hear(shape, past, b, step):
    """How a song was played before sequence b, which begins in it; returns how many onsets that were."""
    number = 0
    for t, frame in enumerate(past.song[: context_of(shape)] if b % 2 else []):
        for track in range(shape["tracks"]):
            for below, pitch in enumerate(frame[track, 1].nonzero().flatten().tolist()):
                past.take(track, pitch, t, below, *played(number, b, step))
                number += 1
    return number


def performance_nll(w, shape, frame, t, units, past, number, b, step):
    """Nats of how the onsets of a frame were played; no gradient goes to the units."""
    nll = 0
    for track in range(shape["tracks"]):
        keys = frame[track, 1].nonzero().flatten().tolist()
        name = f"performance.{shape['order'].index(track)}"
        for below, pitch in enumerate(keys):
            velocity, offset = played(number, b, step)
            features = past.features(track, pitch, t, len(keys) - 1 - below, below)
            x = torch.cat([units[track][pitch].detach(), torch.from_numpy(features)])
            layer = lambda part, x: x @ w[f"{name}.{part}.weight"] + w[f"{name}.{part}.bias"][0]
            hidden = torch.tanh(layer("hidden", x))
            for part, distance in zip(("velocity", "offset"), past.distances(track, velocity, offset)):
                nll = nll - F.log_softmax(layer(part, hidden), 0)[played_class(distance)]
            past.take(track, pitch, t, below, velocity, offset)
            number += 1
    return nll, number


def sequence_loss(w, shape, case, sequence, b, step):
    """Of sequence b: nll, kl, segments, auxiliary loss, that of how it was played."""
    performance = torch.zeros((), dtype=sequence[0].dtype)
    x, eps, keep_input, keep_past, keep_state, keep_memory = sequence
    context, S, latent = context_of(shape), shape["segment"], shape["latent"]
    valid, frames = len(x) - context, x.reshape(len(x), -1)
    before = context if b % 2 else 0  # frames of its song
    past = Past(x[context - before :])
    number = hear(shape, past, b, step) if shape["performance"] else 0
    h = w["decoder.start.state"]
    states = [
        w[f"memory.{k}.start"].expand(shape["tied_pitches"], -1)
        for k in range(shape["tracks"] if shape["memory"] else 0)
    ]
    nll = kl = auxiliary = torch.zeros((), dtype=x.dtype)
    inputs = ["decoder.input", "decoder.phase"] + (["decoder.sketch"] if latent else [])
    if shape["bar"]:
        inputs.append("decoder.bar")
    for t in range(valid):
        rows, back = place(shape, t + (0 if b % 2 else context)) if shape["bar"] else ([], [])
        if latent and t % S == 0:
            mu_q, lv_q = encode(w, shape, frames[context + t : context + min(t + S, valid)])
            mu_p, lv_p = moments(w, "prior", h)
            kl = kl + 0.5 * (lv_p - lv_q + ((mu_q - mu_p) ** 2 + lv_q.exp()) / lv_p.exp() - 1).sum()
            z = mu_q + torch.exp(lv_q / 2) * eps[t // S]
            u = torch.tanh(mlp(w, "sketch", z)).reshape(S, -1)
        phase = F.one_hot(torch.tensor(t % S), S).to(x.dtype)
        features = u[t % S] if latent else torch.zeros(0, dtype=x.dtype)
        in_bar = torch.zeros(2 * (shape["bar"] + BARS) if shape["bar"] else 0, dtype=x.dtype)
        in_bar[rows] = 1
        h = gru_step(
            w,
            inputs,
            "decoder",
            torch.cat([frames[context + t - 1] * keep_input[t], phase, features, in_bar])[None],
            h,
        )
        states = remember(w, shape, x[context + t - 1] * keep_input[t], t, rows, states)
        o = torch.cat([h[0] * keep_state[t] / case["keep_state"], features])
        frame, units = frame_nll(
            w,
            shape,
            x,
            context + t,
            back,
            keep_past[t // S],
            states,
            keep_memory[t] / case["keep_memory"],
            o @ w["head.output.weight"] + w["head.output.bias"][0],
        )
        nll = nll + frame
        if shape["performance"]:
            added, number = performance_nll(
                w, shape, x[context + t], before + t, units, past, number, b, step
            )
            performance = performance + added
        if latent:
            logits = features @ w["auxiliary.weight"] + w["auxiliary.bias"][0]
            auxiliary = auxiliary + F.binary_cross_entropy_with_logits(
                logits, frames[context + t], reduction="sum"
            )
    return nll, kl, -(-valid // S) if latent else 0, auxiliary * (case["auxiliary"] > 0), performance


def loss_of(w, shape, case, step):
    loss, totals, held_back = 0, [0, 0, 0, 0, 0], 0
    for b, sequence in enumerate(draw(shape, case, step)):
        parts = nll, kl, segments, auxiliary, performance = sequence_loss(w, shape, case, sequence, b, step)
        loss = loss + nll + case["auxiliary"] * auxiliary + performance
        if segments:
            loss = loss + case["beta"] * segments * torch.clamp(kl / segments, min=case["free_bits"])
            held_back += int(kl.item() / segments < case["free_bits"])
        totals = [total + float(torch.as_tensor(part).detach()) for total, part in zip(totals, parts)]
    if step == 0:
        assert held_back == case["held_back"], (case["case"], held_back)
    names = "nll", "kl", "segments", "auxiliary", "performance"
    return loss / sum(shape["valid"]), dict(zip(names, totals))


def run(shape, case, sampled):
    w = initial(shape)
    tensors = lambda: [(name, p.detach(), p.grad) for name, p in w.items()]
    decaying, others = [p for p in w.values() if len(p) > 1], [p for p in w.values() if len(p) == 1]
    return train(case, decaying, others, tensors, lambda step: loss_of(w, shape, case, step), sampled)


def shape_of(
    tracks,
    planes,
    pitches,
    latent,
    sizes,
    lags,
    profiles,
    drums,
    order,
    density,
    valid,
    frames,
    memories=(0, 0, 0, 0),
    performance=0,
    bar=0,
    bar_lags=(),
):
    """sizes: segment, state, encoder, sketch, nade, tied; hidden units of posterior, prior, sketch. frames:
    of the arrays, at least the longest. memories: memory, note, tied_first, tied_pitches."""
    names = (
        "segment",
        "state",
        "encoder",
        "sketch",
        "nade",
        "tied",
        "posterior_hidden",
        "prior_hidden",
        "sketch_hidden",
    )
    shape = {
        "tracks": tracks,
        "planes": planes,
        "pitches": pitches,
        "latent": latent,
        "lags": lags,
        "profiles": profiles,
        "drums": drums,
        "order": order,
        "density": density,
        "valid": valid,
        "frames": frames,
        "performance": performance,
        "bar": bar,
        "bar_lags": list(bar_lags),
    }
    tied_names = ("memory", "note", "tied_first", "tied_pitches")
    return shape | dict(zip(names, sizes)) | dict(zip(tied_names, memories))


def case_of(
    name,
    beta=1.0,
    free_bits=0.0,
    held_back=0,
    auxiliary=0.5,
    keep_input=1.0,
    keep_past=1.0,
    keep_state=1.0,
    keep_memory=1.0,
    weight_decay=0.0,
    clip=0.0,
    learning_rate=2e-3,
):
    """held_back: sequences of the first batch whose KL is below free_bits a segment, so that the golden
    values cover both sides. keep: probabilities; 1: no dropout."""
    return {
        "case": name,
        "loss": "bce",
        "beta": beta,
        "free_bits": free_bits,
        "held_back": held_back,
        "auxiliary": auxiliary,
        "keep_input": keep_input,
        "keep_past": keep_past,
        "keep_state": keep_state,
        "keep_memory": keep_memory,
        "weight_decay": weight_decay,
        "clip": clip,
        "learning_rate": learning_rate,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    small = (3, 8, 5, 4, 6, 3, 7, 5, 6)
    everything = dict(keep_input=0.8, keep_past=0.7, keep_state=0.6, clip=0.5)
    write(
        HERE / "sequence.json",
        shape_of(1, 1, 11, 3, small, [1, 2, 4], [3, 9], 0, [0], 0.3, [7, 6, 4, 1], 8),
        [case_of("everything", 0.6, 3.161, 2, **everything)],
        None,
        run,
    )
    write(
        HERE / "sequence_tracks.json",
        shape_of(3, 2, 9, 4, small, [1, 2, 3, 6], [5], 1, [2, 0, 1], 0.4, [5, 5, 3, 2, 1], 5),
        [
            case_of("bare", auxiliary=0.0),
            case_of("everything, weight decay", 0.6, 4.233, 2, weight_decay=0.05, **everything),
        ],
        30,
        run,
    )
    write(
        HERE / "sequence_no_latent.json",
        shape_of(2, 2, 13, 0, small, [2], [], 0, [1, 0], 0.3, [6, 4, 1], 7),
        [case_of("dropout, clipping", 0.6, 5.0, **everything)],
        30,
        run,
    )
    write(
        HERE / "sequence_memory.json",
        shape_of(1, 1, 30, 3, small, [1, 2, 4], [], 0, [0], 0.2, [19, 6, 4, 1], 20, (6, 4, 3, 25)),
        [case_of("everything", 0.6, 3.1527, 2, keep_memory=0.7, **everything)],
        60,
        run,
    )
    write(
        HERE / "sequence_memory_tracks.json",
        shape_of(3, 2, 16, 0, small, [1, 3], [5], 1, [2, 0, 1], 0.4, [6, 5, 3, 1], 6, (4, 3, 2, 13)),
        [
            case_of("memory and notes", keep_memory=0.6, weight_decay=0.05, **everything),
        ],
        60,
        run,
    )
    write(
        HERE / "sequence_performance.json",
        shape_of(2, 2, 13, 3, small, [1, 2], [], 1, [1, 0], 0.3, [18, 6, 1], 18, (4, 3, 2, 10), 5),
        [case_of("everything", 0.6, keep_memory=0.7, weight_decay=0.05, **everything)],
        60,
        run,
    )
    write(
        HERE / "sequence_bar.json",
        shape_of(
            *(2, 2, 14, 2, small, [1, 3], [], 0, [1, 0], 0.3, [9, 7, 4, 1], 10, (3, 2, 1, 12)),
            bar=4,
            bar_lags=[1, 2],
        ),
        [case_of("everything", 0.6, 2.09, 2, keep_memory=0.7, **everything)],
        60,
        run,
    )
    write(
        HERE / "sequence_real.json",
        shape_of(
            1,
            1,
            88,
            32,
            (4, 256, 128, 64, 64, 32, 256, 128, 256),
            [1, 2, 4, 8, 16, 32, 64],
            [16, 80],
            0,
            [0],
            0.05,
            [34, 21, 9, 3],
            34,
        ),
        [case_of("everything", 0.4, 32.83615, 2, keep_input=0.9, keep_past=0.5, keep_state=0.6, clip=0.5)],
        40,
        run,
    )
