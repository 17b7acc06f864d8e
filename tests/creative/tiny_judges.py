"""Tiny judges as folders: CLIP that learned four colours, and a BLIP of random weights."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase

import numpy as np
from PIL import Image

COLOURS = {"red": (210, 20, 20), "green": (20, 170, 40), "blue": (20, 40, 220),
           "yellow": (230, 220, 20)}  # fmt: skip
SIZE = 16


def plain(colour: str, seed: int = 0) -> Image.Image:
    """A picture of one colour with a little noise."""
    noise = np.random.default_rng(seed).integers(-15, 16, (24, 24, 3))
    return Image.fromarray((np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8))


def tiny_clip(folder: Path) -> Path:
    """Trains for a moment; saves model and processor."""
    import torch
    from transformers import (
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        CLIPProcessor,
        CLIPTokenizer,
    )

    letters = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    names = ["<|startoftext|>", *letters, "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={name: n for n, name in enumerate(names)}, merges=[])
    size = {"height": SIZE, "width": SIZE}
    images = CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False)
    common = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
              "num_attention_heads": 2}  # fmt: skip
    config = CLIPConfig(
        text_config=common | {"vocab_size": len(names), "max_position_embeddings": 40,
                              "bos_token_id": 0, "eos_token_id": len(names) - 1,
                              "pad_token_id": len(names) - 1},
        vision_config=common | {"image_size": SIZE, "patch_size": 8},
        projection_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    model = CLIPModel(config)
    processor = CLIPProcessor(images, tokenizer)
    texts = [f"a photo of a {colour} mug" for colour in COLOURS]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(60):
        inputs = processor(text=texts, images=[plain(c, step) for c in COLOURS],
                           return_tensors="pt", padding=True)  # fmt: skip
        model(**inputs, return_loss=True).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tiny_blip(folder: Path, words: tuple[str, ...] = ("yes", "no")) -> Path:
    """Random weights; saves model and processor."""
    import torch
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForQuestionAnswering,
        BlipImageProcessorPil,
        BlipProcessor,
    )

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    vocab = [*special, *words, "is", "the", "mug", "red", "blue", "?"]
    tokenizer = BertTokenizer(vocab={word: n for n, word in enumerate(vocab)})
    images = BlipImageProcessorPil(size={"height": SIZE, "width": SIZE})
    common = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
              "num_attention_heads": 2}  # fmt: skip
    config = BlipConfig(
        text_config=common | {"vocab_size": len(vocab), "max_position_embeddings": 16,
                              "encoder_hidden_size": 16, "bos_token_id": 5, "pad_token_id": 0,
                              "sep_token_id": 3, "eos_token_id": 3},
        vision_config=common | {"image_size": SIZE, "patch_size": 8},
        projection_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    model = BlipForQuestionAnswering(config)
    for weights in model.parameters():  # as they are drawn, all answers are alike
        torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    BlipProcessor(images, tokenizer).save_pretrained(folder)
    return folder
