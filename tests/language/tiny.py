"""A causal language model that is small enough to be made for a test, and answers in letters."""

from pathlib import Path

LETTERS = [chr(code) for code in range(33, 127)]
SPECIAL = ["<unk>", "<s>", "</s>", "<|end|>"]
CHAT = (
    "<s>{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHAT


def tiny_model(folder: Path, chat: str | None = CHAT, longest: int = 4096) -> Path:
    """Two layers of width 32, a token a letter, weights that tell prompts apart."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = {word: n for n, word in enumerate([*SPECIAL, "▁", *LETTERS])}
    tokenizer = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never", split=False)
    ends = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=["<|end|>"], **ends
    )
    fast.chat_template = chat
    fast.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=longest,
        bos_token_id=1, eos_token_id=2, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder
