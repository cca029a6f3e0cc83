"""Sets some attention heads of a new Llama by hand so that it copies before it has learned anything.

On a few million tokens a small Llama hardly finds induction by itself; with these heads it starts there and training
refines them (the circuit is that of Olsson et al. 2022, "In-context Learning and Induction Heads"). It knows nothing of
data. In the residual stream the first half of the dimensions holds which token stands here, the last of them a
constant, and the second half which token stood before.
"""

import math
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

# Found by trial on repeated random tokens; each is the gain of one step of the circuit.
CONSTANT = 0.3
POSITION_GAIN = 3.5
MATCH_GAIN = 2.5
SAME_TOKEN_GAIN = 1.0
PREVIOUS_VALUE, PREVIOUS_OUTPUT = 0.75, 0.147
COPY_OUTPUT = 0.71
POSITION_PAIRS = 8
SLOWEST = 0.006  # radians a token: rotary pairs below it hardly turn within a sequence, so they compare content


@torch.no_grad()
def set_copying_heads(model: LlamaForCausalLM, *, seed: int) -> None:
    """Redraw all weights, then write previous-token heads (layer 0), induction heads (1) and same-token heads (2).

    Needs tied embeddings, three layers, two query heads to each key head and `heads * head_dim == hidden_size`. One
    query head of each pair is set, the other stays free.
    """
    generator = torch.Generator().manual_seed(seed)
    _draw_weights(model, generator)
    _draw_embeddings(model.model.embed_tokens.weight, generator)
    attentions: list[Any] = [layer.self_attn for layer in model.model.layers[:3]]
    for attention in attentions[:2]:
        _quieten(attention)
    for pair in range(attentions[0].config.num_key_value_heads):
        previous, induction, same = (_Head(attention, pair) for attention in attentions)
        _attend_to_previous(previous)
        _attend_to_what_followed(induction)
        _attend_to_same(same)


class _Head:
    """Views into the weights of one query head and its key head: writing to them writes to the model."""

    def __init__(self, attention: Any, pair: int) -> None:
        config, size = attention.config, attention.head_dim
        self.half = config.hidden_size // 2
        query, key = slice(2 * pair * size, (2 * pair + 1) * size), slice(pair * size, (pair + 1) * size)
        self.query, self.key = attention.q_proj.weight[query], attention.k_proj.weight[key]
        self.value, self.output = attention.v_proj.weight[key], attention.o_proj.weight[:, query]
        self.pairs = size // 2
        self.angles = config.rope_parameters["rope_theta"] ** (-torch.arange(self.pairs) / self.pairs)
        slow = [index for index in range(self.pairs) if self.angles[index] < SLOWEST]
        self.slow_rows = slow + [index + self.pairs for index in slow]
        # The slice of a token's identity that this head carries, without the constant at its end.
        self.carried = [index for index in range(key.start, key.stop) if index < self.half - 1]


def _draw_weights(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    layers = len(model.model.layers)
    for name, weight in model.model.layers.named_parameters():
        if weight.dim() == 2:
            quiet = 0.5 / math.sqrt(2 * layers) if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
            weight.normal_(0, quiet / math.sqrt(weight.shape[1]), generator=generator)


def _draw_embeddings(weight: Tensor, generator: torch.Generator) -> None:
    """Tokens nearly orthogonal in the first half, one constant, the second half left free for the previous token."""
    half = weight.shape[1] // 2
    weight.normal_(0, 1 / math.sqrt(half - 1), generator=generator)
    weight[:, half - 1] = CONSTANT
    weight[:, half:].mul_(0.01 * math.sqrt(half - 1))


def _quieten(attention: Any) -> None:
    """The free heads of a layer must not drown the set ones."""
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight.mul_(0.1)
    attention.o_proj.weight.mul_(0.3)


def _attend_to_previous(head: _Head) -> None:
    """The constant queries one position back: fast rotary pairs peak where the distance is one."""
    constant, fast, size = head.half - 1, slice(0, POSITION_PAIRS), head.pairs
    for weight in (head.query, head.key, head.value):
        weight.zero_()
    head.query[fast, constant] = POSITION_GAIN * torch.cos(head.angles[fast])
    head.query[size : size + POSITION_PAIRS, constant] = -POSITION_GAIN * torch.sin(head.angles[fast])
    head.key[fast, constant] = POSITION_GAIN
    head.output[:, : len(head.carried)] = 0
    for row, dimension in enumerate(head.carried):
        head.value[row, dimension] = PREVIOUS_VALUE
        head.output[head.half + dimension, row] = PREVIOUS_OUTPUT


def _attend_to_what_followed(head: _Head) -> None:
    """This token queries for positions whose previous token it is, and what stands there is said next."""
    for weight in (head.query, head.key, head.value):
        weight.zero_()
    for row, dimension in zip(head.slow_rows, head.carried, strict=False):
        head.query[row, dimension] = MATCH_GAIN
        head.key[row, head.half + dimension] = MATCH_GAIN
    head.output[:, : len(head.carried)] = 0
    for row, dimension in enumerate(head.carried):
        head.value[row, dimension] = 1.0
        head.output[dimension, row] = COPY_OUTPUT


def _attend_to_same(head: _Head) -> None:
    """Compares tokens across two texts; what it reads there is left to training."""
    for weight in (head.query, head.key):
        weight.mul_(0.1)
    for row, dimension in zip(head.slow_rows, head.carried, strict=False):
        head.query[row, dimension] += SAME_TOKEN_GAIN
        head.key[row, dimension] += SAME_TOKEN_GAIN
