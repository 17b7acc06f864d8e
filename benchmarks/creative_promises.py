"""Claims about what pictures promise, each a count of tests that fail.

python benchmarks/creative_promises.py
"""

from __future__ import annotations

from tested import count_failures

ROOM = "tests/creative"
TESTED = {
    "guidance without strength, to the bit, on PixArt, Sana, Stable Diffusion 3 and Flux": [
        f"{ROOM}/test_pipelines.py", f"{ROOM}/test_self_coherence.py",
        "-k", "to_the_bit or strength_1 or looking_changes_nothing"],
    "guidance beside the published loop written out": [
        f"{ROOM}/test_pipelines.py", f"{ROOM}/test_attention.py", "-k",
        "written_out or whole_matrix or no_matrix"],
    "seeds, batches, steps, layers and masks of guidance": [
        f"{ROOM}/test_self_coherence.py", f"{ROOM}/test_pipelines.py", f"{ROOM}/test_masks.py"],
    "exceptions midway and attention that cannot be guided": [
        f"{ROOM}/test_self_coherence.py", f"{ROOM}/test_attention.py",
        "-k", "exception or refused"],
    "bad input to prompts, bindings and the vocabulary": [
        f"{ROOM}/test_bindings.py", f"{ROOM}/test_free_text.py", f"{ROOM}/test_vocabulary.py",
        f"{ROOM}/test_compose.py", f"{ROOM}/test_scene.py"],
    "judges, the store of pictures and their making": [
        f"{ROOM}/test_judge.py", f"{ROOM}/test_pretrained_judges.py", f"{ROOM}/test_store.py",
        f"{ROOM}/test_generate.py", f"{ROOM}/test_maker.py", f"{ROOM}/shapes"],
    "pictures on the cards of a shop window": ["tests/serve/test_creatives.py"],
}  # fmt: skip

if __name__ == "__main__":
    count_failures("creative", TESTED)
