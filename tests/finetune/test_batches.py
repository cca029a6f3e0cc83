"""Dialogues as batches: labels only on replies, each dialogue once an epoch, and packed ones that do not see one another."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from askfirst.finetune.batches import IGNORED, Dialogue, best_fit, by_length, masked, packed, padded, parts
from askfirst.finetune.methods import reply_loss

PAD = 0


def dialogues_of(*lengths: int) -> list[Dialogue]:
    """Random tokens, of which the last third is the reply."""
    generator = torch.Generator().manual_seed(5)
    ids = [torch.randint(1, 90, (length,), generator=generator).tolist() for length in lengths]
    return [(each, [IGNORED] * (len(each) - len(each) // 3) + each[len(each) - len(each) // 3 :]) for each in ids]


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    """A Llama with random weights, large enough that tokens that are seen change what is said."""
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=90, initializer_range=0.4, **sizes)).eval()


def test_only_the_reply_is_labelled(prepared: Path):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    chat = [{"role": role, "content": text} for role, text in (("system", "route"), ("user", "Hi"), ("assistant", '" direct"'))]
    [(ids, labels)] = masked([chat], tokenizer)
    counted = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(counted) == '" direct"<|eot_id|>'
    assert ids[-len(counted) :] == counted


def test_a_batch_depends_on_its_step_alone_and_pads_without_labels():
    dialogues = [(list(range(1, length)), [IGNORED] * (length - 2) + [5]) for length in range(3, 20)]
    batch = by_length(dialogues, size=4, pad=PAD, seed=1)
    for step in range(12):
        first, again = batch(step), batch(step)
        assert torch.equal(first["input_ids"], again["input_ids"])
        assert (first["labels"][first["input_ids"] == PAD] == IGNORED).all()
    epoch = torch.cat([batch(step)["labels"].ne(IGNORED).sum().unsqueeze(0) for step in range(5)])
    assert epoch.sum() == len(dialogues)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=60), st.integers(8, 64))
def test_every_dialogue_is_packed_once_and_no_row_is_too_long(lengths: list[int], length: int):
    rows = best_fit(lengths, length)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    for row in rows:
        assert sum(lengths[index] for index in row) <= length or len(row) == 1
    assert sum(sum(lengths[index] for index in row) * 2 <= length for row in rows) <= 1  # no two rows could be one


def test_packed_rows_hold_every_dialogue_whole_once_an_epoch():
    dialogues = dialogues_of(9, 14, 3, 30, 6, 12, 21, 8)
    batch = packed(dialogues, size=2, length=32, pad=PAD, seed=4)
    steps = -(-len(best_fit([len(ids) for ids, _ in dialogues], 32)) // 2)
    found = []
    for inputs in (batch(step) for step in range(steps)):
        for ids, labels, positions in zip(inputs["input_ids"], inputs["labels"], inputs["position_ids"], strict=True):
            starts = [*(positions == 0).nonzero().flatten().tolist(), len(ids)]
            found += [(ids[a:b].tolist(), labels[a:b].tolist()) for a, b in itertools.pairwise(starts)]
    assert sorted(each for each in found if any(each[0])) == sorted(dialogues)
    assert all(set(labels) == {IGNORED} for ids, labels in found if not any(ids))


def test_packed_dialogues_do_not_see_one_another(llama: LlamaForCausalLM):
    dialogues = dialogues_of(11, 7, 13)
    together = packed(dialogues, size=1, length=40, pad=PAD, seed=1)(0)
    row, positions = together["input_ids"], together["position_ids"]
    assert row.shape[0] == 1
    starts = [*(positions[0] == 0).nonzero().flatten().tolist(), row.shape[1]]
    with torch.no_grad():
        logits = llama(input_ids=row, position_ids=positions, use_cache=False).logits[0]
        mixed = llama(input_ids=row, use_cache=False).logits[0]
        for start, end in itertools.pairwise(starts):
            alone = llama(input_ids=row[:, start:end], use_cache=False).logits[0]
            torch.testing.assert_close(logits[start:end], alone, rtol=1e-4, atol=1e-4)
            if start:
                assert (mixed[start:end] - alone).abs().max() > 0.1  # without positions they would


def test_packed_and_padded_have_the_same_loss_and_gradient(llama: LlamaForCausalLM):
    dialogues = dialogues_of(11, 7, 13, 9)
    gradients, losses = [], []
    for inputs in (padded(dialogues, pad=PAD), packed(dialogues, size=1, length=64, pad=PAD, seed=1)(0)):
        loss = reply_loss(llama, inputs)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in llama.parameters() if weight.grad is not None]))
        llama.zero_grad()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_shares_of_parts_make_the_mean_of_the_whole(llama: LlamaForCausalLM, count: int):
    inputs = padded(dialogues_of(11, 7, 23, 5), pad=PAD)
    dealt = parts(inputs, count)
    with torch.no_grad():
        mean = sum(reply_loss(llama, part).item() * share for part, share in dealt)
        assert mean == pytest.approx(reply_loss(llama, inputs).item(), rel=1e-5)
    assert len(dealt) == count
    assert sum(share for _, share in dealt) == pytest.approx(1)
