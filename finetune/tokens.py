"""The tokenizer: how it is trained, and how texts and conversations become tokens. It knows nothing of what they say."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# Llama 3's pattern: llama.cpp knows it as `llama-bpe` and must split exactly as the tokenizer was trained.
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BEGIN, END, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
SPECIAL = [BEGIN, END, PAD, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"]
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def trained_tokenizer(texts: Iterable[str], *, size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE under Llama 3's pattern, with its special tokens and our chat template."""
    bpe = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(LLAMA3_PATTERN), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    begin = [(BEGIN, bpe.token_to_id(BEGIN))]
    bpe.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=begin)
    special = {"bos_token": BEGIN, "eos_token": "<|eot_id|>", "pad_token": PAD}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, clean_up_tokenization_spaces=False, **special)
    tokenizer.chat_template = CHAT_TEMPLATE.read_text()
    return tokenizer


def chat_text(tokenizer: PreTrainedTokenizerFast, conversation: list[dict], *, answered: bool = True) -> str:
    """The conversation in the model's chat form; not `answered`, it ends where the assistant's words begin."""
    return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=not answered))


def token_ids(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, without any special token but those the text itself holds."""
    encoding: Any = tokenizer(texts, add_special_tokens=False)
    return encoding["input_ids"]
