"""The sequence model in PyTorch, of one track and plane: the yardstick for speed.

The equations of trainer/model/vae_sequence.h, head.h, memory.h and model.h, as vectors over pieces, frames
and pitches at once; only the GRUs go step by step, inside nn.GRU or, at each pitch and along them, run_gru().
The head comes in two forms of the same function:
`plain` has a hidden vector of the NADE for each pitch, [rows, pitches, units]; `sparse` one for each sounding
note, as mpianist has, since it changes only there. Sizes come from mpianist's weights. Needs torch, h5py and
numpy.
"""

import glob

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from seed_pytorch import SPLITS

CONTEXT, REACH, BELOW, CLASSES, PHASES = 4, 13, 24, 12, 16
VOICES, MOVES, LONGEST, SHORTEST = 4, 0.4, 64, 56


def generate_pieces(n, pitches):
    """Frames of n pieces, longest first: a voice moves by chance, within its own octave and a half."""
    generator = np.random.default_rng(1)
    pieces = []
    for length in np.linspace(LONGEST, SHORTEST, n).astype(int):
        piece = np.zeros((length, pitches), np.uint8)
        for voice in range(VOICES):
            pitch = 0
            for t in range(length):
                if t == 0 or generator.random() < MOVES:
                    pitch = 15 + 10 * voice + generator.integers(15)
                piece[t, pitch] = 1
        pieces.append(piece)
    return pieces


def read_pieces(folder, n):
    """n training songs of one folder of shards, longest first: those around the median length, as a batch of
    similar lengths has them."""
    pieces = []
    for path in sorted(glob.glob(f"{folder}/shard-*.h5")):
        with h5py.File(path) as shard:
            roll, pitches = shard["roll"][:], int(shard.attrs["pitches"])
            assert roll.shape[1] == 1, f"{path}: {roll.shape[1]} tracks; make shards with --tracks merged"
            bits = np.unpackbits(roll[:, 0, 0], axis=-1, count=pitches, bitorder="little")
            pieces += [
                bits[song["first_frame"] :][: song["frames"]]
                for song in shard["songs"][:]
                if song["split"] == SPLITS["train"]
            ]
    assert len(pieces) >= n, f"{folder}: {len(pieces)} training songs, a batch has {n}"
    pieces.sort(key=len, reverse=True)
    first = (len(pieces) - n) // 2
    return pieces[first : first + n]


def gru_weights(weights, inputs, name):
    """nn.GRU's (weight_ih, weight_hh, bias_ih, bias_hh); its second bias is ours for n alone."""
    bias = weights[f"{name}.bias"].reshape(-1)
    return (
        torch.cat([weights[f"{i}.weight"] for i in inputs]).T,
        weights[f"{name}.weight"].T,
        weights[f"{inputs[0]}.bias"].reshape(-1),
        F.pad(bias, (2 * len(bias), 0)),
    )


def make_gru(directions):
    """nn.GRU of such weights, where biases that would be there twice stay zero."""
    gru = nn.GRU(
        directions[0][0].shape[1],
        directions[0][1].shape[1],
        batch_first=True,
        bidirectional=len(directions) == 2,
    )
    for suffix, values in zip(("", "_reverse"), directions):
        for part, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values):
            parameter = getattr(gru, f"{part}_l0{suffix}")
            parameter.data.copy_(value)
            if part == "bias_hh":
                parameter.register_hook(
                    lambda gradient, kept=torch.arange(len(value)) >= 2 * gru.hidden_size: gradient * kept
                )
    return gru


def make_linear(weights, name):
    weight = weights[f"{name}.weight"]
    linear = nn.Linear(*weight.shape)
    linear.weight.data.copy_(weight.T)
    linear.bias.data.copy_(weights[f"{name}.bias"].reshape(-1))
    return linear


def make_mlp(weights, name):
    return nn.Sequential(make_linear(weights, f"{name}.0"), nn.Tanh(), make_linear(weights, f"{name}.1"))


def run_gru(x, start, U, c):
    """States [time, n, units] of a GRU whose inputs have been multiplied, x [time, n, 3 units]."""
    units, states = len(U), []
    h = start.expand(x.shape[1], -1)
    for now in x:
        by_U = h @ U
        r, g = torch.sigmoid(now[:, : 2 * units] + by_U[:, : 2 * units]).chunk(2, dim=1)
        n = torch.tanh(torch.addcmul(now[:, 2 * units :], r, by_U[:, 2 * units :] + c))
        h = torch.lerp(n, h, g)
        states.append(h)
    return torch.stack(states)


class TiedGRU(nn.Module):
    """The parameters of a GRU that runs at every pitch, or along them."""

    def __init__(self, weights, name):
        super().__init__()
        parameter = lambda part: nn.Parameter(weights[f"{name}.{part}"].clone())
        self.W, self.bias, self.U = parameter("input.weight"), parameter("input.bias"), parameter("weight")
        self.c, self.pitch, self.start = parameter("bias"), parameter("pitch"), parameter("start")
        self.phase = parameter("phase") if f"{name}.phase" in weights else None

    def remember(self, before):
        """States [B, T, pitches, units], given the frames before, [B, T, pitches]."""
        B, T, P = before.shape
        windows = F.pad(before, (REACH, REACH)).unfold(2, 2 * REACH + 1, 1).flip(3)
        counts = F.pad(before, (0, -P % CLASSES)).view(B, T, -1, CLASSES).sum(2)
        of_pitch = (torch.arange(P)[:, None] + torch.arange(CLASSES)) % CLASSES
        x = torch.cat([windows, counts[:, :, of_pitch]], 3) @ self.W + self.pitch + self.bias
        x = x + self.phase[torch.arange(T) % PHASES][:, None]
        states = run_gru(x.transpose(0, 1).flatten(1, 2), self.start, self.U, self.c)
        return states.view(T, B, P, -1).transpose(0, 1)

    def along(self, y):
        """States [rows, pitches, units] from y [rows, pitches, tied units]."""
        x = y @ self.W + self.pitch + self.bias
        return run_gru(x.transpose(0, 1), self.start, self.U, self.c).transpose(0, 1)


class Head(nn.Module):
    """Logits [rows, pitches] of frames x, given the frames 1, 2 and 4 before, [rows, 3, pitches], and what
    the network says of them."""

    def __init__(self, weights, plain):
        super().__init__()
        parameter = lambda name: nn.Parameter(weights[f"head.{name}"].clone())
        self.plain = plain
        self.W, self.V, self.own = parameter("nade.weight"), parameter("nade.output"), parameter("tied.pitch")
        self.R = self.notes = None
        if "head.tied.0.memory" in weights:
            self.R, self.notes = parameter("tied.0.memory"), TiedGRU(weights, "head.note.0")
            self.by_m = nn.Parameter(weights["head.note.0.output"].reshape(-1).clone())
        self.tied, self.v = parameter("tied.0.weight"), nn.Parameter(
            weights["head.tied.0.output"].reshape(-1).clone()
        )

    def forward(self, x, lags, pre, memory):
        b, c, tied = pre.split([x.shape[1], self.W.shape[1], len(self.v)], dim=1)
        nade = self.nade_by_pitch(x, c) if self.plain else self.nade_by_note(x, c)
        return b + nade + self.from_tied(x, lags, tied, memory)

    def nade_by_pitch(self, x, c):
        a = F.pad(x[:, :-1, None] * self.W[:-1], (0, 0, 1, 0)).cumsum(1).add_(c[:, None])
        return (a.sigmoid_() * self.V).sum(2)

    def nade_by_note(self, x, c):
        most, silent = int(x.sum(1).max()), len(self.W)
        notes = x.topk(most, 1)
        notes = torch.where(notes.values > 0, notes.indices, silent).sort(1).values
        a = torch.cat([c[:, None], F.embedding(notes, F.pad(self.W, (0, 0, 0, 1)))], 1).cumsum(1)
        notes_below = (x.cumsum(1) - x).long()
        return (a.sigmoid_() @ self.V.T).gather(1, notes_below[:, None]).squeeze(1)

    def from_tied(self, x, lags, shared, memory):
        """memory: states [rows, pitches, units], with dropout, and what dropout multiplies those along the
        pitches by."""
        before = F.pad(lags, (REACH, REACH)).unfold(2, 2 * REACH + 1, 1).transpose(1, 2).flatten(2)
        features = torch.cat([before, F.pad(x, (BELOW, -1)).unfold(1, BELOW, 1)], 2)
        u = (features @ self.tied).add_(shared[:, None]).add_(self.own)
        if self.R is None:
            return u.relu_() @ self.v
        y = (u + memory[0] @ self.R).relu_()
        return y @ self.v + (self.notes.along(y) * memory[1][:, None]) @ self.by_m


