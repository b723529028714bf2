"""Which of these sentences means most nearly the same as yours?

    python -m search ["A question or sentence"]

all-MiniLM-L6-v2 turns a sentence into 384 numbers that are close for sentences that mean about the same. It is loaded
by its name on the hub, as everywhere; HF_HUB_CACHE, which `nix develop` sets, makes that the pinned files, without the
internet. So that the example needs no torch, the model's six layers are computed here, with NumPy.
"""

from __future__ import annotations

import sys

import numpy as np
from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoTokenizer

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
QUESTION = "How do I get the same libraries as my colleague?"
SENTENCES = [
    "A lock file records the exact version of every dependency.",
    "The oven should be hot before the bread goes in.",
    "Tomatoes want more water in July.",
    "The train to Basel leaves from platform four.",
    "A kernel reads memory in pages of four kilobytes.",
]


class Embedder:
    """BERT (Devlin and others, 2018) with mean pooling, as the model's own modules.json asks for."""

    def __init__(self, name: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.config = AutoConfig.from_pretrained(name)
        self.weights = load_file(hf_hub_download(name, "model.safetensors"))

    def __call__(self, sentences: list[str]) -> np.ndarray:
        """One row of length 1 for each sentence."""
        given = self.tokenizer(sentences, padding=True, truncation=True, max_length=256, return_tensors="np")
        tokens, mask = given["input_ids"], given["attention_mask"]
        weights = self.weights
        x = weights["embeddings.word_embeddings.weight"][tokens]
        x = x + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = self.norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(self.config.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            attended = self.attention(x, mask, f"{layer}.attention.self")
            attended = self.linear(attended, f"{layer}.attention.output.dense")
            x = self.norm(x + attended, f"{layer}.attention.output.LayerNorm")
            inner = gelu(self.linear(x, f"{layer}.intermediate.dense"))
            x = self.norm(x + self.linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def attention(self, x: np.ndarray, mask: np.ndarray, place: str) -> np.ndarray:
        """Self-attention: every word takes from every word, in several ways at once."""
        heads = self.config.num_attention_heads

        def split(name: str) -> np.ndarray:
            return self.linear(x, f"{place}.{name}").reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1])
        scores = np.where(mask[:, None, None], scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        return (shares / shares.sum(-1, keepdims=True) @ value).swapaxes(1, 2).reshape(x.shape)

    def linear(self, x: np.ndarray, place: str) -> np.ndarray:
        """A dense layer with the weights of a place."""
        return x @ self.weights[f"{place}.weight"].T + self.weights[f"{place}.bias"]

    def norm(self, x: np.ndarray, place: str) -> np.ndarray:
        """Layer normalization."""
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + self.config.layer_norm_eps)
        return centred / scale * self.weights[f"{place}.weight"] + self.weights[f"{place}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """x times the chance that a normal number is below x, by the error function of Abramowitz and Stegun 7.1.26."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return x * (1 + np.sign(x) * (1 - series * np.exp(-(z**2)))) / 2


def main() -> None:
    """Prints the sentences, the nearest first."""
    question = " ".join(sys.argv[1:]) or QUESTION
    rows = Embedder(MODEL)([question, *SENTENCES])
    print(question)
    for likeness, sentence in sorted(zip((rows[1:] @ rows[0]).tolist(), SENTENCES, strict=True), reverse=True):
        print(f"  {likeness:6.3f}  {sentence}")


if __name__ == "__main__":
    main()
