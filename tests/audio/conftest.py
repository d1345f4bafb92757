"""Songs in every container, written without the tools that are under test where that can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Encode = Callable[..., Path]


def encode_song(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    codec: str,
    *,
    container: str | None = None,
    **tags: str,
) -> Path:
    """Write samples (samples, channels) with one of FFmpeg's encoders."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        file.metadata.update(tags)
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@pytest.fixture
def encode() -> Encode:
    """The function that writes a song with one of FFmpeg's encoders."""
    return encode_song