class SequenceVAE(nn.Module):
    """weights: {name: tensor} of a checkpoint; options: its run.ini, merged."""

    def __init__(self, weights, options, plain):
        super().__init__()
        self.options = options
        self.segment, self.latent = len(weights["decoder.phase.weight"]), int(options["latent"])
        inputs = ["decoder.input", "decoder.phase"]
        if self.latent:
            self.encoder = make_gru(
                [
                    gru_weights(weights, [f"encoder.{way}.input"], f"encoder.{way}")
                    for way in ("forward", "backward")
                ]
            )
            self.posterior, self.prior, self.sketch = (
                make_mlp(weights, name) for name in ("posterior", "prior", "sketch")
            )
            self.auxiliary = make_linear(weights, "auxiliary")
            inputs.append("decoder.sketch")
        self.decoder = make_gru([gru_weights(weights, inputs, "decoder")])
        self.start = nn.Parameter(weights["decoder.start.state"].clone())
        self.output = make_linear(weights, "head.output")
        self.head = Head(weights, plain)
        self.memory = TiedGRU(weights, "memory.0") if "memory.0.weight" in weights else None
        self.units = [int(options["memory"]), int(options["note"])]

    def prepare(self, pieces):
        """A batch of pieces: frames [B, CONTEXT + whole segments, pitches], its valid rows among all B T,
        segments of each piece and their mask."""
        S, lengths = self.segment, torch.tensor([len(piece) for piece in pieces])
        segments = (lengths + S - 1) // S
        T = int(segments.max()) * S
        frames = torch.zeros(len(pieces), CONTEXT + T, pieces[0].shape[1])
        for to, piece in zip(frames, pieces):
            to[CONTEXT : CONTEXT + len(piece)] = torch.from_numpy(piece)
        rows = (torch.arange(T) < lengths[:, None]).flatten().nonzero().squeeze(1)
        mask = (torch.arange(T // S) < segments[:, None]).float()
        return {
            "frames": frames,
            "rows": rows,
            "segments": segments.float(),
            "mask": mask,
            "lengths": lengths,
            "longest": int(lengths.max()),
        }

    def draw_noise(self, batch):
        """eps [B, segments, latent]; whether each input frame, [B, T], and unit of a row's state and
        memory is kept."""
        (B, W), rows = batch["mask"].shape, len(batch["rows"])
        kept = lambda rate, *shape: torch.empty(shape).bernoulli_(1 - float(self.options[rate]))
        return (
            torch.randn(B, W, self.latent),
            kept("input-dropout", B, W * self.segment),
            kept("dropout", rows, self.decoder.hidden_size),
            kept("memory-dropout", rows, sum(self.units)),
        )

    def spread_latents(self, frames, eps):
        """Moments of the posterior [B, W, Z], and u [B, T, U]."""
        B, W, _ = eps.shape
        _, ends = self.encoder(frames.reshape(B * W, self.segment, -1))
        mu, logvar = self.posterior(ends.transpose(0, 1).flatten(1)).view(B, W, -1).chunk(2, dim=2)
        logvar = logvar.clamp(-8, 4)
        u = torch.tanh(self.sketch(mu + torch.exp(logvar / 2) * eps))
        return mu, logvar, u.view(B, W * self.segment, -1)

    def divergence(self, mu, logvar, h, mask):
        """KL of each piece [B] from the prior, which looks at the states before the segments."""
        starts = torch.cat([self.start.expand(len(h), 1, -1), h[:, self.segment - 1 : -1 : self.segment]], 1)
        prior_mu, prior_logvar = self.prior(starts).chunk(2, dim=2)
        prior_logvar = prior_logvar.clamp(-8, 4)
        kl = prior_logvar - logvar + ((mu - prior_mu).square() + logvar.exp()) / prior_logvar.exp() - 1
        return 0.5 * (kl.sum(2) * mask).sum(1)

    def losses(self, batch, noise):
        """The loss of a batch, and its plain parts."""
        frames, rows, (eps, keep_input, keep_state, keep_memory) = batch["frames"], batch["rows"], noise
        x, (B, T) = frames[:, CONTEXT:], keep_input.shape
        phase = torch.eye(self.segment).repeat(T // self.segment, 1).expand(B, -1, -1)
        before, memory = frames[:, CONTEXT - 1 : -1] * keep_input[:, :, None], None
        inputs = [before, phase]
        if self.latent:
            mu, logvar, u = self.spread_latents(x, eps)
            inputs.append(u)
        h, _ = self.decoder(torch.cat(inputs, 2), self.start.expand(1, B, -1).contiguous())
        o = h.flatten(0, 1)[rows] * (keep_state / (1 - float(self.options["dropout"])))
        if self.latent:
            u = u.flatten(0, 1)[rows]
            o = torch.cat([o, u], 1)
        targets = x.flatten(0, 1)[rows]
        lags = torch.stack([frames[:, CONTEXT - lag :][:, :T] for lag in (1, 2, 4)], 2).flatten(0, 1)[rows]
        if self.memory:
            keep_s, keep_m = (keep_memory / (1 - float(self.options["memory-dropout"]))).split(self.units, 1)
            memory = self.memory.remember(before).flatten(0, 1)[rows] * keep_s[:, None], keep_m
        nll = F.binary_cross_entropy_with_logits(
            self.head(targets, lags, self.output(o), memory), targets, reduction="sum"
        )
        loss, parts = nll, {"nll": nll}
        if self.latent:
            kl = self.divergence(mu, logvar, h, batch["mask"])
            auxiliary = F.binary_cross_entropy_with_logits(self.auxiliary(u), targets, reduction="sum")
            beta, free_bits, weight = (
                float(self.options[name]) for name in ("beta", "free-bits", "auxiliary")
            )
            loss = (
                nll
                + beta * (batch["segments"] * (kl / batch["segments"]).clamp(min=free_bits)).sum()
                + weight * auxiliary
            )
            parts |= {"kl": kl.sum(), "auxiliary": auxiliary}
        return loss / len(rows), parts
