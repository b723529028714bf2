"""Writes voice.wav: a second of silence, a second and a half of sung vowels, a second of silence.

    python voice.py [ADDRESS]       (with the address of the service: asks it, and prints its answer)

No recording of a person is needed: a hum whose overtones are those of a, i and u is speech enough for the network.
"""

from __future__ import annotations

import sys
import urllib.request
import wave
from pathlib import Path

import numpy as np

RATE = 16_000
# The peaks of a mouth's resonance: (frequency, width, strength).
VOWELS = {
    "a": [(700, 120, 1.0), (1220, 150, 0.6), (2600, 200, 0.25)],
    "i": [(300, 80, 1.0), (2200, 200, 0.5), (3000, 250, 0.3)],
    "u": [(320, 80, 1.0), (800, 120, 0.5), (2300, 200, 0.1)],
}


def vowel(name: str, pitch: float, seconds: float = 0.18) -> np.ndarray:
    """One vowel with a little vibrato, fading in and out."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = np.cumsum(pitch * (1 + 0.03 * np.sin(2 * np.pi * 5 * time))) / RATE
    sound = np.zeros(len(time))
    for overtone in range(1, 40):
        loud = sum(gain * np.exp(-(((overtone * pitch - peak) / width) ** 2)) for peak, width, gain in VOWELS[name])
        sound += loud / overtone**0.3 * np.sin(2 * np.pi * overtone * phase)
    return sound * np.minimum(1, np.minimum(time / 0.03, (seconds - time) / 0.05))


def main() -> None:
    """Puts the vowels together."""
    noise = np.random.default_rng(1)
    silence = np.zeros(RATE)
    sung = []
    for name, pitch in [("a", 120), ("i", 130), ("u", 110), ("a", 125), ("i", 115), ("a", 105)]:
        sung += [noise.normal(size=640) * 0.05, vowel(name, pitch), np.zeros(480)]
    voice = np.concatenate(sung)
    samples = np.concatenate([silence, voice / np.abs(voice).max() / 2, silence])
    with wave.open("voice.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    print(f"wrote voice.wav, {len(samples) / RATE:.2f} s")
    for address in sys.argv[1:]:
        with urllib.request.urlopen(address, Path("voice.wav").read_bytes()) as answer:
            print(answer.read().decode().strip())


if __name__ == "__main__":
    main()
