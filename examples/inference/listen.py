"""Where in a recording does somebody speak? An HTTP service that asks a small network.

    python -m listen [PORT]         (default: 8000; 0 takes a free one)

POST /speech with a WAV file (16 kHz, mono, 16 bits) answers with JSON: {"speech": [[from, to], …]} in seconds.
The model is looked for in $NIXGEN_MODELS, which `nix develop` and `nix run .#api` set.
"""

from __future__ import annotations

import io
import json
import os
import sys
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime

RATE = 16_000
FRAME = 512  # samples that the network looks at at once: 32 ms
CONTEXT = 64  # samples of the frame before
LIKELY = 0.5


class Ear:
    """The network, loaded once; any number of threads may use it."""

    def __init__(self, model: Path) -> None:
        self._session = onnxruntime.InferenceSession(model)

    def probabilities(self, samples: np.ndarray) -> list[float]:
        """How likely each frame is speech. ``samples`` are between -1 and 1."""
        state, context = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32)
        found = []
        for start in range(0, len(samples) - FRAME + 1, FRAME):
            frame = samples[start : start + FRAME]
            given = {"input": np.concatenate([context, frame])[None], "state": state, "sr": np.array(RATE)}
            answer, state = self._session.run(None, given)
            context = frame[-CONTEXT:]
            found.append(float(answer[0, 0]))
        return found

    def speech(self, samples: np.ndarray) -> list[list[float]]:
        """Where somebody speaks: [from, to] in seconds."""
        likely = np.array([0, *(p > LIKELY for p in self.probabilities(samples)), 0], int)
        edges = np.flatnonzero(np.diff(likely)) * FRAME / RATE
        return [[round(start, 2), round(end, 2)] for start, end in edges.reshape(-1, 2).tolist()]


def read_wav(data: bytes) -> np.ndarray:
    """The samples of a WAV file. Raises ValueError for what this service does not take."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"this is no WAV file: {error}") from None
    if form != (RATE, 1, 2):
        raise ValueError("the recording must have 16 kHz, one channel and 16 bits")
    return np.frombuffer(frames, "<i2").astype(np.float32) / 32768


class Handler(BaseHTTPRequestHandler):
    """Answers POST /speech."""

    ear: Ear

    def do_POST(self) -> None:
        """One recording."""
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/speech":
            return self.answer(404, {"error": "POST a WAV file to /speech"})
        try:
            return self.answer(200, {"speech": self.ear.speech(read_wav(data))})
        except ValueError as error:
            return self.answer(400, {"error": str(error)})

    def answer(self, status: int, value: object) -> None:
        """Sends a value as JSON."""
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing of single requests."""


def main() -> None:
    """Loads the model, then serves until Ctrl-C."""
    Handler.ear = Ear(Path(os.environ["NIXGEN_MODELS"], "vad", "silero_vad.onnx"))
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("good night")


if __name__ == "__main__":
    main()
